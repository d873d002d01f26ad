"""Payments are the recorded baskets as they are, and simulated fraud among them that nothing but its charge-backs tells."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from ml.config import Settings
from ml.shop import CHANNELS, CHARGEBACKS, PAYMENTS, PURCHASES
from ml.sources import complete_journey, payments, simulated_fraud
from ml.sources.conform import arrow_schema
from ml.sources.opening import open_source

PAGE = Path(__file__).parent.parent / "docs" / "fraud-data.md"
TABLES = (PAYMENTS, CHARGEBACKS)
LAST = date(2017, 12, 31)
CUT = date(2017, 3, 31)
FARMED = replace(PURCHASES, name="farmed_purchases", optional=True)


@pytest.fixture(scope="module")
def journey():
    return open_source({"kind": "complete_journey"}, Settings())


@pytest.fixture(scope="module")
def early_lines(journey):
    until = [("transaction_timestamp", "<", pd.Timestamp(CUT) + pd.Timedelta(days=1))]
    return pq.read_table(journey.folder / "transactions.parquet", filters=until)


@pytest.fixture(scope="module")
def spring(early_lines, tmp_path_factory):
    """The same source when only its first three months were recorded."""
    folder = tmp_path_factory.mktemp("spring")
    pq.write_table(early_lines, folder / "transactions.parquet")
    return complete_journey.CompleteJourney(folder, 0)


@pytest.fixture(scope="module")
def paid(journey):
    table = next(journey.read(PAYMENTS, LAST))
    assert table.schema.equals(arrow_schema(PAYMENTS))
    return table.to_pandas()


@pytest.fixture(scope="module")
def charged_back(journey):
    table = next(journey.read(CHARGEBACKS, LAST))
    assert table.schema.equals(arrow_schema(CHARGEBACKS))
    return table.to_pandas()


@pytest.fixture(scope="module")
def fraud(paid, charged_back):
    return paid.merge(charged_back, on="payment_id", validate="one_to_one")


def up_to(frame, column, day):
    kept = frame[frame[column] < pd.Timestamp(day) + pd.Timedelta(days=1)]
    return kept.sort_values("payment_id", ignore_index=True)


def test_recorded_baskets_are_paid_as_they_are(journey, paid, charged_back):
    """Every recorded basket that cost something, against DuckDB's own sums over the file."""
    baskets = duckdb.sql(f"""
        SELECT basket_id::VARCHAR AS basket_id, any_value(household_id)::VARCHAR AS customer_id,
               any_value(store_id)::VARCHAR AS store_id, any_value(transaction_timestamp) AS paid_at,
               sum(sales_value) AS amount, sum(coupon_disc + coupon_match_disc) AS coupon_amount,
               CASE WHEN count(DISTINCT product_id) = 1 THEN any_value(product_id)::VARCHAR END AS product_id
        FROM '{journey.folder / "transactions.parquet"}' WHERE transaction_timestamp < '2018-01-01'
        GROUP BY basket_id HAVING sum(sales_value) > 0.004 ORDER BY basket_id
    """).df()
    recorded = paid[~paid.payment_id.isin(charged_back.payment_id) & paid.basket_id.isin(baskets.basket_id)]
    ours = recorded.sort_values("basket_id", ignore_index=True)[list(baskets.columns)]
    pd.testing.assert_frame_equal(ours, baskets, check_dtype=False, rtol=0, atol=1e-6)
    assert not charged_back.payment_id.isin(payments.payment_ids(baskets.basket_id)).any()


def test_a_realistic_share_is_fraud_and_no_scenario_is_rare(paid, fraud):
    assert 0.005 < len(fraud) / len(paid) < 0.01
    shares = fraud.reason.value_counts(normalize=True)
    assert set(shares.index) == {scenario.name for scenario in simulated_fraud.SCENARIOS}
    assert len(shares) == 5
    assert shares.between(0.1, 0.4).all()


def test_the_page_tells_the_figures(paid, charged_back):
    """Counts of docs/fraud-data.md."""
    text = PAGE.read_text()
    told = dict(re.findall(r"^\| `(\w+)` \| (\d+) \| \d+ % \|", text, re.MULTILINE))
    assert {name: int(count) for name, count in told.items()} == charged_back.reason.value_counts().to_dict()
    assert f"{len(paid):,} payments" in text
    assert f"{len(charged_back):,} have been reported" in text


def test_charge_backs_come_days_after_their_payments(fraud):
    delay_days = (fraud.reported_at - fraud.paid_at) / pd.Timedelta(days=1)
    assert (fraud.payment_at == fraud.paid_at).all()
    assert delay_days.between(1, 30).all()
    assert delay_days.between(7, 14).mean() > 0.5


