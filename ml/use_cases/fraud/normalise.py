"""Puts features on one scale for the network: fitted on training rows, kept as plain JSON."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ml.contract import JsonObject

MOST = 6.0  # scaled values are cut here [standard deviations]


def fit(features: NDArray[np.float64]) -> JsonObject:
    """Return the mean and spread of each logarithm, over the rows that have a value."""
    import warnings

    logs = _log(features)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a column without any value
        means, spreads = np.nanmean(logs, axis=0), np.nanstd(logs, axis=0)
    return {"means": np.nan_to_num(means).tolist(), "spreads": np.where(spreads > 0, spreads, 1.0).tolist()}


def apply(features: NDArray[np.float64], state: JsonObject) -> NDArray[np.float32]:
    """Return `(n_rows, 2 · n_features)`: scaled logarithms, 0 where there is no value, and whether there is one."""
    scaled = (_log(features) - np.array(state["means"])) / np.array(state["spreads"])
    known = ~np.isnan(features)
    filled = np.clip(np.where(known, scaled, 0.0), -MOST, MOST)
    return np.concatenate([filled, known], axis=1).astype(np.float32)


def _log(features: NDArray[np.float64]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = np.sign(features) * np.log1p(np.abs(features))
    return found
