"""What one step of maintenance did or, on a trial, would do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field

from ml.contract import JsonObject

SENTENCES, LENGTH = 20, 400
"""Most sentences of a kind that a step tells, and most characters of one."""


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
        told = {kind: _bounded(getattr(self, kind)) for kind in ("notes", "warnings", "faults")}
        return {**asdict(self), **told}


def _bounded(sentences: list[str]) -> list[str]:
    shown = [one if len(one) <= LENGTH else f"{one[:LENGTH]}…" for one in sentences[:SENTENCES]]
    more = len(sentences) - len(shown)
    return [*shown, f"… and {more} more; see the step's log."] if more else shown
