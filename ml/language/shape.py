"""What the weights of a text encoder look like; needs no library."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What the encoder's weights look like."""

    vocabulary: int
    """Tokens it knows; number 0 is padding."""
    places: int
    """Longest text [tokens]."""
    width: int
    heads: int
    inner: int
    """Units between the two layers of a block's feed-forward part."""
    blocks: int
    dropout: float = 0.1
    learns_words: bool = True
    """Whether training changes the words' vectors; if not, words that it never meets stay where they were among the others."""
