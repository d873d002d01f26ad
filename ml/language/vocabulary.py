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
    own = published[[numbers[piece] for piece in pieces]]
    return np.concatenate([own, _glossed(published, words)]) if words else own


def _glossed(published: Any, words: Sequence[str]) -> NDArray[np.float32]:
    """Return for each word the mean of the vectors of all tokens of its first meanings, each cut short."""
    meant = chinese.meanings()
    texts = [" ".join(" ".join(gloss.split()[:GLOSS_WORDS]) for gloss in meant[word][:GLOSSES]) for word in words]
    tokens = Tokens(minilm.words())(texts)
    lengths = np.count_nonzero(tokens, axis=1)
    within = np.arange(tokens.shape[1])
    is_word = (within > 0) & (within < lengths[:, None] - 1)  # without the marks at both ends
    found = np.zeros((len(words), published.shape[1]), dtype=np.float32)
    np.add.at(found, np.nonzero(is_word)[0], published[tokens[is_word]])
    return np.asarray(found / is_word.sum(axis=1, keepdims=True), dtype=np.float32)
