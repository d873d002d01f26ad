"""Turns scores into what an answer holds: a probability and a decision, both fitted on validation days."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml.contract import JsonObject
from ml.use_cases.fraud import calibrate, policy

if TYPE_CHECKING:
    import pandas as pd

SCORE, PROBABILITY, DECISION = range(3)
"""Columns of what a predictor returns."""


@dataclass(frozen=True, kw_only=True)
class Finish:
    """What follows a score; plain JSON by `asdict`."""

    knots: JsonObject
    """Of `calibrate`."""
    costs: policy.Costs
    review_price: float
    """Of `policy` [currency of the amounts]."""

    def __call__(self, scores: NDArray[np.float64], amounts: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return scores, probabilities and decisions `(n_rows, 3)`."""
        probabilities = calibrate.apply(scores, self.knots)
        decisions = policy.decide(probabilities, amounts, self.costs, self.review_price)
        return np.column_stack([scores, probabilities, decisions])

    def plain(self) -> JsonObject:
        """Return it as JSON."""
        return asdict(self)


def finish_of(document: JsonObject) -> Finish:
    """Return what `Finish.plain` told."""
    costs = policy.Costs(**document["costs"])
    return Finish(knots=document["knots"], costs=costs, review_price=document["review_price"])


def fit(scores: NDArray[np.float64], valid: pd.DataFrame, state: JsonObject) -> Finish:
    """Calibrate scores `(n_rows,)` of the validation rows, and price reviews on them."""
    knots, costs = calibrate.fit(scores, valid["is_fraud"].to_numpy(dtype=np.int64)), policy.costs_of(state)
    amounts = valid["amount"].to_numpy(dtype=np.float64)
    price = policy.review_price(calibrate.apply(scores, knots), amounts, costs, max(valid["day"].nunique(), 1))
    return Finish(knots=knots, costs=costs, review_price=price)
