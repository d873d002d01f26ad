"""What the network has to beat: forecasts that look at each series by itself, or nearly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from ml.contract import Frames, JsonObject
from ml.use_cases.inventory.croston import sba as sba_mean
from ml.use_cases.inventory.demand_score import QUANTILES, wql
from ml.use_cases.inventory.demand_window import stacked
from ml.use_cases.inventory.forecast_baseline import counts_around, empirical, over_horizon, spread
from ml.use_cases.inventory.forecast_baseline import seasonal_naive as same_again
from ml.use_cases.inventory.forecast_encode import FLOOR, decayed_rate
from ml.use_cases.inventory.hierarchy import expected_rate

if TYPE_CHECKING:
    import pandas as pd

WEEKS = 8  # of the moving average
SHAPES = (0.5, 1, 2, 4, 8)
HALF_LIVES, STRENGTHS = (6, 12, 24), (1, 4)  # [weeks]; weeks of evidence the group is worth

S = TypeVar("S")
Scores: TypeAlias = NDArray[np.float64]


def seasonal_naive(splits: Frames, state: JsonObject) -> Scores:
    """Expect the demand of the last season again, and nothing else."""
    history = _history(splits["test"])
    return spread(same_again(history, state["horizon"], state["season"]), len(QUANTILES))


def moving_average(splits: Frames, state: JsonObject) -> Scores:
    """Expect the mean of the last `WEEKS`, with their scatter as that of a normal distribution: the textbook's way."""
    from scipy import stats

    recent = _history(splits["test"])[:, -WEEKS:]
    normal = recent.mean(axis=1)[:, None] + stats.norm.ppf(QUANTILES) * recent.std(axis=1, ddof=1)[:, None]
    return over_horizon(np.maximum(normal, 0.0), state["horizon"])


def own_history(splits: Frames, state: JsonObject) -> Scores:
    """Expect the quantiles of all weeks in sight again."""
    return over_horizon(empirical(stacked(splits["test"], "history"), QUANTILES), state["horizon"])


def sba(splits: Frames, state: JsonObject) -> Scores:
    """Expect counts around the forecast of Syntetos and Boylan; their scatter is chosen on `valid`."""

    def make(rows: pd.DataFrame, shape: float) -> Scores:
        return _counts(sba_mean(_history(rows)), shape, state)

    return _tuned(make, SHAPES, splits)


def negative_binomial(splits: Frames, state: JsonObject) -> Scores:
    """Expect counts around a decayed rate drawn towards the group's; all three settings are chosen on `valid`."""

    def make(rows: pd.DataFrame, setting: tuple[float, float, float]) -> Scores:
        half, strength, shape = setting
        prior = expected_rate(rows, state["hierarchy"])
        return _counts(decayed_rate(stacked(rows, "history"), half, prior, strength), shape, state)

    return _tuned(make, tuple(product(HALF_LIVES, STRENGTHS, SHAPES)), splits)


def _counts(mean: NDArray[np.float64], shape: float, state: JsonObject) -> Scores:
    return over_horizon(counts_around(np.maximum(mean, FLOOR), shape, QUANTILES), state["horizon"])


def _tuned(make: Callable[[pd.DataFrame, S], Scores], settings: Sequence[S], splits: Frames) -> Scores:
    """Return the forecast of `test` under the setting with the lowest WQL on `valid`."""
    actual = stacked(splits["valid"], "targets")
    best = min(settings, key=lambda setting: wql(make(splits["valid"], setting), actual))
    return make(splits["test"], best)


def _history(rows: pd.DataFrame) -> NDArray[np.float64]:
    return np.nan_to_num(stacked(rows, "history"))
