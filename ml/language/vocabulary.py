"""What a bilingual model reads: MiniLM's English pieces, and Chinese words that begin where their English meanings are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.language import chinese, minilm
from ml.language.tokens import BEGIN, END, INSIDE, PADDING, UNKNOWN, Tokens

MARKS = (PADDING, UNKNOWN, BEGIN, END)
GLOSSES = 2  # meanings of a word that count
GLOSS_WORDS = 4  # of a meaning; a longer one explains instead of translating


def english(n_words: int) -> list[str]:
    """Return the marks, every piece, and the most usual words of MiniLM's vocabulary that are written in ASCII.

    Args:
        n_words: Whole words; in that vocabulary usual ones come first.
    """
    known = [word for word in minilm.words() if word.isascii() and not word.startswith("[unused") and word not in MARKS]
    whole = [word for word in known if not word.startswith(INSIDE)]
    pieces = [word for word in known if word.startswith(INSIDE)]
    return [*MARKS, *whole[:n_words], *pieces]


def han(n_words: int, texts: Iterable[str]) -> list[str]:
    """Return the Chinese words of texts and the most usual ones besides, each of known meaning."""
    own = chinese.occurring(texts)
    return [*own, *(word for word in chinese.frequent(n_words) if word not in set(own))]


def vectors(pieces: Sequence[str], words: Sequence[str]) -> NDArray[np.float32]:
    """Return a vector each `(n_pieces + n_words, width)`: MiniLM's own, and for Chinese words the mean of their glosses'.

    Args:
        pieces: From `english`.
        words: Chinese words of known meaning.
    """
    published = minilm.vectors()
    numbers = {word: number for number, word in enumerate(minilm.words())}
    cut = Tokens(minilm.words())
    meant = chinese.meanings()
    glossed = [_mean(published, cut, meant[word]) for word in words]
    return np.concatenate(
        [published[[numbers[piece] for piece in pieces]], np.array(glossed).reshape(-1, published.shape[1])]
    )


def _mean(published: Any, cut: Tokens, glosses: Sequence[str]) -> NDArray[np.float32]:
    """Return the mean of the vectors of all tokens of the first meanings, each cut short."""
    texts = [" ".join(gloss.split()[:GLOSS_WORDS]) for gloss in glosses[:GLOSSES]]
    tokens = cut(texts)[:, 1:]  # without the mark at the start
    ends = [row[: max(np.count_nonzero(row) - 1, 0)] for row in tokens]
    mean: NDArray[np.float32] = published[np.concatenate(ends)].mean(axis=0)
    return mean
