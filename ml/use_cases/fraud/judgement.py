"""How scores, probabilities and decisions are judged on held-out payments, and the simple rules they have to beat."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml.contract import Frames, JsonObject
from ml.use_cases.fraud import boost, figures, policy, verdict
from ml.use_cases.fraud.params import FraudTrain

if TYPE_CHECKING:
    import pandas as pd

Scores = NDArray[np.float32]
Numbers = NDArray[np.float64]
HELD_OUT = ("valid", "test")
LEAST = 1e-7  # of a probability: a float32 cannot tell 1 from what is closer


def measure(scores: Scores, examples: pd.DataFrame, state: JsonObject) -> pd.DataFrame:
    """Return the columns that the metrics are worked out from, one row a payment.

    `log_loss` is −log of the probability of what happened; `cost` what the decision cost [currency of the amounts];
    `caught` and `places` sum to card precision as `figures.card_precision` defines it.
    """
    import pandas as pd

    label = examples["is_fraud"].to_numpy(dtype=np.int64)
    p = scores[:, verdict.PROBABILITY].astype(np.float64)
    told = np.where(label == 1, p, 1 - p)
    cost = policy.cost(_decisions(scores), _amounts(examples), label, policy.costs_of(state))
    values = {
        "score": scores[:, verdict.SCORE].astype(np.float64),
        "label": label.astype(np.float64),
        "probability": p,
        "log_loss": -np.log(np.maximum(told, LEAST)),
        "cost": cost,
    }
    return pd.DataFrame(values, index=examples.index).join(figures.checked_cards(_scored(scores, examples)))


def summarise(scores: Scores, examples: pd.DataFrame, state: JsonObject) -> dict[str, float]:  # noqa: ARG001 - called as the contract says
    """Return figures of all payments together.

    `reviewed_a_day`, `declined_a_day`: payments a day. `fraud_caught`: share of the frauds that were reviewed or declined;
    `amount_caught`: the same of their amounts.
    """
    label, decisions, amounts = examples["is_fraud"].to_numpy(dtype=np.int64), _decisions(scores), _amounts(examples)
    n_days, caught = max(examples["day"].nunique(), 1), (decisions != policy.APPROVE) & (label == 1)
    return {
        "reviewed_a_day": float((decisions == policy.REVIEW).sum() / n_days),
        "declined_a_day": float((decisions == policy.DECLINE).sum() / n_days),
        "fraud_caught": float(caught.sum() / max(label.sum(), 1)),
        "amount_caught": float(amounts[caught].sum() / max(amounts[label == 1].sum(), 1e-9)),
    }


def by_amount(splits: Frames, state: JsonObject) -> Scores:
    """Rank by amount."""
    return _finished({name: _amounts(splits[name]) for name in HELD_OUT}, splits, state)


def by_velocity(splits: Frames, state: JsonObject) -> Scores:
    """Rank by a rule of thumb: times the usual amount, times the payments of the card within a day."""
    times = {name: splits[name]["amount_to_mean"].fillna(1.0) * splits[name]["card_count_1d"] for name in HELD_OUT}
    return _finished({name: one.to_numpy(dtype=np.float64) for name, one in times.items()}, splits, state)


def by_trees(splits: Frames, state: JsonObject) -> Scores:
    """Train LightGBM alone, as a shop that needs no platform would."""
    from ml.use_cases.fraud.fit import fit_trees, learned

    rows = {name: learned(frame) for name, frame in splits.items()}
    model, n_trees = fit_trees(rows["train"], rows["valid"], FraudTrain())
    scores = {name: boost.score(model, rows[name].features, n_trees) for name in HELD_OUT}
    return _finished(scores, splits, state)


def _finished(scores: Mapping[str, Numbers], splits: Frames, state: JsonObject) -> Scores:
    """Calibrate and price reviews on `valid`, as for the model."""
    finish = verdict.fit(scores["valid"], splits["valid"], state)
    return finish(scores["test"], _amounts(splits["test"])).astype(np.float32)


def _decisions(scores: Scores) -> NDArray[np.int64]:
    return scores[:, verdict.DECISION].astype(np.int64)


def _amounts(examples: pd.DataFrame) -> Numbers:
    return examples["amount"].to_numpy(dtype=np.float64)


def _scored(scores: Scores, examples: pd.DataFrame) -> pd.DataFrame:
    return examples[["day", "is_fraud"]].assign(customer_id=examples["customer"], score=scores[:, verdict.SCORE])
