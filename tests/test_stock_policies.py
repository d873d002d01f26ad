"""Replenishment policies give the published answers, hand arithmetic, and what a search over all choices finds."""

import itertools
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, optimize, stats

from ml.benchmark.stockpyl import COMPARISONS, largest_error, load_problems
from ml.errors import SourceInvalid
from ml.files import write_json
from ml.use_cases.inventory.policy_band import band_by_power, band_of_counts
from ml.use_cases.inventory.policy_lot import (
    economic_order,
    economic_order_with_backorders,
    economic_production,
    wagner_whitin,
)
from ml.use_cases.inventory.policy_newsvendor import (
    Price,
    base_stock_normal,
    expected_costs,
    newsvendor,
    newsvendor_count,
    newsvendor_empirical,
    newsvendor_normal,
)
from ml.use_cases.inventory.policy_reorder import (
    NormalDemand,
    lots_by_expected_inventory,
    lots_of_counts,
    lots_of_normal,
)

FOLDER = os.environ.get("TRADEWIND_DATA_DIR")
PROBLEMS = load_problems(Path(FOLDER) / COMPARISONS[0].data) if FOLDER else []


@pytest.mark.skipif(not FOLDER, reason="needs TRADEWIND_DATA_DIR with stockpyl_instances")
@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.name)
def test_a_reference_problem_is_reproduced(problem):
    assert largest_error(problem) <= 1e-6


@pytest.mark.skipif(not FOLDER, reason="needs TRADEWIND_DATA_DIR with stockpyl_instances")
def test_the_comparison_reaches_its_bars():
    (comparison,) = COMPARISONS
    figures = comparison.peers[comparison.ours](PROBLEMS, 1)
    assert all(bar.is_reached(figures[bar.figure]) for bar in comparison.bars), figures


def test_a_file_with_an_incomplete_or_unknown_problem_is_refused(tmp_path):
    path = tmp_path / "solutions.json"
    write_json(path, {"solutions": {"a": {"model": "EOQ"}, "b": {"model": "new", "inputs": {}, "result": {}}}})
    with pytest.raises(SourceInvalid, match="not usable: a, b"):
        load_problems(path)


def test_economic_order_of_example_3_1():
    lot = economic_order(rate=1300, order_cost=8, holding_cost=0.225)
    assert (lot.quantity, lot.cost) == pytest.approx((304.047, 68.411), abs=5e-4)


def test_economic_order_with_backorders_of_example_3_8():
    lot = economic_order_with_backorders(rate=1300, order_cost=8, holding_cost=0.225, shortage_cost=5)
    assert (lot.quantity, lot.cost) == pytest.approx((310.813, 66.921), abs=5e-4)


def test_economic_order_by_hand():
    lot = economic_order(rate=100, order_cost=8, holding_cost=4)  # √(2·8·100/4) = 20, 8·100/20 + 4·20/2 = 80
    assert (lot.quantity, lot.cost) == pytest.approx((20, 80))


def test_a_lot_made_at_twice_the_demand_is_larger_by_root_two():
    plain = economic_order(rate=100, order_cost=8, holding_cost=4)
    made = economic_production(rate=100, production_rate=200, order_cost=8, holding_cost=4)
    assert made.quantity == pytest.approx(plain.quantity * 2**0.5)
    assert made.cost == pytest.approx(plain.cost / 2**0.5)


def test_production_slower_than_demand_is_refused():
    with pytest.raises(ValueError, match="production rate above demand"):
        economic_production(rate=100, production_rate=100, order_cost=8, holding_cost=4)


@pytest.mark.parametrize("name", ["rate", "order_cost", "holding_cost"])
def test_a_figure_of_zero_is_refused_by_name(name):
    with pytest.raises(ValueError, match=f"Expected {name} above 0"):
        economic_order(**{"rate": 1.0, "order_cost": 1.0, "holding_cost": 1.0, name: 0.0})


def test_wagner_whitin_of_example_3_9():
    plan = wagner_whitin([90, 120, 80, 70], order_cost=500, holding_cost=2)
    assert plan.cost == 1380
    assert plan.quantities.tolist() == [210, 0, 150, 0]


def test_wagner_whitin_with_costs_that_change():
    """The answer is stockpyl's documentation's."""
    plan = wagner_whitin([90, 120, 80, 70], order_cost=[300, 500, 300, 500], holding_cost=[5, 1, 1, 2])
    assert plan.cost == 1020
    assert plan.quantities.tolist() == [90, 270, 0, 0]


def test_nothing_is_ordered_where_nothing_is_needed():
    plan = wagner_whitin([0, 0, 5, 0], order_cost=10, holding_cost=1)
    assert plan.cost == 10
    assert plan.quantities.tolist() == [0, 0, 5, 0]


figures = st.integers(0, 9)


