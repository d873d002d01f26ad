"""Examples know the past alone: where time is cut, what a history holds, what is counted when."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from ml.files import write_json, write_parquet
from ml.use_cases.recommend.cut import windows
from ml.use_cases.recommend.encode import encode
from ml.use_cases.recommend.examples import build
from ml.use_cases.recommend.params import RecommendFeatures
from ml.use_cases.recommend.trend import first_period
from ml.use_cases.recommend.vocabulary import product_key
from tests.recommend_shop import PARAMS, Shop, expressions, small_shop


@pytest.fixture(scope="module")
def shop() -> Shop:
    return small_shop()


def baskets_of(shop: Shop) -> pd.DataFrame:
    """Return unit, basket, time, products of every basket, by plain pandas."""
    purchases = shop.tables["purchases"]
    grouped = purchases.groupby(["customer_id", "basket_id"], as_index=False)
    return grouped.agg(time=("purchased_at", "min"), products=("product_id", set))


def lines(pairs: list[tuple[str, str, str, str]]) -> dict[str, pd.DataFrame]:
    """Return tables with purchases (customer, basket, product, time)."""
    columns = ["customer_id", "basket_id", "product_id", "purchased_at"]
    purchases = pd.DataFrame(pairs, columns=columns)
    purchases["purchased_at"] = pd.to_datetime(purchases["purchased_at"], format="ISO8601").astype("datetime64[us]")
    ids = sorted(set(purchases["product_id"]))
    products = pd.DataFrame({"product_id": ids, "name": [f"name of {i}" for i in ids]})
    return {"purchases": purchases, "products": products.assign(department="D", category="C", brand="B")}


def test_windows_end_with_the_newest_day_and_follow_each_other():
    found = windows(datetime(2026, 1, 1, 9), datetime(2026, 6, 30, 19), RecommendFeatures(train_days=56))
    assert found.end == datetime(2026, 7, 1)
    assert found.test_start == datetime(2026, 6, 3)
    assert found.valid_start == datetime(2026, 5, 6)
    assert found.train_start == datetime(2026, 3, 11)


def test_a_short_record_leaves_half_of_what_precedes_validation_as_history():
    found = windows(datetime(2026, 4, 6), datetime(2026, 6, 30, 19), RecommendFeatures())
    assert found.valid_start - found.train_start == timedelta(days=15)


def test_no_split_reaches_into_the_next(shop):
    edges = {name: datetime.fromisoformat(text) for name, text in shop.state["windows"].items()}
    assert shop.split("train")["time"].between(edges["train_start"], edges["valid_start"], inclusive="left").all()
    assert shop.split("valid")["time"].between(edges["valid_start"], edges["test_start"], inclusive="left").all()
    assert (shop.split("test")["time"] >= edges["test_start"]).all()


def test_a_test_example_is_the_first_basket_of_its_customer_in_the_window(shop):
    baskets = baskets_of(shop)
    inside = baskets[baskets["time"] >= datetime.fromisoformat(shop.state["windows"]["test_start"])]
    first = inside.groupby("customer_id")["time"].min()
    test = shop.split("test")
    assert test["unit"].is_unique
    assert test.set_index("unit")["time"].equals(first.loc[test["unit"]].rename_axis("unit"))


@pytest.mark.parametrize("name", ["train", "valid", "test"])
def test_a_history_is_what_came_strictly_before_and_targets_are_the_basket_itself(shop, name):
    baskets = baskets_of(shop)
    for row in shop.split(name).itertuples():
        own = baskets[baskets["customer_id"] == row.unit]
        before = own[own["time"] < row.time].sort_values("time")
        keys = [product_key(product) for products in before["products"] for product in products]
        assert sorted(row.items) == sorted(keys)
        assert min(row.ages) > 0
        assert row.n_baskets == len(before)
        assert row.newest_age == (row.time - before["time"].max()).total_seconds()
        (now,) = own[own["time"] == row.time]["products"]
        assert set(row.targets) == {product_key(product) for product in now}


def test_a_later_purchase_changes_no_earlier_example(shop):
    purchases = shop.tables["purchases"]
    newest = purchases["purchased_at"].max()
    late = purchases.tail(1).assign(product_id="1001", basket_id="late", purchased_at=newest)
    grown = build(expressions({**shop.tables, "purchases": pd.concat([purchases, late], ignore_index=True)}), PARAMS)
    for name in ("train", "valid"):
        pd.testing.assert_frame_equal(shop.split(name), grown.splits[name])
        for kind, values in encode(shop.split(name), shop.state).items():
            np.testing.assert_array_equal(values, encode(grown.splits[name], grown.state)[kind])
    newest = [(one[0], other[0]) for one, other in zip(shop.state["sales"], grown.state["sales"], strict=True)]
    assert [later - before for before, later in newest if later != before] == [1]
    assert {**grown.state, "sales": None} == {**shop.state, "sales": None}


def test_an_example_knows_only_periods_of_sales_that_had_ended_before_it(shop):
    end = pd.Timestamp(shop.state["as_of"])
    moments = [end, end - timedelta(hours=1), end - timedelta(days=3), end - timedelta(days=3, hours=1)]
    assert first_period(moments, end).tolist() == [0, 1, 1, 2]
    for name in ("train", "valid", "test"):
        known = end - first_period(shop.split(name)["time"], end) * timedelta(days=3)
        assert (known <= shop.split(name)["time"]).all()


def test_sales_are_baskets_by_period_before_the_end_of_the_data():
    days = ("2026-03-31", "2026-03-29", "2026-03-28", "2026-03-20")  # the newest period begins on March 29th
    rows = [(f"c{n}", f"b{n}", "milk", f"{day} 10:00") for n, day in enumerate(days)]
    found = build(expressions(lines(rows)), RecommendFeatures(min_count=1, test_days=2, valid_days=2, train_days=2))
    assert found.state["sales"][0][:4] == [2, 1, 0, 1]


def test_the_vocabulary_counts_training_baskets_and_orders_them():
    rows = [("c1", f"b{n}", "milk", f"2026-01-{n + 1:02d} 10:00") for n in range(5)]
    rows += [("c1", f"b{n}", "tea", f"2026-01-{n + 1:02d} 10:00") for n in range(3)]
    rows += [("c1", "b9", "new", "2026-03-20 10:00"), ("c2", "b10", "rare", "2026-01-03 10:00")]
    found = build(expressions(lines(rows)), RecommendFeatures(min_count=2, test_days=10, valid_days=10))
    assert found.state["products"] == ["milk", "tea"]
    assert found.state["popularity"] == [5, 3]
    assert found.state["names"] == ["name of milk", "name of tea"]


def test_how_products_are_bought_again_is_counted_before_the_training_window():
    rows = [("c1", f"b{n}", "milk", f"2026-01-{1 + 4 * n:02d} 10:00") for n in range(5)]  # 4 days apart
    rows += [("c1", f"x{n}", "milk", f"2026-03-{n + 1:02d} 10:00") for n in range(20)]
    rows += [("c2", "y", "milk", "2026-01-02 10:00"), ("c2", "z", "tea", "2026-01-02 10:00")]
    params = RecommendFeatures(min_count=1, test_days=7, valid_days=7, train_days=7)
    state = build(expressions(lines(rows)), params).state
    at = state["products"].index("milk")
    assert state["windows"]["train_start"] == "2026-02-28T00:00:00"
    assert state["baskets"][at] == 6
    assert state["customers"][at] == 2
    assert state["gap_days"] == [4.0, 4.0]


def test_equal_rows_in_another_order_give_equal_files(shop, tmp_path, rng):
    shuffled = {name: frame.sample(frac=1, random_state=3) for name, frame in shop.tables.items()}
    again = build(expressions(shuffled), PARAMS)
    for number, built in enumerate((shop.built, again)):
        for name, frame in {**built.splits, **built.profile, "histories": built.histories}.items():
            write_parquet(tmp_path / str(number) / f"{name}.parquet", frame)
        write_json(tmp_path / str(number) / "state.json", built.state)
    for file in (tmp_path / "0").iterdir():
        assert file.read_bytes() == (tmp_path / "1" / file.name).read_bytes(), file.name


def test_customers_without_attributes_are_a_slice_of_their_own(shop):
    known = set(shop.tables["customers"]["customer_id"])
    test = shop.split("test")
    assert (test.loc[~test["unit"].isin(known), "age_group"] == "unknown").all()
    assert (test.loc[test["unit"].isin(known), "age_group"] != "unknown").all()
    without = build(expressions({k: v for k, v in shop.tables.items() if k != "customers"}), PARAMS)
    assert set(without.splits["test"]["income_group"]) == {"unknown"}
    assert set(test["activity"]) == {"low", "medium", "high"}


def test_no_purchase_is_a_refusal():
    tables = lines([("c", "b", "p", "2026-01-01")])
    with pytest.raises(ValueError, match="Received none"):
        build(expressions({**tables, "purchases": tables["purchases"].head(0)}), PARAMS)


def test_examples_differ_in_age_by_what_the_clock_says():
    rows = [("c1", "b1", "milk", "2026-01-01 10:00"), ("c1", "b2", "milk", "2026-03-01 10:00:30")]
    params = RecommendFeatures(min_count=1, test_days=7, valid_days=3)
    (row,) = build(expressions(lines(rows)), params).splits["test"].itertuples()
    assert row.ages.tolist() == [59 * 86_400 + 30]
    assert row.baskets_ago.tolist() == [1]
    assert np.isclose(row.oldest_age, row.newest_age)
