"""What is found in a text: where it stands, what it is, how sure the finder is."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, get_args

Kind: TypeAlias = Literal[
    "NAME", "ADDRESS", "EMAIL", "PHONE", "CARD", "IBAN", "ID", "ACCOUNT", "PLATE", "IP", "URL", "SECRET"
]
"""What is personal. ID is a resident, social-security, passport, tax or driver's number; ACCOUNT a messenger's name (WeChat,
QQ); SECRET a password, PIN or code."""
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True, order=True)
class Span:
    """Characters `start` to `end` (exclusive) of a text."""

    start: int
    end: int
    type: Kind
    score: float
    """How sure the finder is [0..1]: 1 where a checksum holds, else a pattern's or the tagger's."""


def without_overlap(spans: Iterable[Span]) -> list[Span]:
    """Return spans in text order; of two that overlap the surer one stays, then the longer, then the earlier."""
    kept: list[Span] = []
    for span in sorted(spans, key=lambda one: (-one.score, one.start - one.end, one.start)):
        at = bisect_left(kept, span)
        before, after = kept[at - 1 : at] if at else [], kept[at : at + 1]
        if span.start < span.end and all(one.end <= span.start or span.end <= one.start for one in [*before, *after]):
            kept.insert(at, span)
    return kept


def outside(spans: Iterable[Span], held: Sequence[tuple[int, int]], text: str) -> Iterator[Span]:
    """Yield what is left of spans beside places that stay as they are; what is left without a letter or digit is none.

    Args:
        spans: Spans in any order.
        held: Places (start, end) in text order that do not overlap.
        text: What both are places of.
    """
    ends = [end for _, end in held]
    for span in spans:
        at = span.start
        for start, end in _from(held, bisect_left(ends, span.start + 1), span.end):
            yield from _said(replace(span, start=at, end=max(start, at)), text)
            at = end
        yield from _said(replace(span, start=at, end=max(span.end, at)), text)


def _from(held: Sequence[tuple[int, int]], first: int, until: int) -> Iterator[tuple[int, int]]:
    for at in range(first, len(held)):
        if held[at][0] >= until:
            return
        yield held[at]


def _said(span: Span, text: str) -> Iterator[Span]:
    if any(char.isalnum() for char in text[span.start : span.end]):
        yield span
