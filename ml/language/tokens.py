"""Cuts texts into tokens of a vocabulary: words where they are known, else the longest known pieces (WordPiece)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tokenizers import Encoding

PADDING, UNKNOWN, BEGIN, END = "[PAD]", "[UNK]", "[CLS]", "[SEP]"
INSIDE = "##"
"""Before a piece that goes on where another ended."""
STEP = 8  # texts are filled up to a multiple: few shapes, for which an interpreter need not prepare itself anew
LONGEST_RUN = 500  # characters between blanks; Chinese has none


class Tokens:
    """A tokeniser as BERT has it: lower case, no accents (Devlin et al. 2019, arXiv:1810.04805).

    Args:
        vocabulary: A token's place is its number; padding is number 0. Pieces that may stand inside a word begin with `##`.
        runs: Words of a script without blanks, numbered on from there; each may stand at the start or inside. A run of such
            a script is cut at the longest word that is known, from left to right. Without them each character stands alone.
        longest: Tokens that are kept of a text.
    """

    def __init__(self, vocabulary: Sequence[str], runs: Sequence[str] = (), longest: int = 64) -> None:
        from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

        numbers = {word: number for number, word in enumerate([*vocabulary, *runs])}
        numbers |= {INSIDE + word: numbers[word] for word in runs}
        cutter: Any = Tokenizer(models.WordPiece(numbers, unk_token=UNKNOWN, max_input_chars_per_word=LONGEST_RUN))
        cutter.normalizer = normalizers.BertNormalizer(handle_chinese_chars=not runs)
        cutter.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        cutter.post_processor = processors.TemplateProcessing(
            single=f"{BEGIN} $A {END}", special_tokens=[(BEGIN, numbers[BEGIN]), (END, numbers[END])]
        )
        cutter.enable_truncation(longest)
        self._cutter = cutter

    def __call__(self, texts: Sequence[str]) -> NDArray[np.int32]:
        """Return tokens by number `(n_rows, n_tokens)`, filled up with 0."""
        found = [cut.ids for cut in self._cut(texts)]
        width = -(-max(map(len, found), default=1) // STEP) * STEP
        rows = np.zeros((len(found), width), dtype=np.int32)
        for row, ids in zip(rows, found, strict=True):
            row[: len(ids)] = ids
        return rows

    def places(self, text: str) -> list[tuple[int, int]]:
        """Return where in the text each of its tokens begins and ends, without those that mark its ends."""
        (cut,) = self._cut([text])
        return [place for place, is_mark in zip(cut.offsets, cut.special_tokens_mask, strict=True) if not is_mark]

    def _cut(self, texts: Sequence[str]) -> list[Encoding]:
        cut: list[Encoding] = self._cutter.encode_batch(list(texts))
        return cut
