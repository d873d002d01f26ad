"""Intervals of a mean whose rows come in clusters and are skewed: few rewards, some of which carry a large weight."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ml.evaluation.bootstrap import NOTHING, Estimate

CONFIDENCE = 0.95
Reach = tuple[float, float]
"""Least and largest term that a row could have had."""


def clustered(
    values: NDArray[np.float64], units: NDArray[np.generic], reach: Reach = (0.0, 0.0), confidence: float = CONFIDENCE
) -> Estimate:
    """Return the mean over rows with an interval that takes units as independent, and heeds skewness and what was not seen.

    A unit's influence is `u = (Σ values − mean · rows) / rows a unit`. Student's t of their mean is inverted through the
    monotone cubic `g(t) = t + γ t² / (3 √n) + γ² t³ / (27 n) + γ / (6 √n)` that removes the skewness γ of u (Hall 1992,
    J. R. Stat. Soc. B 54:221). Where rewards are rare the heaviest may not have occurred yet, and the spread
    that was seen is too small: each end is worked out with one more unit that had the row of the largest reach, as Fay and
    Feuer's upper end for weighted counts (1997, doi:10.1002/(SICI)1097-0258(19970415)16:7<791::AID-SIM500>3.0.CO;2-#). That
    vanishes as 1/n. Combining the two is ours; docs/bandit.md says how often such intervals cover.

    Args:
        values: `(n_rows,)` terms whose mean is the figure.
        units: `(n_rows,)` who is independent of whom.
        reach: By which one more row could have moved the ends.
        confidence: Level (0..1), two-sided.

    Returns:
        The mean with its interval; without evidence for fewer than two units.
    """
    _, codes = np.unique(units, return_inverse=True)
    rows = np.bincount(codes)
    if len(rows) < 2:
        return NOTHING
    mean = float(values.mean())
    influence = (np.bincount(codes, weights=values) - mean * rows) / rows.mean()
    tail = (1 - confidence) / 2
    low, high = (
        mean + _end(np.append(influence, term / rows.mean()) if term else influence, side)
        for term, side in zip(reach, (tail, 1 - tail), strict=True)
    )
    return Estimate(value=mean, low=low, high=high)


def _end(influence: NDArray[np.float64], side: float) -> float:
    """Return how far the end on a side (0..1) lies from the mean."""
    from scipy import stats

    n_units, spread = len(influence), float(influence.std(ddof=1))
    if spread == 0:
        return 0.0
    shift, root = float(influence.mean()), math.sqrt(n_units)
    skew = float(np.mean(((influence - shift) / spread) ** 3))
    t = float(stats.t.ppf(1 - side, n_units - 1))
    return shift - spread / root * _without_skew(t, skew / root)


def _without_skew(t: float, skew: float) -> float:
    """Return what Hall's cubic turns into t: its inverse; `skew` is γ / √n."""
    if abs(skew) < 1e-9:
        return t
    return float(np.cbrt(1 + skew * (t - skew / 6)) - 1) * 3 / skew
