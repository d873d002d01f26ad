"""Proposals order what is needed, keep to what is shared, move the right way, and say why."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ml.errors import SourceInvalid
from ml.use_cases.inventory.allocate import Limits
from ml.use_cases.inventory.order_line import COLUMNS, Terms
from ml.use_cases.inventory.propose import propose
from ml.use_cases.inventory.protection import Dependence, QuantileForecast

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