@given(demand=st.lists(figures, min_size=1, max_size=5), fixed=figures, holding=figures, data=st.data())
def test_wagner_whitin_is_the_best_of_all_schedules(demand, fixed, holding, data):
    """An optimal schedule orders only when stock is out, so a subset of periods with orders says all."""
    price = data.draw(st.lists(figures, min_size=len(demand), max_size=len(demand)))
    costs = []
    for chosen in itertools.product([False, True], repeat=len(demand)):
        cost, last = 0, None
        for period, needed in enumerate(demand):
            last = period if chosen[period] else last
            cost += fixed * chosen[period]
            cost += 0 if not needed else np.inf if last is None else needed * (price[last] + holding * (period - last))
        costs.append(cost)
    plan = wagner_whitin(demand, order_cost=fixed, holding_cost=holding, purchase_cost=price)
    assert plan.cost == pytest.approx(min(costs))
    assert plan.quantities.sum() == sum(demand)
    assert (np.cumsum(plan.quantities) >= np.cumsum(demand)).all()


def test_newsvendor_of_example_4_1():
    level = newsvendor_normal(50, 8, Price(holding=0.18, shortage=0.7))
    assert (level.units, level.cost) == pytest.approx((56.604, 1.998), abs=5e-4)


def test_any_continuous_demand_agrees_with_the_normal_formula():
    price = Price(holding=0.18, shortage=0.7)
    found, closed = newsvendor(stats.norm(50, 8), price), newsvendor_normal(50, 8, price)
    assert (found.units, found.cost) == pytest.approx((closed.units, closed.cost), abs=1e-9)


def test_newsvendor_of_uniform_demand_by_hand():
    """D is uniform on 0..100, h = 1, p = 3: S = 75; cost 1·75²/200 + 3·25²/200 = 37.5."""
    level = newsvendor(stats.uniform(0, 100), Price(holding=1, shortage=3))
    assert (level.units, level.cost) == pytest.approx((75, 37.5))


def test_newsvendor_of_observed_demand_by_hand():
    """Of 1, 2, 3, 4, 10 at ratio 0.8 the fourth; cost (1·(3 + 2 + 1) + 4·6)/5 = 6."""
    level = newsvendor_empirical([10, 1, 3, 2, 4], Price(holding=1, shortage=4))
    assert (level.units, level.cost) == pytest.approx((4, 6))


@given(mean=st.floats(0.1, 30), holding=st.floats(0.1, 5), shortage=st.floats(0.1, 50))
@settings(deadline=None)
def test_no_level_of_count_demand_is_cheaper(mean, holding, shortage):
    price = Price(holding=holding, shortage=shortage)
    level = newsvendor_count(stats.poisson(mean), price)
    others = expected_costs(stats.poisson(mean), np.arange(-2, 100), price)
    assert level.cost == pytest.approx(others.min(), rel=1e-9)


def test_expected_costs_are_the_sums_they_stand_for():
    price, demand, many = Price(holding=2, shortage=7), stats.poisson(3.3), np.arange(200)
    for level in (-2, 0, 1, 5):
        each = 2 * np.maximum(level - many, 0) + 7 * np.maximum(many - level, 0)
        assert expected_costs(demand, [level], price)[0] == pytest.approx(demand.pmf(many) @ each)


def test_base_stock_lasts_for_lead_time_and_review():
    """Four periods of lead time and one of review: mean 5·50, deviation 8·√5."""
    price = Price(holding=0.18, shortage=0.7)
    assert base_stock_normal(50, 8, price, lead_time=4) == newsvendor_normal(250, 8 * 5**0.5, price)


def test_a_price_of_nothing_is_refused():
    with pytest.raises(ValueError, match="above 0"):
        Price(holding=1, shortage=0)


def test_lots_by_expected_inventory_of_example_5_1():
    demand = NormalDemand(rate=1300, sd=150, lead_time=1 / 12)
    found = lots_by_expected_inventory(demand, Price(holding=0.225, shortage=7.5), order_cost=8)
    assert (found.point, found.quantity) == pytest.approx((213.97, 318.59), abs=5e-3)


def test_an_approximation_without_solution_says_so():
    demand = NormalDemand(rate=10, sd=5, lead_time=1)
    with pytest.raises(ValueError, match="lots_of_normal"):
        lots_by_expected_inventory(demand, Price(holding=10, shortage=0.1), order_cost=100)


def test_lots_of_normal_demand_of_example_5_1():
    """The cost is that which stockpyl's documentation prints for the exact model."""
    demand = NormalDemand(rate=1300, sd=150, lead_time=1 / 12)
    found = lots_of_normal(demand, Price(holding=0.225, shortage=7.5), order_cost=8)
    assert found.cost == pytest.approx(78.07114627035178, rel=1e-9)


