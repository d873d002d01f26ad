"""Gives products too new to be learned a small share of lists, by their category and the customer's taste for it.

chance(n | u) = share of category c in the customer's purchases · share of the category's purchases that go to n

The first is smoothed towards all customers: (count(u, c) + SMOOTHING · share(c)) / (count(u) + SMOOTHING), a Dirichlet prior
(Zhai and Lafferty 2004, doi:10.1145/984321.984322). The second is fitted beforehand (`newcomer_fit.py`). A list whose
likeliest new product reaches the least chance that was fitted keeps its tenth place for it.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml.contract import JsonObject, Reason
from ml.use_cases.recommend.catalogue import NEW, Catalogue, catalogue_of
from ml.use_cases.recommend.encode import STRENGTH, Positions, events_of, positions
from ml.use_cases.recommend.entry import Entry
from ml.use_cases.recommend.remembered import once_a_state

if TYPE_CHECKING:
    import pandas as pd

PLACE = 9  # of a list, from 0: the place that may go to a new product; shorter lists have none
LEAST_CHANCE = 1e-12  # whose logarithm is still a number
SMOOTHING = 20.0  # purchases: as much as all customers' taste weighs against one customer's


@dataclass(frozen=True, kw_only=True)
class Newcomers:
    """What is known of new products beside their attributes."""

    catalogue: Catalogue
    shares: NDArray[np.float64]
    """`(n_new,)` expected share of their category's purchases."""
    usual: NDArray[np.float64]
    """`(n_categories,)` share of each category in all purchases, by the catalogue's number of it."""
    since: datetime
    """Moment up to which they were counted: for what lies before they are unknown."""
    least: float
    """Chance from which one gets its place."""

    def tastes(self, found: Positions, n_rows: int) -> NDArray[np.float64]:
        """Return the smoothed share of each category in each customer's purchases `(n_rows, n_categories)`."""
        kinds, weights = self.catalogue.kinds[found.item], found.decayed[:, STRENGTH]
        width = len(self.usual)
        bought = np.bincount(found.row * width + kinds, weights=weights, minlength=n_rows * width)
        counts = bought.reshape(n_rows, width) + SMOOTHING * self.usual
        smoothed: NDArray[np.float64] = counts / counts.sum(axis=1, keepdims=True)
        return smoothed

    def likeliest(
        self, found: Positions, n_rows: int, left_out: AbstractSet[str] = frozenset()
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return the number and the chance of the new product each customer is likeliest to buy.

        Args:
            found: What was bought.
            n_rows: Customers.
            left_out: Products that are not wanted or cannot be delivered; of all the others is chosen.
        """
        first = self.firsts(left_out)
        chances = self.tastes(found, n_rows)[:, self.catalogue.kinds[first]]
        chances = chances * self.shares[first - self.catalogue.n_learned]
        best = chances.argmax(axis=1) if len(first) else np.zeros(0, dtype=np.int64)
        return first[best], chances[np.arange(len(best)), best]

    def firsts(self, left_out: AbstractSet[str] = frozenset()) -> NDArray[np.int64]:
        """Return the number of the new product of each category that is expected to sell most."""
        allowed = [number for number in self._ranked if self.catalogue.products[number] not in left_out]
        ranked = np.array(allowed, dtype=np.int64)
        _, first = np.unique(self.catalogue.kinds[ranked], return_index=True)
        return ranked[first]

    def entry(self, number: int, chance: float) -> Entry:
        """Return a new product with its reason: how much the customer's taste for its category differs from the usual."""
        category = self.catalogue.categories[number]
        share = self.shares[number - self.catalogue.n_learned]
        usual = float(np.log(max(share * self.usual[self.catalogue.kinds[number]], LEAST_CHANCE)))
        score = float(np.log(max(chance, LEAST_CHANCE)))
        text = f"because of what you bought of {category}"
        reason = Reason(text=text, contribution=score - usual, kind="category of a new product")
        return Entry(number=number, score=score, said=f"new in {category}", base=usual, reasons=(reason,))

    @cached_property
    def _ranked(self) -> list[int]:
        order: list[int] = (np.argsort(-self.shares, kind="stable") + self.catalogue.n_learned).tolist()
        return order


@once_a_state
def newcomers_of(state: JsonObject) -> Newcomers | None:
    """Return what a fitted state knows of new products, if there are any."""
    catalogue, new = catalogue_of(state), state.get(NEW)
    if not new or not catalogue.n_new:
        return None
    named = dict(zip(catalogue.categories, catalogue.kinds.tolist(), strict=True))
    usual = np.zeros(len(named))
    for category, share in new["usual"].items():
        if category in named:
            usual[named[category]] = share
    return Newcomers(
        catalogue=catalogue,
        shares=np.array(new["shares"], dtype=np.float64),
        usual=usual,
        since=datetime.fromisoformat(new["since"]),
        least=float(new["least"]),
    )


def placed(
    listed: list[Entry], state: JsonObject, found: Positions, now: datetime, left_out: AbstractSet[str]
) -> list[Entry]:
    """Return a customer's list, its tenth place given to the likeliest new product where that is likely enough."""
    newcomers = newcomers_of(state)
    if newcomers is None or len(listed) <= PLACE or now < newcomers.since:
        return listed
    numbers, chances = newcomers.likeliest(found, 1, left_out)
    if not len(numbers) or chances[0] < newcomers.least:
        return listed
    entry = newcomers.entry(int(numbers[0]), float(chances[0]))
    return [*listed[:PLACE], entry, *listed[PLACE + 1 :]]


def with_newcomers(best: NDArray[np.int64], examples: pd.DataFrame, state: JsonObject) -> NDArray[np.int64]:
    """Return lists `(n_rows, k)` as they are shown: some with a new product at their tenth place."""
    newcomers = newcomers_of(state)
    if newcomers is None or best.shape[1] <= PLACE:
        return best
    is_later = (examples["time"] >= newcomers.since).to_numpy()
    if not is_later.any():
        return best
    number, chance = newcomers.likeliest(positions(events_of(examples, state)), len(examples))
    gets = is_later & (chance >= newcomers.least)
    shown = best.copy()
    shown[gets, PLACE] = number[gets]
    return shown
