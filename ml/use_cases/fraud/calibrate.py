"""Turns scores into probabilities: an isotonic fit on validation rows, kept as a few knots of plain JSON."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ml.contract import JsonObject

LEAST_ROWS = 2


def fit(scores: NDArray[np.float64], is_fraud: NDArray[np.int64]) -> JsonObject:
    """Return knots `scores`, `probabilities`, both rising.

    Pool-adjacent-violators (Barlow et al. 1972, as in Zadrozny & Elkan 2002, doi:10.1145/775047.775151); departing from
    the step function, each block of equal probability becomes one knot at its mean score, so that scores between two
    knots keep their order. A block's probability is smoothed as (k + p) / (n + 1), where p = (K + 1/2) / (N + 1) is that of
    all rows: none is exactly 0 or 1, and a small block at the lower end does not lift those above it.

    Args:
        scores: `(n_rows,)` at least two, of rows the model did not learn from.
        is_fraud: `(n_rows,)` 0 or 1.
    """
    from scipy.optimize import isotonic_regression

    if len(scores) < LEAST_ROWS:
        raise ValueError(f"Expected at least {LEAST_ROWS} validation rows. Received {len(scores)}.")
    order = np.argsort(scores, kind="stable")
    starts = isotonic_regression(is_fraud[order].astype(float)).blocks[:-1]
    sizes = np.diff(starts, append=len(scores))
    frauds = np.add.reduceat(is_fraud[order], starts)
    middles = np.add.reduceat(scores[order], starts) / sizes
    overall = (is_fraud.sum() + 0.5) / (len(scores) + 1)
    smoothed = np.maximum.accumulate((frauds + overall) / (sizes + 1))
    return {"scores": middles.tolist(), "probabilities": smoothed.tolist()}


def apply(scores: NDArray[np.float64], knots: JsonObject) -> NDArray[np.float64]:
    """Return probabilities `(n_rows,)`: straight lines between the knots, level outside them."""
    return np.interp(scores, knots["scores"], knots["probabilities"])
