"""What is found in a text: where it stands, what it is, how sure the finder is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

Kind: TypeAlias = Literal["NAME", "ADDRESS", "EMAIL", "PHONE", "CARD", "IBAN", "ID", "ACCOUNT", "PLATE", "IP", "URL"]
"""What is personal. ID is a resident, social-security, passport or driver's number; ACCOUNT a messenger's name (WeChat, QQ)."""
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
        if all(span.end <= other.start or other.end <= span.start for other in kept):
            kept.append(span)
    return sorted(kept)
