"""How many packs each line orders now, on its own: the cheapest number, or the fewest that keep a promised service level."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.use_cases.inventory.protection import ProtectedDemand


@dataclass(frozen=True, kw_only=True)
class Need:
    """What decides an order's size; each `(n_lines,)`."""

    position: NDArray[np.float64]
    """Stock on hand and on order, less backorders [units]."""
    demand: ProtectedDemand
    """Over each line's protection interval."""
    holding: NDArray[np.float64]
    """A unit left at the end of the interval [money], above 0."""
    shortage: NDArray[np.float64]
    """A unit short at the end of the interval [money], above 0."""
    pack: NDArray[np.float64]
    """Units of a pack, above 0."""
    least_packs: NDArray[np.int64]
    """Packs of the smallest order that the supplier takes, at least 1."""

    @property
    def ratio(self) -> NDArray[np.float64]:
        """The critical ratio p / (p + h)."""
        return np.asarray(self.shortage / (self.shortage + self.holding))

    def costs(self, packs: NDArray[np.int64], lines: NDArray[np.intp] | None = None) -> NDArray[np.float64]:
        """Return h E[(y − D)⁺] + p E[(D − y)⁺] after an order; one a line, or of the lines that are named beside it."""
        at = np.arange(len(self.position)) if lines is None else lines
        level = self.position[at] + packs * self.pack[at]
        left = self.demand.expected_left(level, at)
        return np.asarray(self.holding[at] * left + self.shortage[at] * (left + self.demand.expected[at] - level))


def best_packs(need: Need) -> NDArray[np.int64]:
    """Return the cheapest number of packs for each line, on its own; of equal ones the smaller.

    Expected cost is convex in the level, so the best is next to the critical quantile, below or above it. An order below
    the supplier's minimum is raised to it where that still beats ordering nothing.
    """
    wanted = _gap(need)
    fewer, more = np.floor(wanted).astype(np.int64), np.ceil(wanted).astype(np.int64)
    best = np.where(need.costs(more) < need.costs(fewer), more, fewer)
    raised = np.maximum(best, need.least_packs)
    pays = (best > 0) & (need.costs(raised) < need.costs(np.zeros_like(best)))
    return np.where(pays, raised, 0)


def promised_packs(need: Need) -> NDArray[np.int64]:
    """Return the fewest packs that lift each line to its critical quantile, and no fewer than the supplier takes."""
    wanted = _gap(need)
    return np.where(wanted > 0, np.maximum(np.ceil(wanted), need.least_packs), 0).astype(np.int64)


def _gap(need: Need) -> NDArray[np.float64]:
    """Return the packs, in fractions, that are lacking to the critical quantile."""
    lacking = np.maximum(need.demand.quantile(need.ratio) - need.position, 0.0)
    # Rounded, because a gap of 0.3 is 3 packs of 0.1, though 0.3 / 0.1 is a little less or more.
    return np.asarray(np.round(lacking / need.pack, 9))
