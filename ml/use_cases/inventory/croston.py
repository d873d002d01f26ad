"""Croston's forecast of intermittent demand, and its correction by Syntetos and Boylan (SBA)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ALPHA = 0.1  # smoothing of sizes and intervals, Croston's own choice


def croston(demand: NDArray[np.float64], alpha: float = ALPHA) -> NDArray[np.float64]:
    """Return the mean demand per period expected of each series `(n_series,)`; 0 where nothing was ever sold.

    Size z and interval p are smoothed at each sale, z ← z + α (y − z), p ← p + α (q − p) with q periods since the sale
    before, starting at the first sale's size and interval; the forecast is z / p (Croston 1972, doi:10.1057/jors.1972.50).

    Args:
        demand: `(n_series, n_periods)`, not negative.
        alpha: Within 0..1.
    """
    size, interval, since = (np.zeros(len(demand)) for _ in range(3))
    for sold in demand.T:
        since += 1
        is_first, is_sale = (sold > 0) & (size == 0), sold > 0
        step = np.where(is_first, 1.0, alpha) * is_sale
        size += step * (sold - size)
        interval += step * (since - interval)
        since[is_sale] = 0
    return np.divide(size, interval, out=np.zeros(len(demand)), where=interval > 0)


def sba(demand: NDArray[np.float64], alpha: float = ALPHA) -> NDArray[np.float64]:
    """Return Croston's forecast times 1 − α/2, which takes away its bias.

    Syntetos and Boylan 2005, doi:10.1016/j.ijforecast.2004.10.001. Arguments as of `croston`.
    """
    return (1 - alpha / 2) * croston(demand, alpha)
