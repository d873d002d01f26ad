"""A made-up shop whose customers' answers to any list are known exactly, so that estimates and policies have a truth.

The product at a place is clicked with chance `bias[place] · σ(level + β · features + bend · x₁² + mood)`: the learner's
linear model is wrong about the square, the bias and the moods, and customers come again with the mood they have.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.bandit.choice import Choices, Numbers, drawn
from ml.bandit.learn import Log

ARMS = 3
BIAS = np.array([1.0, 0.8, 0.65])  # chance that a place is looked at
VISITS = 3  # of each customer
MOOD = 0.5  # spread of what a customer is inclined to [log-odds]


@dataclass(frozen=True, kw_only=True)
class Shop:
    """How customers decide; the base list ranks by the first feature alone."""

    beta: tuple[float, ...]
    """What features are worth [log-odds]."""
    bend: float = 0.0
    """Of the square of the second feature [log-odds]."""
    level: float = -2.5
    """Of a middling product at a place that is looked at [log-odds]."""


@dataclass(frozen=True, kw_only=True)
class Visits:
    """Lists that were asked for, one row a drawn place."""

    choices: Choices
    units: NDArray[np.int64]
    """`(n_rows,)` customers."""
    click: Numbers
    """`(n_rows, n_arms)` chance of a click on each arm, stood it there."""


def visit(shop: Shop, n_units: int, rng: np.random.Generator, first: int = 0) -> Visits:
    """Return the visits of customers who are numbered from `first`; arms come in the base list's order."""
    n_lists, places = n_units * VISITS, len(BIAS)
    features = rng.normal(size=(n_lists, places, ARMS, len(shop.beta)))
    features[..., 0] = -np.sort(-features[..., 0], axis=2)
    mood = np.repeat(rng.normal(scale=MOOD, size=n_units), VISITS)
    odds = shop.level + features @ np.array(shop.beta) + shop.bend * features[..., 1] ** 2 + mood[:, None, None]
    rows = n_lists * places
    return Visits(
        choices=Choices(features=features.reshape(rows, ARMS, -1), is_there=np.ones((rows, ARMS), dtype=bool)),
        units=first + np.repeat(np.arange(n_units), VISITS * places),
        click=(BIAS[:, None] / (1 + np.exp(-odds))).reshape(rows, ARMS),
    )


def answer(visits: Visits, chance: Numbers, rng: np.random.Generator) -> Log:
    """Draw what is shown, with chances `(n_rows, n_arms)`, and what is clicked."""
    shown = drawn(chance, rng.random(len(chance)))
    clicked = rng.random(len(chance)) < visits.click[np.arange(len(shown)), shown]
    return Log(choices=visits.choices, chance=chance, shown=shown, reward=clicked.astype(float), units=visits.units)


def worth(visits: Visits, chance: Numbers) -> float:
    """Return the true clicks a place that a policy with chances `(n_rows, n_arms)` expects."""
    return float((visits.click * chance).sum(axis=1).mean())
