"""Each simulated scenario does what its name says, whoever the draw hits."""

from __future__ import annotations

import pandas as pd
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from ml.config import Settings
from ml.sources.opening import open_source
from ml.sources.payments import recorded_payments
from ml.sources.simulated_fraud import SCENARIOS, TERMINAL_FRAUD_SHARE, keyed_generator

DAY = pd.Timestamp("2017-01-29")
DRAWS = {scenario.name: scenario.draw for scenario in SCENARIOS}
TURNS = range(12)


@pytest.fixture(scope="module")
def past():
    """Four recorded weeks."""
    folder = open_source({"kind": "complete_journey"}, Settings()).folder
    lines = pq.read_table(folder / "transactions.parquet")
    return recorded_payments(lines.filter(pc.less(lines["transaction_timestamp"], DAY)))


@pytest.fixture
def events(past):
    """Draw a scenario's events."""
    return lambda name: [DRAWS[name](keyed_generator("test", turn), DAY, past) for turn in TURNS]


def days_spanned(event):
    return (event.paid_at.max() - event.paid_at.min()) / pd.Timedelta(days=1)


def stores_before(past, customer):
    return set(past.store_id[past.customer_id == customer])


@pytest.mark.parametrize("name", DRAWS)
def test_an_event_begins_on_its_day_or_later_and_costs_something(events, name):
    for event in events(name):
        assert len(event) > 0
        assert (event.paid_at >= DAY).all()
        assert (event.amount > 0).all()


@pytest.mark.parametrize("name", DRAWS)
def test_the_same_generator_draws_the_same_event_and_another_one_another(events, name):
    first, again = events(name), events(name)
    for one, other in zip(first, again, strict=True):
        pd.testing.assert_frame_equal(one, other)
    assert len({event.paid_at.iloc[0] for event in first}) > 1


def test_a_stolen_card_pays_large_sums_in_the_quiet_hours_in_strange_stores(events, past):
    for burst in events("stolen_card"):
        (victim,) = burst.customer_id.unique()
        assert not set(burst.store_id) & stores_before(past, victim)
        assert burst.amount.iloc[0] < 4
        assert (burst.amount.iloc[1:] >= past.amount.quantile(0.8)).all()
        assert burst.paid_at.iloc[0].hour in range(5, 13)
        assert days_spanned(burst) < 1
    quiet = past.paid_at.dt.hour.isin(range(5, 11)).mean()
    assert quiet < 0.05


def test_a_compromised_terminal_takes_cards_that_paid_there_before(events, past):
    for event in events("compromised_terminal"):
        (terminal,) = event.terminal_id.unique()
        assert set(event.customer_id) <= set(past.customer_id[past.terminal_id == terminal])
        assert days_spanned(event) < 29


def test_the_share_of_fraud_at_a_compromised_terminal_is_the_stated_one(events, past):
    """Expected: usual payments a day times 21 days, the mean of 14..28, times 0.4 / 0.6; Poisson's spread."""
    drawn = events("compromised_terminal")
    usual = sum((past.terminal_id == event.terminal_id.iloc[0]).sum() / 28 * 21 for event in drawn)
    share = sum(map(len, drawn)) / (usual + sum(map(len, drawn)))
    assert share == pytest.approx(TERMINAL_FRAUD_SHARE, abs=0.08)


def test_an_account_that_was_taken_over_orders_online_elsewhere(events, past):
    for orders in events("account_takeover"):
        (victim,), (store,) = orders.customer_id.unique(), orders.store_id.unique()
        assert set(orders.channel) == {"online"}
        assert store not in stores_before(past, victim)
        assert 5 <= len(orders) <= 11
        assert days_spanned(orders) < 22
    larger = [
        e.amount.mean() > past.amount[past.customer_id == e.customer_id[0]].mean() for e in events("account_takeover")
    ]
    assert sum(larger) > 0.9 * len(larger)


def test_coupons_are_abused_out_of_proportion_again_and_again(events, past):
    for event in events("coupon_abuse"):
        share = event.coupon_amount / (event.amount + event.coupon_amount)
        assert event.customer_id.nunique() == 1
        assert share.between(0.49, 0.91).all()
        assert len(event) >= 5
    usual = past.coupon_amount / (past.amount + past.coupon_amount)
    assert usual.quantile(0.99) < 0.4


def test_a_ring_orders_one_cheap_article_many_times_in_two_days(events, past):
    for ring in events("order_farming"):
        assert ring.product_id.nunique() == 1
        assert 8 <= ring.customer_id.nunique() <= 15
        assert (ring.amount <= 20).all()
        assert days_spanned(ring) <= 2
        known = ring.customer_id.drop_duplicates().isin(past.customer_id).mean()
        assert 0.3 <= known <= 0.7
