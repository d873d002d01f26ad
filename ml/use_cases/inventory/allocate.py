"""Shares a budget and a capacity among lines: packs in order of the expected cost they save a unit of money.

Marginal analysis (Fox 1966, doi:10.1287/mnsc.13.3.210). Expected cost is convex in the number of packs, so a line's next
pack never saves more than the one before it, and taking packs in order of saving per money never wants a later one first.
A step that does not fit is left out with all that follow it on its line, and the search goes on with what still fits.

When it is optimal: with one limit, (1) whenever the limit is exactly used up, or holds all that is wanted, before a step is
left out, and (2) always, where all steps take equal amounts of the limit. Otherwise less is lost than what the first step
that was left out saves (the bound of the linear relaxation; Dantzig 1957, doi:10.1287/opre.5.2.266). With two
binding limits it is a heuristic: steps are ranked by money alone.

A smaller budget never raises the spend: up to the first step that only the larger budget takes, both agree, and from there
on the smaller one has less left than that step costs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.use_cases.inventory.order import Need

ROUNDING = 1e-9  # of a limit: sums of prices are not refused for their last bit


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What all lines share."""

    budget: float = math.inf
    """Money, at least 0."""
    capacity: float = math.inf
    """Room for what is ordered [units of volume], at least 0."""

    def __post_init__(self) -> None:
        if not (self.budget >= 0 and self.capacity >= 0):
            raise ValueError(f"Expected budget and capacity of at least 0. Received {self}. Correct the limit.")


@dataclass(frozen=True, kw_only=True)
class Steps:
    """What can be bought, best first; each `(n_steps,)`."""

    line: NDArray[np.intp]
    packs: NDArray[np.int64]
    """A line's first step is the supplier's smallest order, each later one a pack."""
    saving: NDArray[np.float64]
    """Expected cost it saves [money]."""
    spend: NDArray[np.float64]
    """[money]"""
    room: NDArray[np.float64]
    """[units of volume]"""


def rank_steps(
    need: Need, wanted: NDArray[np.int64], pack_price: NDArray[np.float64], pack_room: NDArray[np.float64]
) -> Steps:
    """Return the steps to the wanted packs in order of saving per money, then of line.

    Args:
        need: What decides each line's cost.
        wanted: Packs that each line would order on its own `(n_lines,)`.
        pack_price: [money], above 0.
        pack_room: [units of volume], above 0.
    """
    count = np.where(wanted > 0, wanted - need.least_packs + 1, 0)
    line = np.repeat(np.arange(len(count)), count)
    number = np.arange(len(line)) - np.repeat(np.cumsum(count) - count, count)
    after = need.least_packs[line] + number
    before = np.where(number == 0, 0, after - 1)
    saving = need.costs(before, line) - need.costs(after, line)
    packs = after - before
    spend, room = packs * pack_price[line], packs * pack_room[line]
    import pandas as pd

    # Rounding in the last bit may not put a pack before its predecessor.
    worth = pd.Series(saving / spend).groupby(line).cummin().to_numpy()
    best = np.lexsort((number, line, -worth))
    return Steps(line=line[best], packs=packs[best], saving=saving[best], spend=spend[best], room=room[best])


def allocate(steps: Steps, limits: Limits, n_lines: int) -> NDArray[np.int64]:
    """Return how many packs each line gets `(n_lines,)`."""
    taken = _take(steps, limits)
    return np.bincount(steps.line[taken], weights=steps.packs[taken], minlength=n_lines).astype(np.int64)


def _take(steps: Steps, limits: Limits) -> NDArray[np.intp]:
    """Return the places of the steps that are taken.

    Each round takes all steps up to the first that does not fit, and drops the lines that can take no more.
    """
    use = np.column_stack([steps.spend, steps.room])
    left = np.array([limits.budget, limits.capacity])
    slack = np.where(np.isfinite(left), left, 0.0) * ROUNDING
    open_steps, taken = np.arange(len(steps.line)), [np.zeros(0, dtype=np.intp)]
    while open_steps.size:
        fits = (np.cumsum(use[open_steps], axis=0) <= left + slack).all(axis=1)
        first = int(np.append(fits, False).argmin())
        taken.append(open_steps[:first])
        left = left - use[open_steps[:first]].sum(axis=0)
        open_steps = open_steps[first:]
        too_large = (use[open_steps] > left + slack).any(axis=1)
        open_steps = open_steps[~np.isin(steps.line[open_steps], steps.line[open_steps[too_large]])]
    return np.concatenate(taken)
