"""Blends the log-odds of trees and network; how much of each is chosen on validation days only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ml.evaluation.statistic import average_precision, once

SHARES = tuple(step / 10 for step in range(11))


def blend(trees: NDArray[np.float64], network: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    """Return share · trees + (1 − share) · network, log-odds `(n_rows,)`: a geometric mean of odds."""
    return share * trees + (1 - share) * network


def choose_share(days: Sequence[tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]]) -> float:
    """Return the share of the trees with the best mean average precision; the larger one of equals.

    Args:
        days: One or more validation periods, each the trees' log-odds, the network's, and labels 0 or 1.
    """
    statistic = average_precision("score", "label")

    def mean_precision(share: float) -> float:
        found = [once(statistic, score=blend(trees, network, share), label=label) for trees, network, label in days]
        return float(np.mean(found))

    return max(reversed(SHARES), key=mean_precision)
