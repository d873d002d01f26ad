"""Turns scores into what an answer holds: a probability and a decision, both chosen on validation days."""

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
    """What follows a score."""

    knots: JsonObject
    """Of `calibrate`."""
    thresholds: policy.Thresholds

    def __call__(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return scores, probabilities and decisions `(n_rows, 3)`."""
        probabilities = calibrate.apply(scores, self.knots)
        return np.column_stack([scores, probabilities, policy.decide(scores, probabilities, self.thresholds)])

    def plain(self) -> JsonObject:
        """Return it as JSON."""
        review_from = self.thresholds.review_from
        told = {**asdict(self.thresholds), "review_from": review_from if np.isfinite(review_from) else None}
        return {"knots": self.knots, "thresholds": told}


def finish_of(document: JsonObject) -> Finish:
    """Return what `Finish.plain` told."""
    told = document["thresholds"]
    review_from = np.inf if told["review_from"] is None else told["review_from"]
    thresholds = policy.Thresholds(review_from=review_from, decline_from=told["decline_from"])
    return Finish(knots=document["knots"], thresholds=thresholds)


def fit(scores: NDArray[np.float64], valid: pd.DataFrame, state: JsonObject) -> Finish:
    """Calibrate scores `(n_rows,)` of the validation rows and choose the thresholds on them."""
    is_fraud = valid["is_fraud"].to_numpy(dtype=np.int64)
    knots = calibrate.fit(scores, is_fraud)
    past = policy.Past(
        scores=scores,
        probabilities=calibrate.apply(scores, knots),
        amounts=valid["amount"].to_numpy(dtype=np.float64),
        is_fraud=is_fraud,
        n_days=valid["day"].nunique(),
    )
    return Finish(knots=knots, thresholds=policy.choose(past, policy.costs_of(state)))
