"""Payments and charge-backs pass their rules; a corrupted row is set aside, or told of, by the rule that says why."""

from __future__ import annotations

from datetime import date

import pandas as pd
import pyarrow.parquet as pq
import pytest

from ml.config import Settings
from ml.shop import CHARGEBACKS, PAYMENTS
from ml.sources import payments
from ml.sources.opening import open_source
from tests.judged_tables import judge_tables

LAST = date(2017, 2, 28)
TABLES = (PAYMENTS, CHARGEBACKS)


@pytest.fixture(scope="module")
def generated():
    """Two months of the default source; charge-backs as known at their end."""
    folder = open_source({"kind": "complete_journey"}, Settings()).folder
    until = [("transaction_timestamp", "<", pd.Timestamp(LAST) + pd.Timedelta(days=1))]
    lines = pq.read_table(folder / "transactions.parquet", filters=until)
    paid = payments.payments(lines).to_pandas()
    reported = payments.chargebacks(lines).to_pandas()
    known = (reported.reported_at < until[0][2]) & reported.payment_id.isin(paid.payment_id)
    return {"payments": paid, "chargebacks": reported[known].reset_index(drop=True)}


@pytest.fixture
def tables(generated):
    return {name: rows.copy() for name, rows in generated.items()}


@pytest.fixture
def judge(tmp_path):
    """Judge tables; return the outcomes by table and the names of the failed rules with their failing rows."""
    return lambda tables: judge_tables(tmp_path, "fraud", TABLES, tables, LAST)


def test_the_generated_tables_pass_whole(judge, tables):
    outcomes, failed = judge(tables)
    assert failed == {}
    assert outcomes["payments"].passed == len(tables["payments"]) > 20_000
    assert outcomes["chargebacks"].passed == len(tables["chargebacks"]) > 20


FAULTS = {
    "payments.amount_positive": {"amount": 0.0},
    "payments.amount_bounded": {"amount": 123_456.0},
    "payments.coupon_not_negative": {"coupon_amount": -0.5},
    "payments.customer_id_present": {"customer_id": None},
    "payments.terminal_id_present": {"terminal_id": None},
    "payments.paid_at_not_in_future": {"paid_at": pd.Timestamp("2017-03-01 00:00")},
}
ODDITIES = {
    "payments.coupon_below_price": {"amount": 1.0, "coupon_amount": 99.0},
    "payments.n_items_positive": {"n_items": 0},
    "payments.channel_known": {"channel": "fax"},
}


def corrupted(rows, changes):
    """Change two rows a rule."""
    for number, change in enumerate(changes.values()):
        rows.loc[[3 + number, 700 + number], list(change)] = list(change.values())
    return rows


def test_a_faulty_payment_is_set_aside_by_its_rule(judge, tables):
    outcomes, failed = judge({**tables, "payments": corrupted(tables["payments"], FAULTS)})
    assert failed == dict.fromkeys(FAULTS, 2)
    assert outcomes["payments"].quarantined == 2 * len(FAULTS)


def test_an_odd_payment_passes_with_a_warning(judge, tables):
    outcomes, failed = judge({**tables, "payments": corrupted(tables["payments"], ODDITIES)})
    assert failed == dict.fromkeys(ODDITIES, 2)
    assert outcomes["payments"].quarantined == 0


def test_a_payment_booked_twice_is_kept_once(judge, tables):
    again = tables["payments"].iloc[:3]
    same = pd.concat([tables["payments"], again, again.assign(payment_id=["x1", "x2", "x3"])], ignore_index=True)
    outcomes, failed = judge({**tables, "payments": same})
    assert failed == {"payments.key_unique": 3, "payments.booked_once": 6}
    assert outcomes["payments"].passed == len(tables["payments"])


def test_a_terminal_in_two_stores_is_told(judge, tables):
    terminal = tables["payments"].terminal_id[0]
    rows = tables["payments"].terminal_id == terminal
    tables["payments"].loc[0, "store_id"] = "elsewhere"
    assert judge(tables)[1] == {"payments.terminal_in_one_store": rows.sum()}


def test_a_charge_back_before_its_payment_is_set_aside(judge, tables):
    reported = tables["chargebacks"]
    reported.loc[2, "reported_at"] = reported.payment_at[2] - pd.Timedelta(seconds=1)
    outcomes, failed = judge(tables)
    assert failed == {"chargebacks.reported_after_payment": 1}
    assert outcomes["chargebacks"].quarantined == 1


def test_a_notice_that_does_not_tell_the_payments_time_passes(judge, tables):
    tables["chargebacks"]["payment_at"] = pd.NaT
    assert judge(tables)[1] == {}


def test_a_late_report_is_told(judge, tables):
    tables["chargebacks"].loc[1, "payment_at"] = tables["chargebacks"].reported_at[1] - pd.Timedelta(days=121)
    assert judge(tables)[1] == {"chargebacks.reported_in_time": 1}


def test_a_charge_back_of_a_payment_set_aside_or_unknown_goes_with_it(judge, tables):
    tables["payments"].loc[tables["payments"].payment_id == tables["chargebacks"].payment_id[0], "amount"] = 0.0
    tables["chargebacks"].loc[1, "payment_id"] = "unheard-of"
    outcomes, failed = judge(tables)
    assert failed == {"payments.amount_positive": 1, "chargebacks.payment_id_in_payments": 2}
    assert outcomes["chargebacks"].quarantined == 2
