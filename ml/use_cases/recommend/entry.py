"""One product of a list with what is said of it."""

from __future__ import annotations

from dataclasses import dataclass

from ml.contract import Explanation, Reason


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A product, what it is ranked by, and why."""

    number: int
    """In the catalogue."""
    score: float
    said: str
    """The strongest reason in a few words."""
    base: float = 0.0
    reasons: tuple[Reason, ...] = ()

    def explained(self, name: str) -> Explanation:
        """Return base, reasons and residual under the product's name."""
        residual = self.score - self.base - sum(reason.contribution for reason in self.reasons)
        return Explanation(subject=name, score=self.score, base=self.base, reasons=self.reasons, residual=residual)
