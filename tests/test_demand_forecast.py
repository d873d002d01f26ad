"""The network learns quantiles that never cross, sees nothing of the future, and answers the same once exported."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from ml.use_cases.inventory.demand_score import QUANTILES, coverage, wql
from ml.use_cases.inventory.demand_table import DemandTable
from ml.use_cases.inventory.demand_window import stacked, windows
from ml.use_cases.inventory.forecast_baseline import empirical, over_horizon
from ml.use_cases.inventory.forecast_encode import encode
from ml.use_cases.inventory.forecast_fit import best_passes, fit
from ml.use_cases.inventory.forecast_params import FeatureParams, TrainParams, WindowParams
from ml.use_cases.inventory.forecast_state import fit_state

WINDOW = WindowParams(history=16, horizon=3)
FEATURES = FeatureParams(half_lives=(2, 8), windows=(4, 8), ordered=6, lags=4)
TRAIN = TrainParams(seed=3, epochs=4, members=2, hidden=16, batch_size=64, learning_rate=0.01)
ORIGIN, PERIODS, SERIES = 27, 30, 240


def make_table() -> DemandTable:
    """Return Poisson demand that a promotion triples, at rates that differ between series."""
    rng = np.random.default_rng(8)
    promoted = (rng.random((SERIES, PERIODS)) < 0.2).astype(float)
    rate = rng.gamma(1.0, 1.5, (SERIES, 1))
    return DemandTable(
        units=np.array([f"s{number}" for number in range(SERIES)], object),
        periods=pd.date_range("2026-01-05", periods=PERIODS, freq="7D"),
        demand=rng.poisson(rate * (1 + 2 * promoted)).astype(float),
        groups={"category": np.array(["tea", "jam"] * (SERIES // 2), object)},
        drivers={"price": np.full((SERIES, PERIODS), 0.5)},
        plans={"promotion": promoted},
    )


@pytest.fixture(scope="module")
def table() -> DemandTable:
    return make_table()


@pytest.fixture(scope="module")
def forecaster(table):
    return train(table)


def train(table):
    known = table.before(ORIGIN)
    state = fit_state(known, WINDOW, FEATURES)
    return fit(windows(known, WINDOW, range(10, ORIGIN)), state, TRAIN)


def rows(table) -> pd.DataFrame:
    return windows(table, WINDOW, [ORIGIN])


def test_quantiles_never_fall_and_are_never_negative(forecaster, table):
    found = forecaster(rows(table))
    assert found.shape == (SERIES, WINDOW.horizon * len(QUANTILES))
    assert (np.diff(found.reshape(SERIES, WINDOW.horizon, -1), axis=2) >= 0).all()
    assert (found >= 0).all()


def test_it_beats_the_past_of_each_series(forecaster, table):
    actual = table.demand[:, ORIGIN:]
    past = over_horizon(empirical(table.demand[:, :ORIGIN], QUANTILES), WINDOW.horizon)
    assert wql(forecaster(rows(table)), actual) < 0.97 * wql(past, actual)


def test_nine_in_ten_demands_lie_below_the_upper_quantile(forecaster, table):
    found, actual = forecaster(rows(table)), table.demand[:, ORIGIN:]
    low, high = (coverage(pieces(found), actual)["at_most_q0.9"] for pieces in (np.floor, np.ceil))
    assert low - 0.02 < 0.9 < high + 0.02  # demand is whole pieces, a quantile may lie between two


def test_a_planned_promotion_raises_the_forecast_of_its_period(forecaster, table):
    def upper(share):
        plans = table.plans["promotion"].copy()
        plans[:, ORIGIN + 1] = share
        planned = dataclasses.replace(table, plans={"promotion": plans})
        return forecaster(rows(planned)).reshape(SERIES, WINDOW.horizon, -1)[:, :, -1].mean(axis=0)

    without, with_it = upper(0.0), upper(1.0)
    assert with_it[1] > 1.5 * without[1]
    np.testing.assert_allclose(with_it[[0, 2]], without[[0, 2]], rtol=1e-5)


def test_later_demand_changes_no_feature_and_no_forecast(forecaster, table):
    changed = table.demand.copy()
    changed[:, ORIGIN:] = 99
    prices = table.drivers["price"].copy()
    prices[:, ORIGIN:] = 99
    other = dataclasses.replace(table, demand=changed, drivers={"price": prices})
    for name, values in encode(rows(table), forecaster.state).items():
        np.testing.assert_array_equal(values, encode(rows(other), forecaster.state)[name])
    again = train(other)
    assert again.state == forecaster.state
    np.testing.assert_array_equal(again(rows(other)), forecaster(rows(table)))


def test_windows_hold_what_was_known_and_what_came(table):
    found = windows(table, WINDOW, [2, PERIODS - 1])
    first, last = found.iloc[0], found.iloc[SERIES]
    assert np.isnan(first["history"][:14]).all()
    assert first["history"][14:].tolist() == table.demand[0, :2].tolist()
    assert first["targets"].tolist() == table.demand[0, 2:5].tolist()
    assert last["targets"][0] == table.demand[0, -1]
    assert np.isnan(last["targets"][1:]).all()
    assert windows(table, WINDOW, [PERIODS])["time"].iloc[0] == pd.Timestamp("2026-08-03")


def test_only_series_that_sold_lately_are_forecast(table):
    window = WINDOW.model_copy(update={"active_periods": 4, "min_sales": 2})
    found = windows(table, window, [ORIGIN])
    sold = (table.demand[:, ORIGIN - 4 : ORIGIN] > 0).sum(axis=1) >= 2
    assert found["unit"].tolist() == table.units[sold].tolist()


def test_a_new_product_of_an_unseen_group_gets_a_forecast(forecaster, table):
    new = rows(table).head(1).assign(category="unseen", history=[np.full(WINDOW.history, np.nan)])
    found = forecaster(new)
    assert np.isfinite(found).all()
    assert found[0, -1] > 0


def test_state_is_plain_json(forecaster, table):
    again = json.loads(json.dumps(forecaster.state))
    np.testing.assert_array_equal(
        encode(rows(table), again)["features"], encode(rows(table), forecaster.state)["features"]
    )


def test_each_member_keeps_its_best_pass_where_it_can_look(table):
    state = fit_state(table.before(ORIGIN), WINDOW, FEATURES)
    past = windows(table.before(ORIGIN), WINDOW, range(20, ORIGIN))
    found = fit(past, state, TRAIN.model_copy(update={"epochs": 2}), valid=rows(table))
    assert 1 <= best_passes(found) <= 2
    assert {one["member"] for one in found.epochs} == {0, 1}


def test_the_exported_model_answers_the_same(forecaster, table, tmp_path):
    from ml.compression.predictor import open_litert
    from ml.use_cases.inventory.forecast_export import export

    exact, half, small = export(forecaster.model, forecaster.shape, tmp_path)
    inputs, expected = encode(rows(table), forecaster.state), forecaster(rows(table))
    np.testing.assert_allclose(open_litert(exact.path)(inputs), expected, rtol=1e-4, atol=1e-4)
    actual = stacked(rows(table), "targets")
    for variant in (half, small):
        assert wql(open_litert(variant.path)(inputs).astype(float), actual) < 1.02 * wql(expected, actual)