@pytest.mark.parametrize(("holding", "shortage", "order_cost"), [(3, 3, 1), (0.2, 40, 85)])
def test_lots_of_normal_demand_are_what_a_numerical_search_finds(holding, shortage, order_cost):
    price, demand = Price(holding=holding, shortage=shortage), NormalDemand(rate=100, sd=15, lead_time=2)
    during = stats.norm(demand.lead_mean, demand.lead_sd)

    def level_cost(y):
        short = during.std() * (stats.norm.pdf(z := (y - during.mean()) / during.std()) - z * stats.norm.sf(z))
        return holding * (y - during.mean()) + (holding + shortage) * short

    def cost(choice):
        held, _ = integrate.quad(level_cost, choice[0], choice[0] + choice[1])
        return (order_cost * demand.rate + held) / choice[1]

    found = lots_of_normal(demand, price, order_cost=order_cost)
    best = optimize.minimize(cost, [200, 50], method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-10})
    assert found.cost == pytest.approx(best.fun, rel=1e-7)
    assert (found.point, found.quantity) == pytest.approx(tuple(best.x), rel=1e-3)


@given(mean=st.floats(0.2, 8), holding=st.integers(1, 5), shortage=st.integers(1, 40), order_cost=st.integers(0, 50))
@settings(deadline=None, max_examples=40)
def test_lots_of_counts_are_the_best_of_all(mean, holding, shortage, order_cost):
    price, during = Price(holding=holding, shortage=shortage), stats.poisson(mean)
    found = lots_of_counts(during, price, rate=4.0, order_cost=order_cost)
    levels = np.arange(-60, 80)
    total = np.concatenate([[0.0], np.cumsum(expected_costs(during, levels, price))])
    start, end = np.triu_indices(len(total), 1)
    costs = (order_cost * 4.0 + total[end] - total[start]) / (end - start)
    assert found.cost == pytest.approx(costs.min(), rel=1e-9)


def test_band_of_example_4_7():
    band = band_of_counts(stats.poisson(6), Price(holding=1, shortage=4), order_cost=5)
    assert (band.reorder, band.up_to) == (4, 10)
    assert band.cost == pytest.approx(8.034, abs=5e-4)


def test_a_band_of_demand_given_by_its_chances_is_that_of_the_distribution():
    """Problem 4.31 with its Poisson demand as a list of chances."""
    units = np.arange(51)
    chances = stats.poisson.pmf(units, 4) / stats.poisson.cdf(50, 4)
    band = band_of_counts(stats.rv_discrete(values=(units, chances))(), Price(holding=40, shortage=125), order_cost=150)
    assert (band.reorder, band.up_to, band.cost) == pytest.approx((2, 7, 223.5748295669688))


@pytest.mark.parametrize(
    ("mean", "reorder", "up_to", "cost"),
    [(10, 6, 40, 35.022), (20, 14, 62, 49.173), (21, 15, 65, 50.406), (55, 47, 118, 74.149), (75, 67, 86, 79.554)],
)
def test_bands_of_zheng_and_federgruen(mean, reorder, up_to, cost):
    """Instances of their paper: Poisson demand, holding 1, shortage 9, order cost 64."""
    band = band_of_counts(stats.poisson(mean), Price(holding=1, shortage=9), order_cost=64)
    assert (band.reorder, band.up_to, round(band.cost, 3)) == (reorder, up_to, cost)


@pytest.mark.parametrize("order_cost", [0, 1, 12])
def test_a_band_with_lead_time_is_the_best_of_a_markov_chain(order_cost):
    """Stationary distribution of the stock after ordering, by linear algebra, for every band in reach."""
    demand, protected, price = stats.poisson(2), stats.poisson(6), Price(holding=1, shortage=9)
    found = band_of_counts(demand, price, order_cost=order_cost, protected=protected)
    costs = {
        (low, high): _chain_cost(
            low, high, demand, expected_costs(protected, np.arange(low + 1, high + 1), price), order_cost
        )
        for low in range(2, 12)
        for high in range(low + 1, 24)
    }
    assert found.cost == pytest.approx(min(costs.values()))
    assert costs[found.reorder, found.up_to] == pytest.approx(found.cost)


def _chain_cost(low, high, demand, level_costs, order_cost):
    size = high - low
    moves = np.zeros((size, size))  # state i is a stock of low + 1 + i
    for state in range(size):
        moves[state, : state + 1] = demand.pmf(state - np.arange(state + 1))
        moves[state, -1] += demand.sf(state)
    share = np.linalg.lstsq(
        np.vstack([moves.T - np.eye(size), np.ones(size)]), np.append(np.zeros(size), 1.0), rcond=None
    )[0]
    return share @ level_costs + order_cost * share @ demand.sf(np.arange(size))


def test_the_power_approximation_of_example_4_8():
    """s and S as stockpyl's documentation prints them."""
    band = band_by_power(50, 8, Price(holding=0.18, shortage=0.7), order_cost=2.5)
    assert (band.reorder, band.up_to) == pytest.approx((40.19461695647407, 74.29017010980579))


def test_the_power_approximation_is_near_the_best_band():
    price = Price(holding=1, shortage=9)
    best = band_of_counts(stats.poisson(20), price, order_cost=64)
    near = band_by_power(20, 20**0.5, price, order_cost=64)
    assert near.reorder == pytest.approx(best.reorder, abs=2)
