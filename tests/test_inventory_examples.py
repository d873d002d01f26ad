"""Weekly demand is what was sold, and no example knows of what comes after it."""

from __future__ import annotations

import ibis
import numpy as np
import pandas as pd
import pytest

from ml.errors import ConfigInvalid
from ml.use_cases import load
from ml.use_cases.inventory.demand_class import demand_class
from ml.use_cases.inventory.examples import build
from ml.use_cases.inventory.params import InventoryFeatures, StockParams
from ml.use_cases.inventory.weekly import weekly

PARAMS = InventoryFeatures()


@pytest.fixture(scope="module")
def raw():
    return load("inventory").data.sample(np.random.default_rng(5), 80)


@pytest.fixture(scope="module")
def built(raw):
    return build(expressions(raw), PARAMS)


def expressions(tables, **changed):
    return {name: ibis.memtable(rows) for name, rows in {**tables, **changed}.items()}


def shop(*sold, **tables):
    """A shop that sold (day, store, product, quantity, amount)."""
    columns = ["purchased_at", "store_id", "product_id", "quantity", "amount"]
    purchases = pd.DataFrame(sold, columns=columns).astype({"purchased_at": "datetime64[us]", "amount": "float64"})
    names = sorted(set(purchases["product_id"]))
    products = pd.DataFrame({"product_id": names, "name": names, "department": "TEA", "category": None})
    return expressions({"purchases": purchases, "products": products.astype("str"), **tables})


FEWEST_ONE = PARAMS.model_copy(update={"window": PARAMS.window.model_copy(update={"min_sales": 1})})


def test_weeks_are_whole_and_sums_are_those_of_the_group():
    """2026-01-05 is a Monday. Sunday the 4th begins no whole week, Monday the 26th ends none."""
    found = weekly(
        shop(
            ("2026-01-04T12:00", "a", "p", 9, 9.0),
            ("2026-01-05T00:00", "a", "p", 2, 5.0),
            ("2026-01-11T23:59", "b", "p", 1, 2.5),
            ("2026-01-19T08:00", "c", "p", 4, 8.0),
            ("2026-01-26T08:00", "a", "p", 9, 9.0),
            stores=pd.DataFrame({"store_id": ["a", "b"], "store_group": ["north", "north"]}),
        ),
        FEWEST_ONE,
    )
    assert found.table.units.tolist() == ["p/all", "p/north"]
    np.testing.assert_array_equal(found.table.demand, [[0, 0, 4], [3, 0, 0]])
    np.testing.assert_allclose(found.turnover, [[0, 0, 8.0], [7.5, 0, 0]])
    np.testing.assert_allclose(np.exp(found.table.drivers["price"]), [[np.nan, np.nan, 2.0], [2.5, 2.5, 2.5]])


def test_a_promotion_counts_in_its_week_and_group_also_ahead_of_the_records():
    promotions = pd.DataFrame(
        {
            "product_id": ["p", "p", "q"],
            "store_group": ["all", "all", "all"],
            "week": pd.to_datetime(["2026-01-05", "2026-01-19", "2026-01-05"]),
            "display": [0.5, 1.0, 1.0],
            "mailer": [None, 0.25, None],
            "front_page": [None, None, None],
        }
    ).astype({"mailer": "float64", "front_page": "float64"})
    sold = ("2026-01-05T10:00", "a", "p", 1, 1.0), ("2026-01-18T10:00", "a", "p", 1, 1.0)
    plans = weekly(shop(*sold, promotions=promotions), FEWEST_ONE).table.plans
    np.testing.assert_array_equal(plans["display"], [[0.5, 0, 1, 0, 0, 0]])
    np.testing.assert_array_equal(plans["mailer"], [[0, 0, 0.25, 0, 0, 0]])