def test_a_charge_back_reported_later_is_not_visible(spring):
    then, later = (next(spring.read(CHARGEBACKS, day)).to_pandas() for day in (date(2017, 3, 1), CUT))
    assert then.reported_at.max() < pd.Timestamp("2017-03-02")
    paid_by_then = later[later.payment_at < "2017-03-02"]
    assert 0 < len(then) < len(paid_by_then)


def test_later_days_change_nothing_earlier(early_lines, paid, charged_back):
    early = payments.payments(early_lines).to_pandas()
    reported = payments.chargebacks(early_lines).to_pandas()
    for ours, all_days, time in ((early, paid, "paid_at"), (reported, charged_back, "reported_at")):
        pd.testing.assert_frame_equal(up_to(ours, time, CUT), up_to(all_days, time, CUT), check_dtype=False)


def test_the_order_of_lines_changes_nothing(early_lines, rng):
    shuffled = early_lines.take(rng.permutation(len(early_lines)))
    assert payments.payments(shuffled).equals(payments.payments(early_lines))
    assert payments.chargebacks(shuffled).equals(payments.chargebacks(early_lines))


def test_another_seed_draws_other_fraud_among_the_same_baskets(early_lines, monkeypatch):
    before = payments.chargebacks(early_lines)
    recorded = payments.recorded_payments(early_lines)
    monkeypatch.setattr(simulated_fraud, "SEED", 1)
    again = payments.recorded_payments(early_lines)
    drawn = ["terminal_id", "channel"]
    pd.testing.assert_frame_equal(recorded.drop(columns=drawn), again.drop(columns=drawn))
    assert not set(before["payment_id"].to_pylist()) & set(payments.chargebacks(early_lines)["payment_id"].to_pylist())


def test_seed_and_scenarios_are_part_of_the_digest_where_they_count(spring, monkeypatch):
    tables = (TABLES, (FARMED,), (PURCHASES,))
    before = [spring.digest(some, CUT) for some in tables]
    monkeypatch.setattr(complete_journey.payments, "RULES", {**payments.RULES, "seed": 1})
    changed = [spring.digest(some, CUT) != old for some, old in zip(tables, before, strict=True)]
    assert changed == [True, True, False]


def test_nothing_but_its_charge_back_gives_a_simulated_payment_away(paid, fraud):
    """What a field's form could tell: precision, missing values, lengths, tills, closed days."""
    recorded = paid[~paid.payment_id.isin(fraud.payment_id)]
    for rows in (recorded, fraud):
        assert (rows.paid_at.dt.microsecond == 0).all()
        for column in ("amount", "coupon_amount"):
            np.testing.assert_allclose(rows[column], rows[column].round(2), rtol=0, atol=1e-9)
        assert rows[["customer_id", "basket_id", "terminal_id", "store_id", "channel"]].notna().all(axis=None)
        assert set(rows.payment_id.str.len()) == {12}
        assert set(rows.channel) <= set(CHANNELS)
        assert (rows.terminal_id.str.rsplit("-", n=1).str[0] == rows.store_id).all()
        assert ((rows.channel == "online") == rows.terminal_id.str.endswith("-web")).all()
        assert ((rows.channel == "self_checkout") == rows.terminal_id.str.endswith("-4")).all()
    assert set(fraud.store_id) <= set(recorded.store_id)
    assert set(fraud.paid_at.dt.date) <= set(recorded.paid_at.dt.date)
    assert fraud.amount.between(0.01, recorded.amount.max()).all()
    assert paid.payment_id.is_unique
    assert paid.basket_id.is_unique


def test_farmed_orders_are_purchase_lines_that_the_purchases_never_hold(spring, fraud):
    farmed = next(spring.read(FARMED, CUT))
    rows = farmed.to_pandas().set_index("basket_id").sort_index()
    ordered = fraud[(fraud.reason == "order_farming") & (fraud.paid_at < pd.Timestamp(CUT) + pd.Timedelta(days=1))]
    orders = ordered.set_index("basket_id").sort_index()
    assert list(rows.index) == list(orders.index)
    assert farmed.schema.equals(arrow_schema(PURCHASES))
    assert (rows.product_id == orders.product_id).all()
    assert (rows.purchased_at == orders.paid_at).all()
    assert rows.quantity.between(1, 2).all()
    recorded = next(spring.read(PURCHASES, CUT))
    assert not set(rows.index) & set(recorded["basket_id"].unique().to_pylist())
