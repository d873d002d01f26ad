"""Examples of payments know what serving knows at that moment, to the last bit, and nothing that came later."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from ml.serving.state import Event, StateStore
from ml.serving.subject import Subjects
from ml.use_cases.fraud.encode import encode
from ml.use_cases.fraud.evidence import FEATURES, GROUPS
from ml.use_cases.fraud.examples import build
from ml.use_cases.fraud.params import FraudFeatures
from ml.use_cases.fraud.record import USE_CASE
from ml.use_cases.fraud.window import windows
from tests.fraud_shop import PARAMS, small_shop
from tests.recommend_shop import expressions

SERVICE = USE_CASE.service
TOLD = ("customer_id", "terminal_id", "amount", "coupon_amount", "n_items", "channel")


class Recorder:
    """A predictor that keeps what it was asked."""

    def __init__(self):
        self.asked = []

    def __call__(self, inputs):
        self.asked.append(np.concatenate([inputs[kind] for kind in GROUPS], axis=1)[0])
        return np.zeros((1, 3), dtype=np.float32)


class Till:
    """The shop's till: asks the service about each payment, and tells it what happened."""

    def __init__(self, store, state):
        self.store, self.state, self.subjects = store, state, Subjects(SERVICE)
        self.recorder, self.was_odd = Recorder(), {}

    def pay(self, paid):
        body = {**{name: paid[name] for name in TOLD}, "paid_at": paid["paid_at"].isoformat()}
        request = SERVICE.request.model_validate(body)
        units = self.subjects.units(lambda name: getattr(request, name, None), request.customer_id)
        history = self.subjects.history(units, lambda unit: self.store.history("fraud", unit))
        answer = SERVICE.answer(self.recorder, self.state, request, history)
        self.was_odd[paid["payment_id"]] = answer.is_odd
        self.tell(paid, body, body["paid_at"])

    def charge_back(self, notice, paid):
        moments = {name: notice[name].isoformat() for name in ("reported_at", "payment_at")}
        body = {**moments, "terminal_id": paid["terminal_id"], "was_odd": self.was_odd[paid["payment_id"]]}
        self.tell(paid, body, body["reported_at"])

    def tell(self, paid, body, time):
        units = tuple(self.subjects.units(body.get, paid["customer_id"]))
        assert self.store.record("fraud", Event(units=units, time=time, body=body), self.subjects.observe)


@pytest.fixture(scope="module")
def shop():
    return small_shop(n_customers=40)


@pytest.fixture(scope="module")
def till(shop, tmp_path_factory):
    """A till after all payments and charge-backs of the shop, in order; charge-backs of the same second first."""
    store = StateStore(tmp_path_factory.mktemp("state") / "state.sqlite")
    payments = shop.tables["payments"].sort_values(["paid_at", "payment_id"]).to_dict("records")
    by_id = {paid["payment_id"]: paid for paid in payments}
    notices = shop.tables["chargebacks"].to_dict("records")
    events = [(notice["reported_at"], 0, number, notice) for number, notice in enumerate(notices)]
    events += [(paid["paid_at"], 1, number, paid) for number, paid in enumerate(payments)]
    open_till = Till(store, shop.state)
    for _, is_payment, _, row in sorted(events, key=lambda event: event[:3]):
        if is_payment:
            open_till.pay(row)
        else:
            open_till.charge_back(row, by_id[row["payment_id"]])
    yield open_till
    store.close()


def test_a_service_asked_payment_by_payment_reads_the_features_of_the_batch(shop, till):
    encoded = encode(shop.test, shop.state)
    batch = np.concatenate([encoded[kind] for kind in GROUPS], axis=1)
    paid = shop.tables["payments"].sort_values(["paid_at", "payment_id"], ignore_index=True)["paid_at"]
    first = int(paid.searchsorted(shop.test["time"].min()))
    served = np.array(till.recorder.asked[first : first + len(shop.test)])
    assert len(batch) > 50
    np.testing.assert_array_equal(served, batch)


def test_the_published_histories_are_what_serving_remembers(shop, till):
    published = shop.built.histories.set_index("unit")["history"].map(json.loads)
    cards = [unit for unit in published.index if "=" not in unit]
    assert len(cards) == shop.tables["payments"]["customer_id"].nunique()
    for unit in cards:
        assert till.store.history("fraud", unit) == published[unit]
    for unit in published.index.difference(cards):
        known = till.store.history("fraud", unit)
        assert known["known"] == published[unit]["known"]
        assert known["payments"][-len(published[unit]["payments"]) :] == published[unit]["payments"]


