"""Simulated stock follows hand arithmetic, costs what the closed forms say, and never makes or loses a unit."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from ml.use_cases.inventory.policy_band import band_of_counts
from ml.use_cases.inventory.policy_newsvendor import Price, expected_costs, newsvendor_count
from ml.use_cases.inventory.protection import QuantileForecast, protect
from ml.use_cases.inventory.replay import Aim, replay
from ml.use_cases.inventory.simulate import Supply, between, in_lots, simulate, up_to
from ml.use_cases.inventory.stock_cost import Charges, figures, pooled

FOLDER = os.environ.get("TRADEWIND_DATA_DIR")
DEMAND = [[4, 8, 3, 0, 6]]
CHARGES = Charges(holding=1.0, shortage=5.0, order=2.0)


def test_five_periods_with_backorders_by_hand():
    moved = simulate(DEMAND, up_to(10), Supply(lead_time=1), start=10)
    assert moved.ordered.tolist() == [[0, 4, 8, 3, 0]]
    assert moved.received.tolist() == [[0, 0, 4, 8, 3]]
    assert moved.filled.tolist() == [[4, 6, 2, 0, 6]]
    assert moved.shipped.tolist() == [[4, 6, 4, 1, 6]]
    assert moved.on_hand.tolist() == [[6, 0, 0, 7, 4]]
    assert moved.owed.tolist() == [[0, 2, 1, 0, 0]]
    found = pooled(figures(moved, CHARGES))
    assert (found["holding_cost"], found["shortage_cost"], found["order_cost"], found["cost"]) == (17, 15, 6, 38)
    assert found["fill_rate"] == pytest.approx(18 / 21)
    assert found["cycle_service"] == pytest.approx(3 / 5)


def test_five_periods_with_lost_sales_by_hand():
    moved = simulate(DEMAND, up_to(10), Supply(lead_time=1, is_lost=True), start=10)
    assert moved.ordered.tolist() == [[0, 4, 6, 3, 0]]
    assert moved.filled.tolist() == [[4, 6, 3, 0, 6]]
    assert moved.on_hand.tolist() == [[6, 0, 1, 7, 4]]
    found = pooled(figures(moved, CHARGES))
    assert (found["holding_cost"], found["shortage_cost"], found["cost"]) == (18, 10, 34)
    assert found["fill_rate"] == pytest.approx(19 / 21)


def test_orders_come_at_reviews_and_in_packs():
    moved = simulate(DEMAND, up_to(10), Supply(review_every=2, pack=6.0), start=10)
    assert moved.ordered.tolist() == [[0, 0, 12, 0, 6]]  # −2 lacks 12 of 10, 7 lacks 3
    assert pooled(figures(moved, CHARGES))["cycle_service"] == pytest.approx(2 / 3)


def test_a_fraction_that_is_whole_packs_is_not_rounded_up():
    moved = simulate([[0.3]], up_to(0.3), Supply(pack=0.1), start=0)
    assert moved.ordered[0, 0] == pytest.approx(0.3)


def test_a_band_orders_at_its_reorder_point_and_lots_bring_stock_above_theirs():
    assert simulate([[6, 1]], between(4, 9), Supply(), start=10).ordered.tolist() == [[0, 5]]
    assert simulate([[6, 1]], in_lots(4, 2), Supply(), start=10).ordered.tolist() == [[0, 2]]
    assert simulate([[9, 1]], in_lots(4, 2), Supply(), start=10).ordered.tolist() == [[0, 4]]


def test_orders_may_overtake_each_other():
    lead = np.array([[3, 1, 1, 1]])
    moved = simulate([[2, 2, 2, 2]], up_to(2), Supply(lead_time=lead), start=0)
    assert moved.ordered.tolist() == [[2, 2, 2, 2]]
    assert moved.received.tolist() == [[0, 0, 2, 4]]


@pytest.mark.parametrize(("lead_time", "review_every"), [(0, 1), (2, 1), (1, 2)])
def test_base_stock_costs_what_the_closed_form_says(lead_time, review_every):
    """Period i of a cycle ends with the level less the demand of lead time + i periods."""
    price, mean = Price(holding=1, shortage=9), 4.0
    longest = lead_time + review_every
    level = newsvendor_count(stats.poisson(mean * longest), price).units
    expected = np.mean(
        [expected_costs(stats.poisson(mean * n), [level], price)[0] for n in range(lead_time + 1, longest + 1)]
    )
    demand = np.random.default_rng(5).poisson(mean, size=(400, 400))
    moved = simulate(demand, up_to(level), Supply(lead_time=lead_time, review_every=review_every), start=level)
    costs = figures(moved, Charges(holding=1.0, shortage=9.0), skip=20)["cost"] / 380
    assert abs(costs.mean() - expected) < 4 * costs.std() / len(costs) ** 0.5


def test_a_band_costs_what_the_renewal_formula_says():
    band = band_of_counts(stats.poisson(6), Price(holding=1, shortage=4), order_cost=5)
    demand = np.random.default_rng(6).poisson(6, size=(400, 400))
    moved = simulate(demand, between(band.reorder, band.up_to), Supply(), start=band.up_to)
    costs = figures(moved, Charges(holding=1.0, shortage=4.0, order=5.0), skip=20)["cost"] / 380
    assert abs(costs.mean() - band.cost) < 4 * costs.std() / len(costs) ** 0.5


def test_the_fill_rate_of_lost_sales_without_lead_time_is_the_newsvendors():
    demand = np.random.default_rng(7).poisson(5, size=(300, 300))
    moved = simulate(demand, up_to(6), Supply(is_lost=True), start=6)
    many = np.arange(100)
    short = stats.poisson(5).pmf(many) @ np.maximum(many - 6, 0)
    assert pooled(figures(moved, CHARGES))["fill_rate"] == pytest.approx(1 - short / 5, abs=0.003)


@st.composite
def situations(draw):
    """Demand, supply, level and start of up to four lines over up to twelve periods."""
    shape = draw(st.tuples(st.integers(1, 4), st.integers(1, 12)))
    supply = Supply(
        lead_time=draw(arrays(np.int64, shape, elements=st.integers(0, 4)) | st.integers(0, 4)),
        review_every=draw(st.integers(1, 4)),
        pack=draw(st.sampled_from([None, 1.0, 3.0])),
        is_lost=draw(st.booleans()),
    )
    return (
        draw(arrays(np.int64, shape, elements=st.integers(0, 9))),
        supply,
        draw(st.integers(0, 30)),
        draw(st.integers(0, 9)),
    )


@given(situation=situations())
def test_no_unit_appears_or_vanishes(situation):
    demand, supply, level, start = situation
    moved = simulate(demand, up_to(level), supply, start=start)
    shipped, received = moved.shipped.cumsum(axis=1), moved.received.cumsum(axis=1)
    np.testing.assert_allclose(start + received, shipped + moved.on_hand)
    np.testing.assert_allclose(moved.filled + moved.short, demand)
    assert (received <= moved.ordered.cumsum(axis=1) + 1e-9).all()
    assert min(moved.on_hand.min(), moved.owed.min(), moved.filled.min(), moved.short.min()) >= 0
    assert not ((moved.on_hand > 0) & (moved.owed > 0)).any()
    if supply.is_lost:
        np.testing.assert_allclose(moved.shipped, moved.filled)
    else:
        np.testing.assert_allclose(demand.cumsum(axis=1) - shipped, moved.owed)


@given(situation=situations(), more=st.integers(1, 20))
@settings(max_examples=300)
def test_more_stock_never_lowers_the_fill_rate(situation, more):
    demand, supply, level, start = situation
    # Packs shift when an order is placed, and where lead times vary the later one may happen to be the faster one.
    assume(supply.pack in (None, 1.0) or np.ndim(supply.lead_time) == 0)
    lower = simulate(demand, up_to(level), supply, start=start)
    higher = simulate(demand, up_to(level + more), supply, start=start)
    assert (higher.filled.sum(axis=1) >= lower.filled.sum(axis=1)).all()


def test_only_whole_review_cycles_can_be_skipped():
    moved = simulate(DEMAND, up_to(10), Supply(review_every=2), start=10)
    with pytest.raises(ValueError, match="whole review cycles"):
        figures(moved, CHARGES, skip=1)


@pytest.mark.parametrize("wrong", [{"review_every": 0}, {"lead_time": -1}, {"pack": 0.0}])
def test_an_impossible_supply_is_refused(wrong):
    with pytest.raises(ValueError, match="Correct the supply"):
        Supply(**wrong)


def test_a_line_without_demand_has_no_fill_rate_and_does_not_count():
    moved = simulate([[0, 0], [2, 2]], up_to(1), Supply(), start=1)
    lines = figures(moved, CHARGES)
    assert np.isnan(lines["fill_rate"][0])
    assert pooled(lines)["fill_rate"] == pytest.approx(0.5)


# --- Replay of demand under forecasts ----------------------------------------------------------


def sure(demand, period, horizon):
    """A forecast that knows the future."""
    padded = np.pad(np.asarray(demand, dtype=float), ((0, 0), (0, horizon)))[:, period : period + horizon]
    return QuantileForecast(values=np.repeat(padded[:, :, None], 2, axis=2), levels=np.array([0.4, 0.6]))


@pytest.mark.parametrize("pack", [None, 1.0])
def test_who_knows_the_future_pays_nothing_once_orders_arrive(pack):
    demand = np.random.default_rng(8).poisson(3, size=(20, 12))
    supply = Supply(lead_time=2, pack=pack)
    start = demand[:, :2].sum(axis=1).astype(float)
    moved = replay(demand, lambda t: sure(demand, t, 3), supply, Aim(holding=1.0, shortage=9.0), start=start)
    assert figures(moved, CHARGES)["shortage_cost"].sum() == 0
    assert moved.on_hand[:, 2:].max() == pytest.approx(0)


def steady(dist, n_series, horizon=3):
    levels = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
    return QuantileForecast(values=np.broadcast_to(dist.ppf(levels), (n_series, horizon, 9)), levels=levels)


def test_the_right_forecast_costs_less_than_one_too_low_or_too_high():
    rng, aim = np.random.default_rng(9), Aim(holding=1.0, shortage=9.0)
    demand = stats.gamma(4, scale=5).rvs(size=(200, 60), random_state=rng)

    def cost(scale):
        forecast = steady(stats.gamma(4, scale=5 * scale), len(demand))
        moved = replay(demand, lambda _: forecast, Supply(lead_time=2), aim, start=60.0)
        return pooled(figures(moved, Charges(holding=1.0, shortage=9.0), skip=10))["cost"]

    assert cost(1.0) < min(cost(0.7), cost(1.4))


def test_levels_from_quantiles_are_near_those_of_the_true_sum():
    """The sum of three independent gamma variables of shape 4 is one of shape 12."""
    ahead = protect(steady(stats.gamma(4, scale=5), 1), 3)
    for chance in (0.5, 0.9, 0.95):
        assert ahead.quantile(chance)[0] == pytest.approx(stats.gamma(12, scale=5).ppf(chance), rel=0.03)


@pytest.mark.skipif(not FOLDER, reason="needs TRADEWIND_DATA_DIR with carparts")
def test_on_real_spare_parts_the_empty_forecast_that_wins_on_mase_is_the_dearer_one():
    path = Path(FOLDER) / "carparts" / "carparts_monthly.csv.gz"
    months = pd.read_csv(path).drop(columns="part_id").dropna().to_numpy(dtype=float)[::5]
    past, future = months[:, :-12], months[:, -12:]
    levels = np.array([0.1, 0.5, 0.8, 0.9, 0.95, 0.98])
    seen = np.quantile(past, levels, axis=1).T[:, None, :].repeat(2, axis=1)

    def cost(values):
        forecast = QuantileForecast(values=values, levels=levels)
        supply, aim = Supply(lead_time=1, pack=1.0), Aim(holding=1.0, shortage=19.0)
        moved = replay(future, lambda _: forecast, supply, aim, start=past.mean(axis=1).round())
        return pooled(figures(moved, Charges(holding=1.0, shortage=19.0)))

    counted, empty = cost(seen), cost(np.zeros_like(seen))
    assert counted["cost"] < empty["cost"]
    assert counted["fill_rate"] > empty["fill_rate"]
