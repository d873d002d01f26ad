"""Forecasts that learn nothing across series: the past as it was, and counts around a mean."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def seasonal_naive(demand: NDArray[np.float64], horizon: int, cycle: int) -> NDArray[np.float64]:
    """Return the demand of the last cycle again `(n_series, horizon)`.

    Args:
        demand: `(n_series, n_periods)` with at least a cycle.
        horizon: Periods ahead.
        cycle: Periods after which the pattern repeats.
    """
    ahead = np.arange(horizon) % cycle
    return demand[:, demand.shape[1] - cycle + ahead]


def spread(forecast: NDArray[np.float64], n_quantiles: int) -> NDArray[np.float64]:
    """Return a point forecast `(n_rows, horizon)` as its own quantiles `(n_rows, horizon · n_quantiles)`."""
    return np.repeat(forecast, n_quantiles, axis=1)


def over_horizon(quantiles: NDArray[np.float64], horizon: int) -> NDArray[np.float64]:
    """Return the same quantiles `(n_rows, n_quantiles)` for every period ahead `(n_rows, horizon · n_quantiles)`."""
    return np.tile(quantiles, (1, horizon))


def empirical(demand: NDArray[np.float64], levels: Sequence[float]) -> NDArray[np.float64]:
    """Return the quantiles of each series' own past `(n_series, n_quantiles)`, steps interpolated.

    Periods that are not-a-number do not count; a series of which nothing is known gets zeros.
    """
    known = np.isfinite(demand).any(axis=1)
    found = np.zeros((len(demand), len(levels)))
    if known.any():
        found[known] = np.nanquantile(demand[known], levels, axis=1).T
    return found


def counts_around(mean: NDArray[np.float64], shape: float, levels: Sequence[float]) -> NDArray[np.float64]:
    """Return quantiles `(n_rows, n_quantiles)` of counts with a mean and variance mean + mean² / shape.

    The negative binomial: Poisson counts whose rate is gamma-distributed (Greenwood and Yule 1920, doi:10.2307/2341080).

    Args:
        mean: `(n_rows,)`, above 0.
        shape: Above 0; the smaller, the more the counts scatter.
        levels: Levels of the quantiles.
    """
    from scipy import stats

    found = stats.nbinom.ppf(np.asarray(levels), shape, (shape / (shape + mean))[:, None])
    return np.asarray(found, dtype=np.float64)
