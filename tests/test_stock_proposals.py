"""Proposals order what is needed, keep to what is shared, move the right way, and say why."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ml.errors import SourceInvalid
from ml.use_cases.inventory.allocate import Limits, allocate, rank_steps
from ml.use_cases.inventory.order import Need, best_packs, promised_packs
from ml.use_cases.inventory.propose import COLUMNS, Terms, propose
from ml.use_cases.inventory.protection import Dependence, ProtectedDemand, QuantileForecast, protect, quantiles_at

LEVELS = np.array([0.1, 0.3, 0.5, 0.7, 0.9])
TERMS = Terms(review_every=7, holding_rate=0.001)
HORIZON = 14


def lines(n_lines=1, **changes) -> pd.DataFrame:
    """Lines of a shop; a change is one value for all or one a line."""
    usual = {
        "product_id": [f"p{number}" for number in range(n_lines)],
        "store_group": "north",
        "on_hand": 12,
        "on_order": 0,
        "backorders": 0,
        "lead_time": 3,
        "pack_size": 12,
        "minimum_order": 0,
        "unit_cost": 2.0,
        "service_level": 0.9,
    }
    return pd.DataFrame({**usual, **changes}, index=range(n_lines))


def certain(*by_period) -> QuantileForecast:
    """Demand that is known, one figure a line."""
    values = np.broadcast_to(np.array(by_period, dtype=float)[:, None, None], (len(by_period), HORIZON, len(LEVELS)))
    return QuantileForecast(values=values, levels=LEVELS)


def spread(*means) -> QuantileForecast:
    """Gamma demand of the given means."""
    quantiles = stats.gamma(2, scale=0.5).ppf(LEVELS) * np.array(means)[:, None]
    return QuantileForecast(values=np.repeat(quantiles[:, None, :], HORIZON, axis=1), levels=LEVELS)


# --- One line on its own -----------------------------------------------------------------------


def test_an_order_by_hand():
    """Ten days of 3 are 30; 12 are there, so 18 are missing: two packs of 12."""
    (row,) = propose(lines(), certain(3), TERMS).to_dict("records")
    assert (row["expected_demand"], row["reorder_point"], row["safety_stock"]) == pytest.approx((30, 30, 0))
    assert (row["protected_periods"], row["packs"], row["order_quantity"], row["order_value"]) == (10, 2, 24, 48)
    # 18 short at 9 · 0.014 before; 6 left at 0.014 after.
    assert row["expected_saving"] == pytest.approx(18 * 9 * 0.014 - 6 * 0.014)
    assert row["reason"] == "stock 12 covers 4 days; demand in the next 10 days is 30 (90 %: 30); ordered 2 packs of 12"


def test_what_is_on_order_counts_and_what_is_owed_does_not():
    (row,) = propose(lines(on_order=24, backorders=5), certain(3), TERMS).to_dict("records")
    assert (row["position"], row["packs"]) == (31, 0)
    assert row["reason"].startswith("stock 12 with 24 on order and 5 owed covers 10 days;")
    assert row["reason"].endswith("; nothing ordered")


def test_a_promised_service_level_is_kept_where_a_cost_ratio_may_round_down():
    """Demand is 1..10, equally likely; with p/h = 9 the best level is 9. A level of 8 costs 2.8 + 9·0.3, one of 12 6.5."""
    need = needs(paths=[np.arange(1.0, 11.0)], position=[0], pack=[4], ratio=9)
    assert promised_packs(need).tolist() == [3]
    assert best_packs(need).tolist() == [2]


@given(
    paths=st.lists(st.lists(st.integers(0, 20), min_size=4, max_size=4), min_size=1, max_size=3),
    position=st.integers(-5, 20),
    pack=st.integers(1, 7),
    ratio=st.sampled_from([0.5, 1, 3, 9, 19]),
    least=st.integers(1, 3),
)
def test_no_number_of_packs_is_cheaper(paths, position, pack, ratio, least):
    n = len(paths)
    need = needs(paths=paths, position=[position] * n, pack=[pack] * n, ratio=ratio, least=[least] * n)
    every = np.array([need.costs(np.full(n, packs)) for packs in [0, *range(least, 40)]])
    np.testing.assert_allclose(need.costs(best_packs(need)), every.min(axis=0), atol=1e-9)


def needs(paths, position, pack, ratio, least=None) -> Need:
    demand = np.sort(np.asarray(paths, dtype=float), axis=1)
    return Need(
        position=np.asarray(position, dtype=float),
        demand=ProtectedDemand(paths=demand, means=demand.mean(axis=1, keepdims=True)),
        holding=np.ones(len(demand)),
        shortage=np.full(len(demand), float(ratio)),
        pack=np.asarray(pack, dtype=float),
        least_packs=np.asarray(least if least is not None else np.ones(len(demand)), dtype=np.int64),
    )


def test_a_small_need_is_raised_to_the_suppliers_minimum():
    (row,) = propose(lines(minimum_order=40), certain(3), TERMS).to_dict("records")
    assert row["packs"] == 4  # 40 units are 3⅓ packs
    assert row["reason"].endswith("ordered 4 packs of 12, the supplier's minimum")


def test_a_minimum_that_costs_more_than_it_saves_is_not_ordered():
    """One unit short at p = h, or 99 left over at h."""
    asked = lines(on_hand=29, pack_size=100, cost_ratio=1.0).drop(columns="service_level")
    (row,) = propose(asked, certain(3), TERMS).to_dict("records")
    assert row["packs"] == 0
    assert row["reason"].endswith(
        "nothing ordered: the smallest order, 1 pack of 100, would cost more to hold than it saves"
    )


def test_a_reason_counts_in_words_a_buyer_uses():
    terms = Terms(review_every=1, holding_rate=0.001, period="week")
    asked = lines(3, on_hand=[2, 1200, 0], lead_time=0, pack_size=1, backorders=[0, 0, 2])
    assert propose(asked, certain(3, 3, 0.5), terms)["reason"].tolist() == [
        "stock 2 covers less than a week; demand in the next week is 3 (90 %: 3); ordered 1 pack of 1",
        "stock 1,200 covers all 14 weeks of the forecast; demand in the next week is 3 (90 %: 3); nothing ordered",
        "stock 0 with 2 owed covers less than a week; demand in the next week is 0.5 (90 %: 0.5); ordered 3 packs of 1",
    ]


# --- Direction ---------------------------------------------------------------------------------

aims = st.sampled_from([{"service_level": 0.8}, {"service_level": 0.97}, {"cost_ratio": 4.0}, {"cost_ratio": 30.0}])


def ladder(aim, column, steps, mean, terms=TERMS, **changes) -> pd.DataFrame:
    """Proposals for lines that differ in one column only, in the order of its steps."""
    names = [f"p{number:03}" for number in range(len(steps))]
    asked = lines(len(steps), product_id=names, **changes).drop(columns="service_level").assign(**aim)
    return propose(asked.assign(**{column: steps}), spread(*[mean] * len(steps)), terms)


@given(aim=aims, pack=st.integers(1, 15), minimum=st.integers(0, 40), mean=st.floats(0.1, 6))
@settings(deadline=None, max_examples=25)
def test_more_stock_never_raises_the_order(aim, pack, minimum, mean):
    table = ladder(aim, "on_hand", range(80), mean, pack_size=pack, minimum_order=minimum)
    assert (table["order_quantity"].diff().dropna() <= 0).all()


@given(aim=aims, mean=st.floats(0.1, 6), persistence=st.sampled_from([0.0, 0.6]))
@settings(deadline=None, max_examples=25)
def test_a_longer_lead_time_never_lowers_the_reorder_point(aim, mean, persistence):
    terms = Terms(review_every=7, holding_rate=0.001, dependence=Dependence(persistence=persistence))
    table = ladder(aim, "lead_time", range(8), mean, terms)
    assert (table["reorder_point"].diff().dropna() >= 0).all()
    assert table["order_quantity"].is_monotonic_increasing


@given(pack=st.integers(1, 15), mean=st.floats(0.1, 6))
@settings(deadline=None, max_examples=25)
def test_a_higher_service_level_or_cost_ratio_never_lowers_reorder_point_or_order(pack, mean):
    for aim, steps in (("service_level", np.linspace(0.01, 0.99, 50)), ("cost_ratio", np.geomspace(0.1, 100, 50))):
        table = ladder({}, aim, steps, mean, pack_size=pack)
        assert (table[["reorder_point", "packs"]].diff().dropna() >= 0).to_numpy().all()


MANY = lines(
    6,
    on_hand=[0, 5, 40, 10, 3, 0],
    pack_size=[1, 6, 12, 10, 4, 3],
    unit_cost=[9.0, 2.0, 1.0, 3.0, 0.5, 20.0],
    minimum_order=[0, 0, 0, 40, 0, 0],
    unit_volume=[1.0, 0.2, 3.0, 1.0, 0.1, 5.0],
)
DEMAND = spread(0.5, 3.0, 6.0, 2.0, 1.0, 0.3)


@given(budgets=st.lists(st.floats(0, 800), min_size=4, max_size=4), capacity=st.sampled_from([math.inf, 60.0, 20.0]))
@settings(deadline=None, max_examples=15)
def test_a_smaller_budget_never_raises_the_spend_and_no_limit_is_passed(budgets, capacity):
    def spent(money):
        terms = Terms(review_every=7, holding_rate=0.001, limits=Limits(budget=money, capacity=capacity))
        table = propose(MANY, DEMAND, terms)
        assert table["order_value"].sum() <= money * (1 + 1e-9)
        assert table["order_volume"].sum() <= capacity * (1 + 1e-9)
        assert (table["packs"] <= table["wanted_packs"]).all()
        assert table["order_quantity"][3] == 0 or table["order_quantity"][3] >= 40
        return table["order_value"].sum()

    spends = [spent(money) for money in sorted(budgets)]
    assert spends == sorted(spends)


def test_a_limit_that_holds_everything_changes_nothing():
    free = propose(MANY, DEMAND, TERMS)
    limits = Limits(budget=float(free["order_value"].sum()), capacity=float(free["order_volume"].sum()))
    pd.testing.assert_frame_equal(propose(MANY, DEMAND, Terms(review_every=7, holding_rate=0.001, limits=limits)), free)


# --- What is shared ----------------------------------------------------------------------------


def best_of_all(need, wanted, prices, budget) -> float:
    """The largest saving of every affordable combination."""
    choices = [[0, *range(int(least), int(most) + 1)] for least, most in zip(need.least_packs, wanted, strict=True)]
    before = need.costs(np.zeros_like(wanted)).sum()
    combined = (np.array(packs) for packs in itertools.product(*choices))
    return max(before - need.costs(packs).sum() for packs in combined if packs @ prices <= budget)


tiny = st.lists(st.lists(st.integers(0, 9), min_size=4, max_size=4), min_size=1, max_size=3)


@given(paths=tiny, ratio=st.sampled_from([3, 9]), packs_affordable=st.integers(0, 12))
@settings(deadline=None)
def test_with_packs_of_one_price_the_allocation_is_the_best_of_all(paths, ratio, packs_affordable):
    n = len(paths)
    need = needs(paths=paths, position=np.zeros(n), pack=np.full(n, 2), ratio=ratio)
    wanted, prices, budget = best_packs(need), np.full(n, 10.0), 10.0 * packs_affordable
    packs = allocate(rank_steps(need, wanted, prices, prices), Limits(budget=budget), n)
    saved = need.costs(np.zeros(n, dtype=int)).sum() - need.costs(packs).sum()
    assert saved == pytest.approx(best_of_all(need, wanted, prices, budget), abs=1e-9)


@given(
    paths=tiny,
    prices=st.lists(st.integers(1, 9), min_size=3, max_size=3),
    least=st.lists(st.integers(1, 3), min_size=3, max_size=3),
    budget=st.integers(0, 60),
)
@settings(deadline=None)
def test_the_allocation_is_the_best_but_for_less_than_one_step(paths, prices, least, budget):
    n = len(paths)
    need = needs(paths=paths, position=np.zeros(n), pack=np.full(n, 2), ratio=9, least=least[:n])
    wanted, price = best_packs(need), np.array(prices[:n], dtype=float)
    steps = rank_steps(need, wanted, price, price)
    packs = allocate(steps, Limits(budget=float(budget)), n)
    saved = need.costs(np.zeros(n, dtype=int)).sum() - need.costs(packs).sum()
    lost = best_of_all(need, wanted, price, budget) - saved
    refused = steps.saving[np.cumsum(steps.spend) > budget]
    assert lost <= (refused[0] if refused.size else 0.0) + 1e-9
    assert lost >= -1e-9
    if budget in np.append(0, np.cumsum(steps.spend)):
        assert lost == pytest.approx(0, abs=1e-9)


def test_the_line_that_saves_more_for_its_money_goes_first():
    """Both lack 12 units, but a shortage costs the first 19 times the holding of a unit, the second 4 times."""
    asked = lines(2, on_hand=[18, 18], service_level=[0.95, 0.8])
    table = propose(asked, certain(3, 3), Terms(review_every=7, holding_rate=0.001, limits=Limits(budget=24)))
    assert table["packs"].tolist() == [1, 0]
    assert table["reason"][1].endswith(
        "nothing ordered: of 1 pack of 12 the rest does not fit the shared budget or room"
    )


def test_a_pack_that_does_not_fit_leaves_room_for_one_that_does():
    asked = lines(2, on_hand=[18, 18], service_level=[0.95, 0.8], unit_cost=[10.0, 1.0])
    table = propose(asked, certain(3, 3), Terms(review_every=7, holding_rate=0.001, limits=Limits(budget=100)))
    assert table["packs"].tolist() == [0, 1]


def test_a_negative_limit_is_refused():
    with pytest.raises(ValueError, match="Correct the limit"):
        Limits(budget=-1)


# --- The table ---------------------------------------------------------------------------------


def test_the_table_has_its_documented_columns_and_one_order_whatever_the_order_asked():
    shuffled = np.random.default_rng(1).permutation(len(MANY))
    mixed = QuantileForecast(values=DEMAND.values[shuffled], levels=LEVELS)
    terms = Terms(review_every=7, holding_rate=0.001, limits=Limits(budget=100))
    first, second = propose(MANY, DEMAND, terms), propose(MANY.iloc[shuffled], mixed, terms)
    assert list(first.columns) == list(COLUMNS)
    assert first["product_id"].is_monotonic_increasing
    pd.testing.assert_frame_equal(first, second)


def test_no_lines_give_an_empty_table():
    table = propose(lines(0), QuantileForecast(values=np.zeros((0, HORIZON, 5)), levels=LEVELS), TERMS)
    assert list(table.columns) == list(COLUMNS)
    assert table.empty


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"on_hand": -1}, "on_hand"),
        ({"pack_size": 0}, "pack_size"),
        ({"service_level": 1.0}, "service_level"),
        ({"lead_time": 1.5}, "lead_time"),
        ({"unit_cost": None}, "unit_cost"),
        ({"cost_ratio": 9.0}, "one of service_level, cost_ratio"),
        ({"product_id": ["a", "a"]}, "1 repeated"),
    ],
)
def test_a_wrong_line_is_refused_by_name(change, message):
    with pytest.raises(SourceInvalid, match=message):
        propose(lines(2, **change), certain(3, 3), TERMS)


def test_a_missing_column_is_refused_by_name():
    with pytest.raises(SourceInvalid, match="no lead_time"):
        propose(lines().drop(columns="lead_time"), certain(3), TERMS)


def test_a_forecast_that_ends_too_early_or_of_other_lines_is_refused():
    with pytest.raises(ValueError, match="Forecast further ahead"):
        propose(lines(lead_time=8), certain(3), TERMS)
    with pytest.raises(ValueError, match="Align them"):
        propose(lines(), certain(3, 3), TERMS)


# --- Demand over the protection interval -------------------------------------------------------


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
