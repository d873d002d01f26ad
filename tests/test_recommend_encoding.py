"""One encoder for training and serving, checked by hand arithmetic."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.use_cases.recommend.describe import describe, describe_history
from ml.use_cases.recommend.encode import (
    DECAYS,
    FEATURES,
    encode,
    events_of,
    events_of_history,
    inputs,
    pack,
    positions,
)
from ml.use_cases.recommend.history import MAX_BASKETS, Purchase, from_purchases, observe
from ml.use_cases.recommend.vocabulary import product_key, vocabulary_of
from tests.recommend_shop import Shop, small_shop

NOW = datetime(2026, 6, 30, 12)
STATE = {
    "products": ["milk", "tea", "rye"],
    "names": ["Milk", "Tea", "Rye"],
    "departments": ["Dairy", "Drinks", "Bakery"],
    "categories": ["Dairy", "Drinks", "Bakery"],
    "popularity": [9, 5, 2],
    "baskets": [9, 5, 2],
    "customers": [3, 2, 2],
    "gap_days": [4.0, 9.0, 7.0],
    "sales": [[3, 2, 4], [0, 2, 3], [0, 0, 2]],
    "max_history": 4,
    "max_baskets": 100,
    "as_of": NOW.isoformat(),
}


@pytest.fixture(scope="module")
def shop() -> Shop:
    return small_shop()


def history(*baskets: tuple[float, list[str]]) -> dict:
    """Return a history from (days before NOW, products), oldest first."""
    return {
        "baskets": [[(NOW - timedelta(days=days)).isoformat(), products] for days, products in baskets],
        "last": None,
    }


def purchases_of(rows: pd.DataFrame) -> list[Purchase]:
    columns = (rows["product_id"], rows["purchased_at"], rows["basket_id"])
    return [Purchase(product_id=p, purchased_at=t, basket_id=b) for p, t, b in zip(*columns, strict=True)]


def encoded(known: dict) -> dict[str, np.ndarray]:
    events = events_of_history(known, NOW, STATE)
    return inputs(events, positions(events), STATE)


def feature(known: dict, product: str, name: str) -> float:
    found = encoded(known)
    (at,) = np.flatnonzero(found["items"][0] == STATE["products"].index(product) + 1)
    return float(found["features"][0, at, FEATURES.index(name)])


def test_decayed_counts_by_hand():
    events = events_of_history(history((30, ["milk"]), (7, ["milk", "tea"])), NOW, STATE)
    found = positions(events)
    milk = found.take(found.item == 0)
    by_name = dict(zip(DECAYS, milk.decayed[0], strict=True))
    assert by_name["days_7"] == pytest.approx(2 ** (-30 / 7) + 0.5)
    assert by_name["days_30"] == pytest.approx(0.5 + 2 ** (-7 / 30))
    assert by_name["baskets_0.9"] == pytest.approx(1 + 0.9)
    assert (milk.count[0], milk.last_age[0], milk.first_age[0], milk.last_ago[0]) == (2, 7, 30, 1)


def test_a_product_is_due_when_its_own_rhythm_has_passed():
    known = history((20, ["milk"]), (10, ["milk"]))
    assert feature(known, "milk", "log_due") == pytest.approx(np.log(11 / 11), abs=1e-6)
    assert feature(history((14, ["milk"]), (10, ["milk"])), "milk", "log_due") == pytest.approx(
        np.log(11 / 5), abs=1e-5
    )
    assert feature(history((10, ["milk"])), "milk", "is_single") == 1


def test_strongest_products_stay_where_a_history_is_longer_than_the_model():
    state = {**STATE, "max_history": 2}
    known = history((3, ["milk"]), (2, ["milk", "tea"]), (1, ["milk", "tea", "rye"]))
    events = events_of_history(known, NOW, state)
    found = inputs(events, positions(events), state)
    assert found["items"].tolist() == [[1, 2]]


def test_unknown_products_and_later_purchases_are_left_out():
    known = history((5, ["milk", "never seen"]), (-1, ["tea"]))
    assert encoded(known)["items"].tolist() == [[1, 0, 0, 0]]
    assert not encoded(history())["items"].any()
    assert not encoded(history())["features"].any()


def test_only_the_newest_baskets_are_looked_at():
    known = history((9, ["tea"]), (8, ["milk"]), (7, ["milk"]))
    events = events_of_history(known, NOW, {**STATE, "max_baskets": 2})
    assert events.item.tolist() == [0, 0]
    assert events.n_baskets.tolist() == [2]


def test_serving_encodes_what_training_encoded(shop):
    """The history JSON of a customer, cut at an example's moment, gives that example's inputs."""
    purchases = shop.tables["purchases"]
    for row in range(0, len(shop.split("test")), 5):
        example = shop.split("test").iloc[[row]]
        unit, time = example["unit"].iloc[0], example["time"].iloc[0]
        own = purchases[(purchases["customer_id"] == unit) & (purchases["purchased_at"] < time)]
        bought = purchases_of(own)
        events = events_of_history(from_purchases(bought), time.to_pydatetime(), shop.state)
        served, trained = inputs(events, positions(events), shop.state), encode(example, shop.state)
        np.testing.assert_array_equal(served["items"], trained["items"])
        np.testing.assert_allclose(served["features"], trained["features"], rtol=1e-5, atol=1e-6)
        (described,) = describe(example).to_dict("records")
        assert describe_history(from_purchases(bought), time.to_pydatetime()) == pytest.approx(described)


def test_published_histories_are_those_that_requests_would_build(shop):
    purchases = shop.tables["purchases"]
    published = shop.built.histories.set_index("unit")["history"]
    for unit in published.index[:10]:
        own = purchases[purchases["customer_id"] == unit]
        bought = purchases_of(own)
        assert json.loads(published[unit]) == from_purchases(bought)


def test_packed_rows_are_the_padded_rows(shop):
    valid = shop.split("valid")
    whole, packed = encode(valid, shop.state), pack(valid, shop.state)
    rows = np.array([3, 0, 7])
    np.testing.assert_array_equal(packed.rows(rows, 32)["features"], whole["features"][rows])
    np.testing.assert_array_equal(packed.rows(rows)["items"], whole["items"][rows][:, : packed.sizes[rows].max()])


def test_another_vocabulary_reads_the_same_examples(shop):
    """A version with other products is measured on the same rows: what it does not know is left out."""
    products = shop.state["products"][5:]
    size = len(shop.state["products"])
    per_product = {name for name, values in shop.state.items() if isinstance(values, list) and len(values) == size}
    smaller = {name: values[5:] if name in per_product else values for name, values in shop.state.items()}
    events = events_of(shop.split("test"), smaller)
    keys = np.concatenate(shop.split("test")["items"].tolist())
    known = {product_key(product) for product in products}
    assert len(events.item) == sum(key in known for key in keys.tolist())
    assert vocabulary_of(smaller).find(np.array([product_key(products[2]), 12345])).tolist() == [2, -1]


purchase = st.builds(
    Purchase,
    product_id=st.sampled_from(["milk", "tea", "rye"]),
    purchased_at=st.datetimes(datetime(2026, 1, 1), NOW).map(lambda time: time.replace(microsecond=0)),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(purchase, max_size=25), st.randoms())
def test_purchases_make_the_same_history_in_whatever_order_they_come(bought, chance):
    shuffled = list(bought)
    chance.shuffle(shuffled)
    known = from_purchases(bought)
    assert from_purchases(shuffled) == known
    one_by_one = {"baskets": [], "last": None}
    for item in shuffled:
        one_by_one = observe(one_by_one, json.loads(item.model_dump_json()))
    assert one_by_one["baskets"] == known["baskets"]
    times = [time for time, _ in known["baskets"]]
    assert times == sorted(set(times))


@settings(max_examples=60, deadline=None)
@given(st.lists(purchase, min_size=1, max_size=25))
def test_inputs_are_finite_and_counts_decay(bought):
    found = encoded(from_purchases(bought))
    assert np.isfinite(found["features"]).all()
    events = events_of_history(from_purchases(bought), NOW, STATE)
    placed = positions(events)
    assert (placed.decayed <= placed.count[:, None] + 1e-9).all()
    assert (placed.decayed > 0).all()


def test_lines_of_one_visit_are_one_basket():
    event = {"product_id": "milk", "purchased_at": "2026-06-01T10:00:00", "basket_id": "b1"}
    once = observe(None, event)
    twice = observe(once, {**event, "product_id": "tea", "purchased_at": "2026-06-01T10:05:00"})
    assert twice["baskets"] == [["2026-06-01T10:00:00", ["milk", "tea"]]]
    assert once["baskets"] == [["2026-06-01T10:00:00", ["milk"]]]
    other = observe(twice, {**event, "basket_id": "b2", "purchased_at": "2026-06-02T10:00:00"})
    assert [len(products) for _, products in other["baskets"]] == [2, 1]


def test_a_history_is_bounded_and_forgets_the_oldest():
    known = None
    for day in range(MAX_BASKETS + 5):
        time = datetime(2025, 1, 1) + timedelta(days=day)
        known = observe(known, {"product_id": str(day), "purchased_at": time.isoformat()})
    assert len(known["baskets"]) == MAX_BASKETS
    assert known["baskets"][0][1] == ["5"]


@pytest.mark.parametrize("event", [{}, {"product_id": "milk"}, {"product_id": "milk", "purchased_at": "soon"}])
def test_an_event_that_is_no_purchase_is_refused(event):
    with pytest.raises(ValueError, match="purchased_at"):
        observe(None, event)


def test_a_time_with_an_offset_is_read_as_utc():
    event = {"product_id": "milk", "purchased_at": "2026-06-01T10:00:00+02:00"}
    assert observe(None, event)["baskets"][0][0] == "2026-06-01T08:00:00"


def test_describing_a_history_by_hand():
    assert describe_history({"baskets": [], "last": None}, NOW) == {}
    assert describe_history(history((2, ["milk", "tea"]), (1, ["milk"])), NOW) == {
        "history_baskets": 2.0,
        "history_products": 2.0,
        "days_since_last": 1.0,
        "basket_size": 1.5,
        "repeat_share": round(1 / 3, 6),
    }
