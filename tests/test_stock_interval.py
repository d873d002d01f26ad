"""Demand over a protection interval follows from quantiles by period."""

import numpy as np
import pytest
from scipy import stats

from ml.use_cases.inventory.protection import Dependence, QuantileForecast, protect, quantiles_at


def test_quantiles_between_below_and_above_the_levels_by_hand():
    """Linear inside and below; above, each halving of what is left of chance adds the same: 4 from 0.5 to 0.75."""
    values, levels = np.array([[2.0, 6.0]]), np.array([0.5, 0.75])
    found = quantiles_at(values, levels, np.array([0.0, 0.4, 0.5, 0.625, 0.875, 0.9375]))
    assert found[0] == pytest.approx([0, 0.4, 2, 4, 10, 14])


def test_crossing_quantiles_are_put_in_order():
    forecast = QuantileForecast(values=np.array([[[3.0, 1.0]]]), levels=np.array([0.4, 0.6]))
    assert forecast.values.tolist() == [[[1, 3]]]


def test_the_sum_of_independent_normal_periods_spreads_by_the_root_and_of_persistent_ones_by_more():
    levels = np.linspace(0.01, 0.99, 99)
    values = np.broadcast_to(stats.norm(100, 10).ppf(levels), (1, 4, 99))
    forecast = QuantileForecast(values=values, levels=levels)
    covariance = 0.8 ** np.abs(np.subtract.outer(np.arange(4), np.arange(4)))
    for persistence, deviation in ((0.0, 20.0), (0.8, 10 * covariance.sum() ** 0.5)):
        ahead = protect(forecast, 4, Dependence(persistence=persistence))
        assert ahead.expected[0] == pytest.approx(400, abs=0.5)
        assert ahead.paths.std() == pytest.approx(deviation, rel=0.03)


@pytest.mark.parametrize(
    ("values", "levels", "message"),
    [
        (np.zeros((1, 1, 2)), [0.5, 0.5], "rising levels"),
        (np.zeros((1, 1, 2)), [0.5, 1.0], "rising levels"),
        (np.zeros((1, 1, 3)), [0.4, 0.6], "one quantile a level"),
        (np.full((1, 1, 2), np.nan), [0.4, 0.6], "finite quantiles"),
    ],
)
def test_a_forecast_that_is_none_is_refused(values, levels, message):
    with pytest.raises(ValueError, match=message):
        QuantileForecast(values=values, levels=np.array(levels))
