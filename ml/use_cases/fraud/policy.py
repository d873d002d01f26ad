"""Decides what happens to a payment: whatever is expected to cost least, as far as people have time to look."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.contract import JsonObject

APPROVE, REVIEW, DECLINE = range(3)
DECISIONS = ("approve", "review", "decline")

Numbers = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What decisions cost [currency of the amounts]; an approved fraud costs its amount."""

    reviews_per_day: int
    review_cost: float
    decline_loss: float
    """What a declined genuine payment costs, in multiples of its amount."""


def costs_of(state: JsonObject) -> Costs:
    """Return the costs of a fitted state."""
    return Costs(**state["costs"])


def decide(probabilities: Numbers, amounts: Numbers, costs: Costs, review_price: float) -> NDArray[np.int64]:
    """Return `APPROVE`, `REVIEW` or `DECLINE` `(n_rows,)`: the least of three expected costs, the earlier one of equals.

    With probability p and amount a: approving p · a, reviewing `review_price`, declining (1 − p) · loss · a. Costs that
    depend on the example: Elkan 2001, "The foundations of cost-sensitive learning", IJCAI.
    """
    approved, declined = _without_review(probabilities, amounts, costs)
    reviewed = np.full(len(amounts), review_price)
    least: NDArray[np.int64] = np.stack([approved, reviewed, declined]).argmin(axis=0)
    return least


def review_price(probabilities: Numbers, amounts: Numbers, costs: Costs, n_days: int) -> float:
    """Return the price of a review at which past days would have had `reviews_per_day` on average, at least its cost.

    What the capacity adds to the cost is the saving of the best payment that found no place.

    Args:
        probabilities: Of validation rows `(n_rows,)`.
        amounts: Of the same rows.
        costs: Costs and capacity.
        n_days: Days they were paid on.
    """
    worth = np.sort(np.minimum(*_without_review(probabilities, amounts, costs)))[::-1]
    places = costs.reviews_per_day * n_days
    left_out = worth[places] if len(worth) > places else 0.0
    return max(costs.review_cost, float(left_out))


def cost(decisions: NDArray[np.int64], amounts: Numbers, is_fraud: NDArray[np.int64], costs: Costs) -> Numbers:
    """Return what each decision cost `(n_rows,)` [currency of the amounts]."""
    approved, declined = _without_review(is_fraud.astype(np.float64), amounts, costs)
    return np.choose(decisions, [approved, np.full(len(amounts), costs.review_cost), declined])


def _without_review(probabilities: Numbers, amounts: Numbers, costs: Costs) -> tuple[Numbers, Numbers]:
    """Return the expected costs of approving and of declining."""
    return probabilities * amounts, (1 - probabilities) * costs.decline_loss * amounts
