"""Moves stock through time under a policy, many lines at once; a line is a series, or one sample path of it.

In each period, in this order: where a review is due, the policy orders; what is due arrives; backorders are served; demand
comes; what is left is held, what is short is backordered or lost. With lead time L an order of period t serves demand from
period t + L on, and the next one from t + L + R on: a level has to last for lead time plus review period.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats: TypeAlias = NDArray[np.float64]
PerLine: TypeAlias = "float | Floats"
"""One figure for all lines, or one a line `(n_lines,)`."""
Policy: TypeAlias = Callable[[int, Floats], Floats]
"""(period, stock on hand and on order less backorders `(n_lines,)`) -> units wanted `(n_lines,)`; below 0 counts as 0."""

MOVES = ("ordered", "received", "filled", "shipped", "on_hand", "owed")


@dataclass(frozen=True, kw_only=True)
class Supply:
    """How a shop is supplied."""

    lead_time: int | NDArray[np.int64] = 0
    """From order to delivery [periods]; where it varies, drawn ahead for an order of each period `(n_lines, n_periods)`."""
    review_every: int = 1
    """Periods from one chance to order to the next: 1 is daily where periods are days, 7 weekly."""
    pack: PerLine | None = None
    """Units of a pack; orders are rounded up to whole packs. None: any quantity can be ordered."""
    is_lost: bool = False
    """Whether demand that is not served at once is lost; otherwise it waits."""

    def __post_init__(self) -> None:
        if self.review_every < 1 or np.min(self.lead_time) < 0 or (self.pack is not None and np.min(self.pack) <= 0):
            raise ValueError(f"Expected review ≥ 1, lead time ≥ 0, pack > 0. Received {self}. Correct the supply.")


@dataclass(frozen=True, kw_only=True)
class Movement:
    """What happened; each `(n_lines, n_periods)` [units] but the start."""

    start: Floats
    """Stock on hand before the first period `(n_lines,)`."""
    demand: Floats
    ordered: Floats
    received: Floats
    shipped: Floats
    """To customers, backorders included."""
    filled: Floats
    """Demand served at once."""
    on_hand: Floats
    """At the end of the period."""
    owed: Floats
    """Backorders at the end of the period."""
    review_every: int
    is_lost: bool

    @property
    def short(self) -> Floats:
        """Demand that was not served at once."""
        return self.demand - self.filled


def simulate(demand: ArrayLike, policy: Policy, supply: Supply, *, start: PerLine = 0.0) -> Movement:
    """Return how stock moves.

    Args:
        demand: `(n_lines, n_periods)` [units], at least 0.
        policy: Asked in period 0 and every `review_every` periods after it.
        supply: Lead time, review, packs, lost sales or backorders.
        start: Stock on hand before the first period, one or `(n_lines,)`; nothing is on order.
    """
    asked = np.asarray(demand, dtype=np.float64)
    if asked.ndim != 2 or not (asked >= 0).all():
        raise ValueError(f"Expected demand (n_lines, n_periods) of at least 0. Received shape {asked.shape}. Check it.")
    first = np.array(np.broadcast_to(np.asarray(start, dtype=np.float64), len(asked)))
    shelf = _Shelf(first, np.broadcast_to(np.asarray(supply.lead_time, dtype=np.int64), asked.shape))
    seen: dict[str, list[Floats]] = {name: [] for name in MOVES}
    for period in range(asked.shape[1]):
        is_due = period % supply.review_every == 0
        wanted = policy(period, shelf.position) if is_due else np.zeros(len(asked))
        seen["ordered"].append(shelf.order(period, in_packs(wanted, supply.pack)))
        seen["received"].append(shelf.receive(period))
        filled, shipped = shelf.serve(asked[:, period], is_lost=supply.is_lost)
        for name, values in (
            ("filled", filled),
            ("shipped", shipped),
            ("on_hand", shelf.on_hand),
            ("owed", shelf.owed),
        ):
            seen[name].append(values)
    columns = {name: np.array(values).reshape(asked.shape[::-1]).T for name, values in seen.items()}
    return Movement(start=first, demand=asked, review_every=supply.review_every, is_lost=supply.is_lost, **columns)


class _Shelf:
    """Stock of each line `(n_lines,)`, and what is due in each period."""

    def __init__(self, start: Floats, lead: NDArray[np.int64]) -> None:
        n_lines, n_periods = lead.shape
        self.on_hand = start
        self.owed = np.zeros(n_lines)
        self._on_order = np.zeros(n_lines)
        self._lead = lead
        self._due = np.zeros((n_lines, n_periods + int(lead.max(initial=0))))

    @property
    def position(self) -> Floats:
        return np.asarray(self.on_hand - self.owed + self._on_order)

    def order(self, period: int, units: Floats) -> Floats:
        self._due[np.arange(len(units)), period + self._lead[:, period]] += units
        self._on_order = self._on_order + units
        return units

    def receive(self, period: int) -> Floats:
        arrived = self._due[:, period].copy()
        self._on_order = self._on_order - arrived
        self.on_hand = self.on_hand + arrived
        return arrived

    def serve(self, asked: Floats, *, is_lost: bool) -> tuple[Floats, Floats]:
        """Return what was served at once, and what was shipped with backorders."""
        late = np.minimum(self.on_hand, self.owed)
        filled = np.minimum(self.on_hand - late, asked)
        self.on_hand = self.on_hand - late - filled
        self.owed = np.zeros_like(asked) if is_lost else self.owed - late + asked - filled
        return filled, late + filled


def in_packs(wanted: Floats, pack: PerLine | None) -> Floats:
    """Round up to whole packs; nothing is wanted below 0."""
    units = np.maximum(wanted, 0.0)
    if pack is None:
        return units
    size = np.asarray(pack, dtype=np.float64)
    # Rounded, because 0.3 units are 3 packs of 0.1, though 0.3 / 0.1 is a little less or more.
    return np.asarray(np.ceil(np.round(units / size, 9)) * size)


def up_to(level: PerLine) -> Policy:
    """Order up to a level at every review."""
    return lambda _period, position: np.asarray(level - position)


def between(reorder: PerLine, level: PerLine) -> Policy:
    """(s, S): order up to a level where stock is at the reorder point or below it."""
    return lambda _period, position: np.where(position <= reorder, level - position, 0.0)


def in_lots(point: PerLine, quantity: PerLine) -> Policy:
    """(r, nQ): order the fewest lots that bring stock above the reorder point, where it is not above it."""

    def policy(_period: int, position: Floats) -> Floats:
        lots = np.floor((point - position) / np.asarray(quantity)) + 1
        return np.asarray(np.where(position <= point, lots * quantity, 0.0))

    return policy
