"""Who forecasts demand in the comparisons: every peer sees the table as it was known at its origin, and nothing later."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml.contract import JsonObject
from ml.use_cases.inventory.croston import croston, sba
from ml.use_cases.inventory.demand_score import QUANTILES, wql
from ml.use_cases.inventory.demand_table import DemandTable
from ml.use_cases.inventory.demand_window import stacked, windows
from ml.use_cases.inventory.forecast_baseline import counts_around, empirical, over_horizon, seasonal_naive, spread
from ml.use_cases.inventory.forecast_encode import decayed_rate
from ml.use_cases.inventory.forecast_fit import best_passes, fit
from ml.use_cases.inventory.forecast_params import FeatureParams, TrainParams, WindowParams
from ml.use_cases.inventory.forecast_state import fit_state
from ml.use_cases.inventory.hierarchy import expected_rate

Forecast: TypeAlias = NDArray[np.float64]
"""`(n_rows, horizon · n_quantiles)` [pieces]."""

HALF_LIVES, STRENGTHS, SHAPES = (3, 6, 12, 24, 48), (1, 4), (0.3, 0.5, 1, 2, 4)
"""What the negative binomial is tuned over: periods, periods, shape of the gamma."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Trial:
    """A table with the origins that matter."""

    table: DemandTable
    window: WindowParams
    features: FeatureParams
    train: TrainParams
    cycle: int
    """Periods after which the seasonal naive repeats itself."""
    season: int
    """Season length AutoETS may use; 1 for none."""
    first: int
    """Oldest origin of a training example."""
    stride: int
    """Periods between origins of training examples."""
    valid: int
    """Origin on which peers tune: its periods ahead end where the test begins."""
    test: int

    def at(self, origin: int) -> pd.DataFrame:
        """Return the rows to forecast, their targets withheld."""
        return windows(self.table.before(origin), self.window, [origin])

    def actual(self, origin: int) -> NDArray[np.float64]:
        """Return what was asked for `(n_rows, horizon)`, row for row as `at`."""
        return stacked(windows(self.table, self.window, [origin]), "targets")

    def past(self, origin: int) -> pd.DataFrame:
        """Return training examples; of periods from the origin on nothing is known."""
        earlier = range(origin - 1, self.first - 1, -self.stride)
        return windows(self.table.before(origin), self.window, sorted(earlier))

    def history(self, origin: int) -> NDArray[np.float64]:
        """Return all that is known of the rows to forecast `(n_rows, origin)`."""
        whole = self.window.model_copy(update={"history": origin})
        return stacked(windows(self.table.before(origin), whole, [origin]), "history")


Peer: TypeAlias = Callable[[Trial, int, int], Forecast]
"""(trial, origin, seed) -> quantiles of the rows at that origin; tunes on `valid` only."""


def naive(trial: Trial, origin: int, seed: int) -> Forecast:  # noqa: ARG001 - all are called alike
    """Repeat the last cycle."""
    return spread(seasonal_naive(trial.history(origin), trial.window.horizon, trial.cycle), len(QUANTILES))


def climate(length: int | None = None) -> Peer:
    """Return the peer that expects the newest periods' distribution again; all periods where no length is given."""

    def forecast(trial: Trial, origin: int, seed: int) -> Forecast:  # noqa: ARG001 - all are called alike
        return over_horizon(empirical(trial.history(origin)[:, -(length or 0) :], QUANTILES), trial.window.horizon)

    return forecast


def point(method: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> Peer:
    """Return the peer that gives a method's mean as every quantile."""

    def forecast(trial: Trial, origin: int, seed: int) -> Forecast:  # noqa: ARG001 - all are called alike
        mean = np.tile(method(trial.history(origin))[:, None], trial.window.horizon)
        return spread(mean, len(QUANTILES))

    return forecast


PLAIN_CROSTON, PLAIN_SBA = point(croston), point(sba)


@cache
def auto_ets(trial: Trial, origin: int, seed: int) -> Forecast:  # noqa: ARG001 - all are called alike
    """Exponential smoothing, its form chosen by AICc for each series; quantiles from its intervals, at least 0.

    Hyndman and Khandakar 2008, doi:10.18637/jss.v027.i03.
    """
    from statsforecast.models import AutoETS

    horizon, levels = trial.window.horizon, (20, 40, 60, 80)
    names = [*(f"lo-{level}" for level in reversed(levels)), "mean", *(f"hi-{level}" for level in levels)]

    def one(series: NDArray[np.float64]) -> NDArray[np.float64]:
        found = AutoETS(season_length=trial.season).forecast(series, horizon, level=list(levels))
        return np.stack([found[name] for name in names], axis=1).ravel()

    return np.maximum(np.stack([one(series) for series in trial.history(origin)]), 0)


def negative_binomial(trial: Trial, origin: int, seed: int) -> Forecast:  # noqa: ARG001 - all are called alike
    """Counts around a decayed rate drawn towards the group's; decay, pull and scatter chosen on `valid`."""
    return _counts(trial, origin, _best_counts(trial))


@cache
def _best_counts(trial: Trial) -> tuple[float, float, float]:
    tried = [(half, pull, shape) for half in HALF_LIVES for pull in STRENGTHS for shape in SHAPES]
    actual = trial.actual(trial.valid)
    return min(tried, key=lambda setting: wql(_counts(trial, trial.valid, setting), actual))


def _counts(trial: Trial, origin: int, setting: tuple[float, float, float]) -> Forecast:
    half, pull, shape = setting
    prior = expected_rate(trial.at(origin), fitted_state(trial, origin)["hierarchy"])
    mean = decayed_rate(trial.history(origin), half, prior, pull)
    return over_horizon(counts_around(mean, shape, QUANTILES), trial.window.horizon)


@cache
def fitted_state(trial: Trial, origin: int) -> JsonObject:
    """Return what encoding at an origin needs."""
    return fit_state(trial.table.before(origin), trial.window, trial.features)


@cache
def network(trial: Trial, origin: int, seed: int) -> Forecast:
    """Give the Keras model's quantiles; how many passes is chosen on `valid`, then all are made up to the origin."""
    if origin == trial.valid:
        return _at_valid(trial, seed)[0]
    params = trial.train.model_copy(update={"seed": seed})
    passes = _at_valid(trial, seed)[1]
    found = fit(trial.past(origin), fitted_state(trial, origin), params, passes=passes)
    return found(trial.at(origin))


@cache
def _at_valid(trial: Trial, seed: int) -> tuple[Forecast, int]:
    params = trial.train.model_copy(update={"seed": seed})
    rows = trial.at(trial.valid).assign(targets=list(trial.actual(trial.valid)))
    found = fit(trial.past(trial.valid), fitted_state(trial, trial.valid), params, valid=rows)
    return found(rows), best_passes(found)


def without_plans(trial: Trial) -> Trial:
    """Return the trial in which nobody knows of promotions."""
    return replace(trial, table=replace(trial.table, plans={}))
