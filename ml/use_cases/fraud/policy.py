"""Decides what happens to a payment: which mistakes cost what, and from which score on people look."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.contract import JsonObject

APPROVE, REVIEW, DECLINE = range(3)
DECISIONS = ("approve", "review", "decline")


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What decisions cost [currency of the amounts]; an approved fraud costs its amount."""

    reviews_per_day: int
    review_cost: float
    decline_loss: float
    """What a declined genuine payment costs, in multiples of its amount."""

    @property
    def decline_from(self) -> float:
        """The probability from which declining is cheaper than approving: p · amount > (1 − p) · loss · amount.

        The threshold p > loss / (1 + loss) of Elkan 2001, "The foundations of cost-sensitive learning", IJCAI.
        """
        return self.decline_loss / (1 + self.decline_loss)


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """From where on a payment is not simply approved."""

    review_from: float
    """Score (log-odds before calibration)."""
    decline_from: float
    """Probability."""


@dataclass(frozen=True, kw_only=True)
class Past:
    """Validation rows whose outcome is known; each array `(n_rows,)`."""

    scores: NDArray[np.float64]
    probabilities: NDArray[np.float64]
    amounts: NDArray[np.float64]
    is_fraud: NDArray[np.int64]
    n_days: int


def costs_of(state: JsonObject) -> Costs:
    """Return the costs of a fitted state."""
    return Costs(**state["costs"])


def choose(past: Past, costs: Costs) -> Thresholds:
    """Return the thresholds: whom to look at is what would have cost least on the past days.

    Of the payments that are not declined, the highest scored are reviewed, on average at most `reviews_per_day` a day. A
    reviewed fraud saves its amount and each review costs; equal scores are reviewed together or not at all.
    """
    left = past.probabilities < costs.decline_from
    order = np.argsort(-past.scores[left], kind="stable")
    scores = past.scores[left][order]
    saved = np.cumsum((past.amounts * past.is_fraud)[left][order] - costs.review_cost)
    is_last = np.append(np.diff(scores) != 0, True)[: len(scores)]
    possible = np.flatnonzero(is_last & (np.arange(1, len(scores) + 1) <= costs.reviews_per_day * past.n_days))
    best = possible[np.argmax(saved[possible])] if len(possible) else -1
    pays = best >= 0 and saved[best] > 0
    return Thresholds(review_from=float(scores[best]) if pays else np.inf, decline_from=costs.decline_from)


def decide(
    scores: NDArray[np.float64], probabilities: NDArray[np.float64], thresholds: Thresholds
) -> NDArray[np.int64]:
    """Return `APPROVE`, `REVIEW` or `DECLINE` for each row."""
    reviewed = np.where(scores >= thresholds.review_from, REVIEW, APPROVE)
    return np.where(probabilities >= thresholds.decline_from, DECLINE, reviewed)


def cost(
    decisions: NDArray[np.int64], amounts: NDArray[np.float64], is_fraud: NDArray[np.int64], costs: Costs
) -> NDArray[np.float64]:
    """Return what each decision cost `(n_rows,)` [currency of the amounts]."""
    approved = np.where(is_fraud == 1, amounts, 0.0)
    declined = np.where(is_fraud == 1, 0.0, costs.decline_loss * amounts)
    return np.choose(decisions, [approved, np.full(len(amounts), costs.review_cost), declined])