def test_a_test_row_brings_what_was_remembered_before_it(shop):
    recorder = Recorder()
    for body in SERVICE.from_examples(shop.test, shop.state, len(shop.test)):
        SERVICE.answer(recorder, shop.state, SERVICE.request.model_validate(body), None)
    frauds_first = shop.test.sort_values("is_fraud", ascending=False, kind="stable")
    batch = np.concatenate(list(encode(frauds_first, shop.state).values()), axis=1)
    np.testing.assert_array_equal(np.array(recorder.asked), batch)


def test_what_is_reported_later_changes_no_feature_before_it(shop):
    cut = shop.test["time"].iloc[len(shop.test) // 2]
    known = shop.tables["chargebacks"]
    others = shop.tables["payments"][~shop.tables["payments"]["payment_id"].isin(known["payment_id"])]
    planted = others[others["paid_at"] < cut].tail(40)
    lies = pd.DataFrame({"payment_id": planted["payment_id"], "payment_at": planted["paid_at"], "reported_at": cut})
    lies = lies.assign(reason="10.4").astype(known.dtypes.to_dict())
    again = build(expressions({**shop.tables, "chargebacks": pd.concat([known, lies])}), PARAMS).splits["test"]
    early, late = shop.test["time"] < cut, shop.test["time"] > cut
    features = list(FEATURES)
    pd.testing.assert_frame_equal(again.loc[early, features], shop.test.loc[early, features])
    assert not again.loc[late, features].equals(shop.test.loc[late, features])


def test_labels_of_a_window_are_those_known_when_the_next_one_begins(shop):
    params, last = PARAMS, pd.Timestamp("2026-06-30")
    cut = windows(pd.Timestamp("2026-01-12"), last, params)
    assert cut["test"].known == pd.Timestamp("2026-07-01")
    assert cut["valid"].known == cut["test"].start == pd.Timestamp("2026-06-03")
    assert cut["train"].known == cut["valid"].start == pd.Timestamp("2026-05-06")
    assert cut["train"].end == pd.Timestamp("2026-04-29")
    reported = shop.tables["chargebacks"].set_index("payment_id")["reported_at"]
    for name, window in cut.items():
        rows = shop.built.splits[name]
        truth = rows["payment"].map(reported) < window.known
        assert rows["is_fraud"].tolist() == truth.astype(int).tolist()


def test_genuine_payments_that_are_left_out_are_counted_by_those_that_stay(shop):
    whole = shop.built.splits["train"]
    thin = build(expressions(shop.tables), PARAMS.model_copy(update={"genuine_share": 0.5})).splits["train"]
    assert thin["is_fraud"].sum() == whole["is_fraud"].sum()
    assert len(thin) < 0.7 * len(whole)
    assert set(thin.loc[thin["is_fraud"] == 0, "weight"]) == {2.0}
    assert set(thin.loc[thin["is_fraud"] == 1, "weight"]) == {1.0}


def test_a_reason_code_of_the_bank_is_no_feature(shop):
    renamed = shop.tables["chargebacks"].assign(reason="another")
    again = build(expressions({**shop.tables, "chargebacks": renamed}), PARAMS)
    for name, rows in shop.built.splits.items():
        pd.testing.assert_frame_equal(again.splits[name], rows)


def test_too_short_a_period_says_how_long_one_is_needed(shop):
    recent = shop.tables["payments"][shop.tables["payments"]["paid_at"] >= "2026-05-01"]
    with pytest.raises(ValueError, match=r"at least 143 days. Received 61"):
        build(expressions({**shop.tables, "payments": recent}), FraudFeatures())


def test_a_window_without_fraud_is_named(shop):
    early = shop.tables["chargebacks"][shop.tables["chargebacks"]["reported_at"] < shop.test["time"].min()]
    with pytest.raises(ValueError, match=r"none in test\. Bring"):
        build(expressions({**shop.tables, "chargebacks": early}), PARAMS)


def test_a_customer_pays_on_several_days_each_a_unit(shop):
    units = shop.test["unit"].str.split("/", expand=True)
    assert (units[1] == shop.test["time"].dt.strftime("%Y-%m-%d")).all()
    assert units[0].nunique() < shop.test["unit"].nunique()
