"""What a policy would have earned, from what another one logged: estimators, their intervals, and whether they can be trusted.

A row is one place of one list whose content was drawn. The reward of a place depends on what stands there, on the
context and on the place, not on the other places: the item-position model (Li et al. 2018, arXiv:1804.10488), under
which places are weighted one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ml.bandit.choice import Numbers
from ml.bandit.interval import CONFIDENCE, clustered

if TYPE_CHECKING:
    from ml.evaluation.bootstrap import Estimate


@dataclass(frozen=True, kw_only=True)
class Logged:
    """What was shown, what came of it, and how likely the policy that is asked about would have shown it."""

    units: NDArray[np.generic]
    """`(n_rows,)` customers: rows of one are not independent."""
    reward: Numbers
    """`(n_rows,)` [0..1]"""
    logged: Numbers
    """`(n_rows,)` chance with which the logging policy showed what it showed (0..1], known, not estimated."""
    target: Numbers
    """`(n_rows,)` chance with which the other policy would have [0..1]."""
    largest: float
    """Largest target / logged of anything that could have been shown, whether or not it was."""
    predicted: Numbers
    """`(n_rows,)` reward a model expects of what was shown, which has not seen the row; zeros without a model."""
    expected: Numbers
    """`(n_rows,)` reward it expects of the other policy: Σ over what could be shown of target · prediction."""

    @property
    def weights(self) -> Numbers:
        """`(n_rows,)` target / logged."""
        weights: Numbers = self.target / self.logged
        return weights


Terms: TypeAlias = Callable[[Logged], Numbers]
"""Rows -> `(n_rows,)` terms whose mean is the estimate, and whose spread is that of its influence function."""


def ips(rows: Logged) -> Numbers:
    """Return w r: inverse propensity scores, unbiased (Horvitz and Thompson 1952, doi:10.1080/01621459.1952.10483446)."""
    terms: Numbers = rows.weights * rows.reward
    return terms


def snips(rows: Logged) -> Numbers:
    """Return the linearised terms `v + w (r − v) / mean(w)` of v = Σ w r / Σ w, self-normalised; their mean is v.

    Swaminathan and Joachims 2015, papers.nips.cc/paper/2015/hash/39027dfad5138c9ca0c474d71db915c3-Abstract.html. Zeros where
    all weights are zero.
    """
    weights = rows.weights
    if not weights.any():
        return np.zeros_like(weights)
    value = float(weights @ rows.reward / weights.sum())
    terms: Numbers = value + weights * (rows.reward - value) / weights.mean()
    return terms


def doubly_robust(rows: Logged) -> Numbers:
    """Return q(π) + w (r − q): unbiased whatever the model q, and better the better it is (Dudík et al. 2011, arXiv:1103.4601)."""
    terms: Numbers = rows.expected + rows.weights * (rows.reward - rows.predicted)
    return terms


ESTIMATORS: Mapping[str, Terms] = {"ips": ips, "snips": snips, "dr": doubly_robust}


def value(rows: Logged, terms: Terms, confidence: float = CONFIDENCE) -> Estimate:
    """Return the mean reward a row that the other policy would have had, with its interval."""
    return clustered(terms(rows), rows.units, (0.0, rows.largest), confidence)


def gain(rows: Logged, reference: Logged, terms: Terms, confidence: float = CONFIDENCE) -> Estimate:
    """Return the value of one policy less that of another on the same logged rows: paired, so the interval is narrow."""
    return clustered(terms(rows) - terms(reference), rows.units, (-reference.largest, rows.largest), confidence)


@dataclass(frozen=True, kw_only=True)
class Overlap:
    """Whether the logging policy showed often enough what the other one would show."""

    effective_rows: float
    """(Σ w)² / Σ w² (Kish 1965, Survey Sampling): so many equally weighted rows say as much."""
    max_weight: float
    mean_weight: float
    """Near 1 where the logged chances are right and leave out nothing that the other policy shows."""


def overlap(rows: Logged) -> Overlap:
    """Return how much the rows say about the other policy."""
    weights = rows.weights
    squares = float(weights @ weights)
    return Overlap(
        effective_rows=float(weights.sum()) ** 2 / squares if squares else 0.0,
        max_weight=float(weights.max()),
        mean_weight=float(weights.mean()),
    )
