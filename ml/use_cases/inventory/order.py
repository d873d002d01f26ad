"""How many packs to order now: the number with the least expected holding and shortage over the protection interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.use_cases.inventory.protection import ProtectedDemand


@dataclass(frozen=True, kw_only=True)
class Worth:
    """What decides an order's size; each `(n_lines,)`."""

    holding: NDArray[np.float64]
    """A unit left at the end of the interval [money], above 0."""
    shortage: NDArray[np.float64]
    """A unit short at the end of the interval [money], above 0."""
    pack: NDArray[np.float64]
    """Units of a pack, above 0."""
    least_packs: NDArray[np.int64]
    """Packs of the smallest order that a supplier takes."""

    @property
    def ratio(self) -> NDArray[np.float64]:
        """The critical ratio p / (p + h)."""
        return np.asarray(self.shortage / (self.shortage + self.holding))


def best_packs(position: NDArray[np.float64], demand: ProtectedDemand, worth: Worth) -> NDArray[np.int64]:
    """Return the cheapest number of packs for each line, on its own; of equal ones the smaller.

    Expected cost is convex in the level, so the best is next to the critical quantile, below or above it. An order below
    the supplier's minimum is raised to it where that still beats ordering nothing.

    Args:
        position: Stock on hand and on order, less backorders `(n_lines,)` [units].
        demand: Over each line's protection interval.
        worth: Costs, packs and minimum orders.
    """
    wanted = np.maximum(demand.quantile(worth.ratio) - position, 0.0) / worth.pack
    fewer = np.floor(np.round(wanted, 9))
    more = np.ceil(np.round(wanted, 9))
    best = np.where(_costs(more, position, demand, worth) < _costs(fewer, position, demand, worth), more, fewer)
    raised = np.maximum(best, worth.least_packs)
    saves = _costs(raised, position, demand, worth) < _costs(np.zeros_like(best), position, demand, worth)
    return np.where((best > 0) & saves, raised, 0).astype(np.int64)


def _costs(
    packs: NDArray[np.float64], position: NDArray[np.float64], demand: ProtectedDemand, worth: Worth
) -> NDArray[np.float64]:
    return demand.expected_costs(position + packs * worth.pack, worth.holding, worth.shortage)
