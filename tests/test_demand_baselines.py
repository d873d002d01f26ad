"""The simple forecasts agree with hand arithmetic and with other libraries."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ml.errors import SourceInvalid
from ml.use_cases.inventory.croston import croston, sba
from ml.use_cases.inventory.demand_table import DemandTable, paid_price, pivot
from ml.use_cases.inventory.forecast_baseline import counts_around, empirical, over_horizon, seasonal_naive, spread
from ml.use_cases.inventory.hierarchy import cold_start, expected_rate, fit_hierarchy, numbers


@pytest.fixture
def sparse(rng) -> np.ndarray:
    return rng.poisson(2.0, (30, 40)) * (rng.random((30, 40)) < 0.3).astype(float)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def test_croston_by_hand():
    # Sales 3 in period 2 and 1 in period 5: size 3 + 0.1·(1 − 3) = 2.8, interval 2 + 0.1·(3 − 2) = 2.1.
    assert croston(np.array([[0, 3, 0, 0, 1, 0.0]]))[0] == pytest.approx(2.8 / 2.1)


@pytest.mark.filterwarnings("ignore")
def test_croston_and_sba_agree_with_statsforecast(sparse):
    from statsforecast.models import CrostonClassic, CrostonSBA

    for series, ours, corrected in zip(sparse, croston(sparse), sba(sparse), strict=True):
        assert ours == pytest.approx(CrostonClassic().forecast(series, 1)["mean"][0], rel=1e-5)
        assert corrected == pytest.approx(CrostonSBA().forecast(series, 1)["mean"][0], rel=1e-5)


def test_what_never_sold_is_not_expected_to():
    assert croston(np.zeros((1, 6)))[0] == 0


def test_the_seasonal_naive_repeats_the_last_cycle_however_far_ahead():
    assert seasonal_naive(np.array([[9, 1, 2, 3.0]]), 5, 3).tolist() == [[1, 2, 3, 1, 2]]


def test_quantiles_lie_side_by_side_within_a_period():
    assert spread(np.array([[1, 2.0]]), 2).tolist() == [[1, 1, 2, 2]]
    assert over_horizon(np.array([[1, 2.0]]), 2).tolist() == [[1, 2, 1, 2]]


def test_empirical_quantiles_leave_out_what_is_unknown():
    demand = np.array([[np.nan, 1, 3, 5.0], [np.nan] * 4])
    assert empirical(demand, (0.25, 0.5)).tolist() == [[2, 3], [0, 0]]


def test_counts_have_the_mean_and_variance_they_were_asked_for():
    mean, shape = 3.0, 2.0
    levels = (np.arange(20000) + 0.5) / 20000
    drawn = counts_around(np.array([mean]), shape, levels)[0]
    assert drawn.mean() == pytest.approx(mean, rel=0.01)
    assert drawn.var() == pytest.approx(mean + mean**2 / shape, rel=0.02)
    assert counts_around(np.array([1e-3]), 1e6, (0.9,))[0, 0] == stats.poisson.ppf(0.9, 1e-3)


def test_pivot_adds_up_lines_and_leaves_out_other_units_and_periods():
    sales = pd.DataFrame({"unit": ["a", "a", "b", "c", "a"], "period": [0, 0, 1, 0, 2], "quantity": [1, 2, 4, 8, 16]})
    assert pivot(sales, np.array(["b", "a"], object), 2, "quantity").tolist() == [[0, 4], [3, 0]]
    with pytest.raises(SourceInvalid, match="amount"):
        pivot(sales, np.array(["a"], object), 2, "amount")


def test_a_price_stays_until_the_next_sale():
    found = paid_price(np.array([[0, 4, 0, 9.0]]), np.array([[0, 2, 0, 3.0]]))
    np.testing.assert_array_equal(found, [[np.nan, 2, 2, 3]])


@pytest.fixture
def shelf() -> DemandTable:
    demand = np.concatenate([np.full((5, 4), 2.0), np.full((5, 4), 6.0), np.full((1, 4), 90.0)])
    return DemandTable(
        units=np.arange(11).astype(str).astype(object),
        periods=pd.date_range("2026-01-05", periods=4, freq="7D"),
        demand=demand,
        groups={
            "category": np.array(["tea"] * 5 + ["jam"] * 5 + ["rare"], object),
            "department": np.array(["food"] * 11, object),
        },
    )


def test_a_new_product_is_expected_to_sell_like_one_of_its_group(shelf):
    fitted = fit_hierarchy(shelf, (0.5, 0.9))
    new = pd.DataFrame({"category": ["tea", "rare", "unseen"], "department": ["food", "food", "toys"]})
    whole = (5 * 2 + 5 * 6 + 90) / 11
    np.testing.assert_allclose(expected_rate(new, fitted), [2, whole, whole])
    np.testing.assert_allclose(cold_start(new, fitted), [[2, 2], [whole] * 2, [whole] * 2])


def test_groups_that_are_too_small_or_unseen_are_number_zero(shelf):
    fitted = fit_hierarchy(shelf, (0.5,))
    new = pd.DataFrame({"category": ["jam", "tea", "rare"], "department": ["food", "toys", "food"]})
    assert numbers(new, fitted).tolist() == [[1, 1], [2, 0], [0, 1]]
