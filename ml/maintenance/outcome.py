"""What one step of maintenance did or, on a trial, would do."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field

from ml.contract import JsonObject

SHORTER = ((20, 400), (8, 400), (4, 200), (2, 80))
"""Most sentences of a kind that a step tells, and most characters of one: the first pair that keeps an account short enough."""
ACCOUNT = 7 * 1024
"""Longest account as JSON: those of all steps together are one request of the report, of at most 64 KiB [bytes]."""


@dataclass(frozen=True, kw_only=True)
class Removed:
    """Things of one kind that were removed."""

    kind: str
    number: int
    size: int
    """[bytes]"""


@dataclass(kw_only=True)
class Outcome:
    """A step's own account."""

    step: str
    removed: list[Removed] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """Sentences about what was looked at and is in order."""
    warnings: list[str] = field(default_factory=list)
    """Sentences about what needs a person, each with the remedy."""
    faults: list[str] = field(default_factory=list)
    """Sentences about what failed; the step counts as failed."""

    def count(self, kind: str, sizes: Iterable[int]) -> None:
        """Add things of one kind by their sizes [bytes]."""
        known = list(sizes)
        self.removed.append(Removed(kind=kind, number=len(known), size=sum(known)))

    def to_json(self) -> JsonObject:
        """Return it as the next step reads it: of bounded length, whoever wrote what it quotes."""
        told: JsonObject = {}
        for most, length in SHORTER:
            told = asdict(self) | {
                kind: _bounded(getattr(self, kind), most, length) for kind in ("notes", "warnings", "faults")
            }
            if len(json.dumps(told)) <= ACCOUNT:
                break
        return told


def _bounded(sentences: list[str], most: int, length: int) -> list[str]:
    shown = [one if len(one) <= length else f"{one[:length]}…" for one in sentences[:most]]
    more = len(sentences) - len(shown)
    return [*shown, f"… and {more} more; see the step's log."] if more else shown
