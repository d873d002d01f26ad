"""Pinball loss and WQL agree with hand arithmetic, are least at the true quantile, and anchor on the published figure."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ml.use_cases.inventory.demand_score import QUANTILES, WQL, coverage, measure, pinball, wql

DATA = os.environ.get("TRADEWIND_DATA_DIR")
FILE = "carparts/carparts_monthly.csv.gz"

counts = arrays(np.float64, (4, 3), elements=st.integers(0, 50).map(float))
forecasts = arrays(np.float64, (4, 27), elements=st.floats(0, 100))


def test_wql_of_two_rows_by_hand():
    # Levels 0.5 and 0.9. Row 1, demand 4: forecasts 2 and 5 lose 0.5·2 = 1 and 0.1·1 = 0.1; row 2, demand 0: forecasts
    # 0 and 1 lose 0 and 0.1·1 = 0.1. WQL = mean over levels of 2 · Σ / 4 = (2·1/4 + 2·0.2/4) / 2 = 0.3.
    forecast = np.array([[2.0, 5.0], [0.0, 1.0]])
    assert wql(forecast, np.array([[4.0], [0.0]]), (0.5, 0.9)) == pytest.approx(0.3)


def test_forecasting_nothing_scores_one():
    demand = np.array([[3.0, 0.0], [0.0, 1.0]])
    assert wql(np.zeros((2, 18)), demand) == pytest.approx(1.0)  # 2 · mean of the levels


def test_the_metric_is_the_ratio_of_sums_over_a_draw():
    parts = measure(np.full((2, 9), 2.0), np.array([[2.0], [4.0]]))
    columns = {name: parts[name].to_numpy() for name in WQL.parts}
    drawn = WQL.statistic(columns, np.array([[1.0, 1.0], [2.0, 0.0], [0.0, 2.0]]))
    np.testing.assert_allclose(drawn, [2 / 6, 0.0, 2 / 4])  # the second row is 2 short: 2 · mean level · 2


def test_unknown_demand_counts_for_nothing():
    demand = np.array([[1.0, np.nan], [2.0, 3.0]])
    known = wql(np.tile([1.0], (3, 9)), np.array([[1.0], [2.0], [3.0]]))
    assert wql(np.tile([1.0], (2, 18)), demand) == pytest.approx(known)


def test_coverage_counts_demand_at_or_below_each_quantile():
    found = coverage(np.array([[0.0, 2.0], [1.0, 2.0]]), np.array([[1.0], [1.0]]), (0.5, 0.9))
    assert found == {"at_most_q0.5": 0.5, "at_most_q0.9": 1.0}


@given(counts, forecasts)
def test_wql_is_never_negative_and_zero_only_for_a_perfect_forecast(demand, forecast):
    demand[0, 0] = 1.0
    assert wql(forecast, demand) >= 0
    assert wql(np.repeat(demand, 9, axis=1), demand) == 0


@given(arrays(np.float64, 11, elements=st.floats(0, 50)), st.sampled_from(QUANTILES), st.floats(-5, 60))
def test_no_constant_loses_less_than_the_sample_quantile(sample, level, other):
    def loss(value):
        return pinball(sample, np.full((11, 1), value), np.array([level])).sum()

    assert loss(np.quantile(sample, level, method="inverted_cdf")) <= loss(other) + 1e-9


@given(counts, forecasts, st.floats(0.1, 100))
def test_wql_does_not_depend_on_the_unit_of_measure(demand, forecast, unit):
    demand[0, 0] = 1.0
    assert wql(forecast * unit, demand * unit) == pytest.approx(wql(forecast, demand))


@pytest.mark.skipif(DATA is None, reason="set TRADEWIND_DATA_DIR to the folder of the public data sets")
def test_the_seasonal_naive_scores_what_is_published_for_car_parts():
    from ml.benchmark import inventory
    from ml.benchmark.demand_peer import naive

    trial = inventory.load_carparts(Path(DATA) / FILE)
    assert len(trial.table.units) == 2509
    assert wql(naive(trial, trial.test, 0), trial.actual(trial.test)) == pytest.approx(1.5999522140809175, abs=1e-12)
