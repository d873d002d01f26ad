"""Peers of the demand benchmark see nothing of the test, and a combination is no worse than its parts where it is tuned."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from ml.benchmark import inventory
from ml.benchmark.demand_blend import best_weights
from ml.benchmark.demand_data import carparts
from ml.benchmark.demand_peer import Trial, without_plans
from ml.benchmark.demand_trees import light_gbm
from ml.errors import SourceInvalid
from ml.use_cases.inventory.demand_score import QUANTILES, wql
from ml.use_cases.inventory.demand_table import DemandTable
from ml.use_cases.inventory.forecast_params import FeatureParams, TrainParams, WindowParams

VALID, TEST, PERIODS = 24, 28, 32
PEERS = inventory.SIMPLE | {"LightGBM quantiles": light_gbm}


@pytest.fixture(scope="module")
def trial() -> Trial:
    rng = np.random.default_rng(4)
    planned = (rng.random((60, PERIODS)) < 0.2).astype(float)
    table = DemandTable(
        units=np.arange(60).astype(str).astype(object),
        periods=pd.date_range("2026-01-05", periods=PERIODS, freq="7D"),
        demand=rng.poisson(rng.gamma(1, 2, (60, 1)) * (1 + planned)).astype(float),
        plans={"promotion": planned},
    )
    return Trial(
        table=table,
        window=WindowParams(history=12, horizon=4, active_periods=12, min_sales=2),
        features=FeatureParams(half_lives=(2, 8), windows=(4, 8), ordered=6, lags=4),
        train=TrainParams(),
        cycle=4,
        season=1,
        first=10,
        stride=2,
        valid=VALID,
        test=TEST,
    )


@pytest.mark.parametrize("name", PEERS)
@pytest.mark.filterwarnings("ignore")
def test_demand_of_the_test_changes_no_forecast_of_it(trial, name):
    later = trial.table.demand.copy()
    later[:, TEST:] = 99
    other = dataclasses.replace(trial, table=dataclasses.replace(trial.table, demand=later))
    found = PEERS[name](trial, TEST, 1)
    assert found.shape == (len(trial.actual(TEST)), 4 * len(QUANTILES))
    np.testing.assert_array_equal(PEERS[name](other, TEST, 1), found)
    assert (np.diff(found.reshape(len(found), 4, -1), axis=2) >= 0).all()


def test_training_examples_know_nothing_from_the_origin_on(trial):
    past = trial.past(VALID)
    targets = np.stack(past["targets"])
    is_newest = (past["time"] == trial.table.periods[VALID - 1]).to_numpy()
    assert np.isfinite(targets[is_newest][:, 0]).all()
    assert np.isnan(targets[is_newest][:, 1:]).all()


def test_a_trial_without_plans_has_none(trial):
    assert "promotion" in trial.at(TEST)
    assert not {"promotion", "promotion_ahead"} & set(without_plans(trial).at(TEST))


def test_a_combination_is_no_worse_than_its_parts_where_it_is_tuned():
    actual = np.array([[0.0], [4.0], [8.0]])
    low, high = np.zeros((3, 9)), np.full((3, 9), 8.0)
    weights = best_weights([low, high], actual)
    mixed = weights[0] * low + weights[1] * high
    assert sum(weights) == pytest.approx(1)
    assert wql(mixed, actual) <= min(wql(low, actual), wql(high, actual))
    assert best_weights([np.repeat(actual, 9, axis=1), high], actual) == (1, 0)


def test_car_parts_keep_only_series_without_a_gap(tmp_path):
    path = tmp_path / "parts.csv"
    path.write_text("part_id,1998-01,1998-02,1998-03\n7,0,2,1\n8,1,,\n")
    table = carparts(path)
    assert table.units.tolist() == ["7"]
    assert table.demand.tolist() == [[0, 2, 1]]
    assert table.periods[-1] == pd.Timestamp("1998-03-01")
    path.write_text("part,1998-01\n7,0\n")
    with pytest.raises(SourceInvalid, match="part_id"):
        carparts(path)
