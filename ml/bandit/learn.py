"""Learns from a log which of few arms earns most, and judges it on customers it did not learn from.

A policy is accepted if the lower end of what it gains over the base list, its own exploration included, lies above
nothing. What is judged is what ships: it is not learned again from all customers afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ml.bandit.choice import Choices, Numbers, chances, prefer_base, prefer_best
from ml.bandit.off_policy import ESTIMATORS, Logged, Overlap, doubly_robust, gain, overlap, value

if TYPE_CHECKING:
    from ml.evaluation.bootstrap import Estimate

FOLDS = 2  # of the customers a policy is judged on, for the reward model
PRIOR = 1.0  # spread of a weight before anything was seen [log-odds a unit of the feature]


@dataclass(frozen=True, kw_only=True)
class Log:
    """Drawn places and what came of them."""

    choices: Choices
    chance: Numbers
    """`(n_rows, n_arms)` with which each arm was drawn; 0 where there is no such arm."""
    shown: NDArray[np.int64]
    """`(n_rows,)` the arm that was."""
    reward: Numbers
    """`(n_rows,)` 1 where it was clicked or bought."""
    units: NDArray[Any]
    """`(n_rows,)` customers."""

    def take(self, rows: NDArray[Any]) -> Log:
        """Return some rows."""
        choices = Choices(features=self.choices.features[rows], is_there=self.choices.is_there[rows])
        others = {field.name: getattr(self, field.name)[rows] for field in fields(self) if field.name != "choices"}
        return Log(choices=choices, **others)


def joined(logs: Sequence[Log]) -> Log:
    """Return several logs as one."""
    names = [field.name for field in fields(Log) if field.name != "choices"]
    return Log(
        choices=Choices(
            features=np.concatenate([log.choices.features for log in logs]),
            is_there=np.concatenate([log.choices.is_there for log in logs]),
        ),
        **{name: np.concatenate([getattr(log, name) for log in logs]) for name in names},
    )


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What was learned, and what it would earn."""

    weights: tuple[float, ...]
    """Of each feature [log-odds]."""
    learned: Mapping[str, Estimate]
    """Mean reward a drawn place under the learned policy with its exploration, by estimator."""
    base: Mapping[str, Estimate]
    """The same of the base list."""
    gain: Estimate
    """Doubly robust, learned less base."""
    overlap: Overlap
    """Of the learned policy with what was logged."""
    n_rows: int
    n_units: int
    """Places and customers it was judged on."""

    @property
    def is_accepted(self) -> bool:
        """Whether it beats the base list beyond chance; never without evidence."""
        return self.gain.low > 0


def learn(log: Log, explore: float, seed: int) -> Evidence:
    """Learn on one half of the customers, judge on the other.

    Args:
        log: What was logged, with the chances as they were.
        explore: Share of draws the learned policy spends on any arm alike [0..1].
        seed: Of the halves and folds.

    Raises:
        ValueError: Too few customers, or rewards, to have some in each part.
    """
    own, others = _parts(log.units, 2, seed)
    weights = fit(log.take(own))
    judged = log.take(others)
    predicted = cross_fitted(judged, seed)
    learned = logged(judged, chances(judged.choices, prefer_best(judged.choices, weights), explore), predicted)
    base = logged(judged, chances(judged.choices, prefer_base(judged.choices), 0.0), predicted)
    return Evidence(
        weights=tuple(weights.tolist()),
        learned={name: value(learned, estimator) for name, estimator in ESTIMATORS.items()},
        base={name: value(base, estimator) for name, estimator in ESTIMATORS.items()},
        gain=gain(learned, base, doubly_robust),
        overlap=overlap(learned),
        n_rows=len(judged.reward),
        n_units=len(np.unique(judged.units)),
    )


def logged(log: Log, target: Numbers, predicted: Numbers) -> Logged:
    """Return the log as an estimator of another policy sees it.

    Args:
        log: What was logged.
        target: `(n_rows, n_arms)` chances of the other policy.
        predicted: `(n_rows, n_arms)` expected rewards; zeros without a model.
    """
    at = np.arange(len(log.shown)), log.shown
    known = log.chance > 0
    return Logged(
        units=log.units,
        reward=log.reward,
        logged=log.chance[at],
        target=target[at],
        largest=float((target[known] / log.chance[known]).max()),
        predicted=predicted[at],
        expected=(target * predicted).sum(axis=1),
    )


def fit(log: Log) -> Numbers:
    """Return `(n_features,)` weights of the log-odds of a reward: the mode of a Bayesian logistic regression.

    Every weight has a normal prior around 0 with spread `PRIOR` (Chapelle and Li 2011, NeurIPS 24, section 4).
    """
    weights: Numbers = _model(log).coef_[0]
    return weights


def cross_fitted(log: Log, seed: int) -> Numbers:
    """Return `(n_rows, n_arms)` expected rewards, each from a model of other customers (Chernozhukov 2018, arXiv:1608.00060)."""
    predicted = np.zeros(log.chance.shape)
    for rows in _parts(log.units, FOLDS, seed):
        model = _model(log.take(np.setdiff1d(np.arange(len(log.units)), rows)))
        flat = log.choices.features[rows].reshape(-1, log.choices.features.shape[2])
        predicted[rows] = model.predict_proba(flat)[:, 1].reshape(len(rows), -1)
    return predicted


def _model(log: Log) -> Any:
    from sklearn.linear_model import LogisticRegression

    if len(np.unique(log.reward)) < 2:
        raise ValueError(
            f"Expected places with and without a reward in each part of the log. Received {len(log.reward)} places of one "
            "kind. Wait for more answers, or reach further back."
        )
    shown = log.choices.features[np.arange(len(log.shown)), log.shown]
    return LogisticRegression(C=PRIOR**2, solver="newton-cholesky").fit(shown, log.reward)


def _parts(units: NDArray[Any], n_parts: int, seed: int) -> list[NDArray[np.int64]]:
    """Return the rows of each part; all rows of a unit are in one part."""
    known, codes = np.unique(units, return_inverse=True)
    part = np.random.default_rng(seed).permutation(len(known)) % n_parts
    return [np.flatnonzero(part[codes] == number) for number in range(n_parts)]