def test_excluded_departments_are_not_forecast(raw):
    without = weekly(expressions(raw), PARAMS.model_copy(update={"exclude_departments": ("Dairy",)}))
    assert set(without.facts["department"]) == {"Bakery", "Drinks", "Household"}
    with pytest.raises(
        ConfigInvalid, match=r"to name Bakery, Dairy, Drinks, Household\. Received Diary \(did you mean Dairy\?\)"
    ):
        weekly(expressions(raw), PARAMS.model_copy(update={"exclude_departments": ("Dairy", "Diary")}))


def test_no_example_of_the_past_changes_when_later_sales_do(raw, built):
    """Sales of the last eight weeks, the test, are tripled: training and validation must not notice."""
    purchases = raw["purchases"]
    is_test = purchases["purchased_at"] >= built.splits["test"]["time"].min()
    assert 0 < is_test.sum() < len(purchases)
    later = purchases.assign(quantity=purchases["quantity"].where(~is_test, 3))
    again = build(expressions(raw, purchases=later), PARAMS)
    for name in ("train", "valid"):
        pd.testing.assert_frame_equal(again.splits[name], built.splits[name])
    assert again.state == built.state
    first = built.splits["test"]["time"].min()
    before, after = (one.splits["test"][one.splits["test"]["time"] == first] for one in (built, again))
    np.testing.assert_array_equal(np.stack(before["history"]), np.stack(after["history"]))
    np.testing.assert_array_equal(3 * np.stack(before["targets"]), np.stack(after["targets"]))


def test_every_series_of_the_test_has_all_its_weeks(built):
    test = built.splits["test"]
    assert (test.groupby("unit")["time"].nunique() == PARAMS.test_weeks).all()
    assert len(test) == test["unit"].nunique() * PARAMS.test_weeks


def test_the_series_with_the_highest_turnover_are_kept(raw):
    few = build(expressions(raw), PARAMS.model_copy(update={"max_series": 20}))
    assert few.splits["test"]["unit"].nunique() == 20
    recent = raw["purchases"].merge(raw["stores"], on="store_id")
    end = few.splits["test"]["time"].min()
    recent = recent[(recent["purchased_at"] < end) & (recent["purchased_at"] >= end - pd.Timedelta(weeks=18))]
    turnover = recent.groupby(recent["product_id"] + "/" + recent["store_group"])["amount"].sum()
    assert set(few.splits["test"]["unit"]) == set(turnover.nlargest(20).index)


def test_a_shop_without_terms_stock_stores_and_promotions_is_forecast_on_defaults(raw):
    defaults = PARAMS.model_copy(update={"stock": StockParams(lead_time_weeks=2, cost_share=0.5)})
    plain = {name: raw[name] for name in ("purchases", "products")}
    test = build(expressions(plain), defaults).splits["test"]
    assert set(test["store_group"]) == {"all"}
    assert set(test["lead_time"]) == {2.0}
    price = raw["purchases"].groupby("product_id")["amount"].mean()
    np.testing.assert_allclose(test["unit_cost"], test["product_id"].map(price) * 0.5, rtol=1e-6)


def test_a_lead_time_beyond_the_forecast_is_refused_with_what_to_set(raw):
    terms = raw["supplier_terms"].assign(lead_time_weeks=5)
    with pytest.raises(ValueError, match=r"Received 6\. Set features\.window\.horizon"):
        build(expressions(raw, supplier_terms=terms), PARAMS)


def test_demand_is_sorted_by_interval_and_scatter():
    """Cut-offs 1.32 weeks between sales and 0.49 of the squared variation of sizes."""
    even, jumpy = [4.0] * 8, [1.0, 9.0] * 4
    rare, bursts = [0, 0, 0, 4.0] * 2, [0, 0, 0, 1.0, 0, 0, 0, 9.0]
    found = demand_class(np.array([even, jumpy, rare, bursts, [0.0] * 8]))
    assert found.tolist() == ["smooth", "erratic", "intermittent", "lumpy", "intermittent"]
