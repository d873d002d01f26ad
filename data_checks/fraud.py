"""What fraud detection needs of the shop's payments and charge-backs, beyond what the contract already says.

That a time is not in the future, a key unique and a charge-back's payment known follows from the contract.
"""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
from great_expectations import expectations as gxe

from data_checks.check import Check, Mask
from ml.shop import CHANNELS

LARGEST_PAYMENT = 10_000  # [currency of the shop]
LARGEST_COUPON_SHARE = 0.95  # of the price before coupons
LATEST_REPORT = pd.Timedelta(days=120)  # Visa's and Mastercard's usual time limit for a dispute
SAME_PAYMENT = ["customer_id", "terminal_id", "amount", "paid_at"]


def _coupon_share_above(frame: pd.DataFrame) -> Mask:
    price = frame.amount + frame.coupon_amount
    return np.asarray(frame.coupon_amount > LARGEST_COUPON_SHARE * price, dtype=bool)


def _booked_twice(frame: pd.DataFrame) -> Mask:
    return np.asarray(frame.duplicated(SAME_PAYMENT) & frame[SAME_PAYMENT].notna().all(axis=1), dtype=bool)


def _in_two_stores(frame: pd.DataFrame) -> Mask:
    """Find the payments at terminals that the partition knows in more than one store."""
    return np.asarray(frame.groupby("terminal_id").store_id.transform("nunique") > 1, dtype=bool)


def _reported_late(frame: pd.DataFrame) -> Mask:
    return np.asarray(frame.reported_at - frame.payment_at > LATEST_REPORT, dtype=bool)


CHECKS: tuple[Check, ...] = (
    Check(
        name="payments.amount_positive",
        table="payments",
        severity="quarantine",
        owner="finance",
        reason="nothing was paid, or paid back: refunds belong elsewhere",
        since=date(2026, 11, 24),
        expectation=gxe.ExpectColumnValuesToBeBetween(column="amount", min_value=0, strict_min=True),
    ),
    Check(
        name="payments.amount_bounded",
        table="payments",
        severity="quarantine",
        owner="finance",
        reason=f"a payment is above {LARGEST_PAYMENT:,}: is it told in a smaller unit of the currency?",
        since=date(2026, 11, 24),
        expectation=gxe.ExpectColumnValuesToBeBetween(column="amount", max_value=LARGEST_PAYMENT),
    ),
    Check(
        name="payments.coupon_not_negative",
        table="payments",
        severity="quarantine",
        owner="merchandising",
        reason="a coupon cannot be worth less than nothing: tell its value without a sign",
        since=date(2026, 11, 24),
        expectation=gxe.ExpectColumnValuesToBeBetween(column="coupon_amount", min_value=0),
    ),
    Check(
        name="payments.coupon_below_price",
        table="payments",
        severity="warn",
        owner="merchandising",
        reason="coupons paid for nearly the whole price (amount + coupon_amount), or for more than it",
        since=date(2026, 11, 24),
        rows=_coupon_share_above,
    ),
    Check(
        name="payments.n_items_positive",
        table="payments",
        severity="warn",
        owner="merchandising",
        reason="a payment for no item at all",
        since=date(2026, 11, 24),
        expectation=gxe.ExpectColumnValuesToBeBetween(column="n_items", min_value=1),
    ),
    Check(
        name="payments.channel_known",
        table="payments",
        severity="warn",
        owner="e-commerce",
        reason=f"the channel is none of {', '.join(CHANNELS)}",
        since=date(2026, 11, 24),
        expectation=gxe.ExpectColumnValuesToBeInSet(column="channel", value_set=list(CHANNELS)),
    ),
    Check(
        name="payments.terminal_in_one_store",
        table="payments",
        severity="warn",
        owner="store operations",
        reason="a terminal is known in more than one store: its risk would be mixed up",
        since=date(2026, 11, 24),
        rows=_in_two_stores,
    ),
    Check(
        name="payments.booked_once",
        table="payments",
        severity="quarantine",
        owner="finance",
        reason="the same customer, terminal, amount and second came before under another payment_id",
        since=date(2026, 11, 24),
        rows=_booked_twice,
    ),
    Check(
        name="chargebacks.reported_after_payment",
        table="chargebacks",
        severity="quarantine",
        owner="fraud desk",
        reason="it was reported before its payment was made",
        since=date(2026, 11, 24),
        expectation=gxe.ExpectColumnPairValuesAToBeGreaterThanB(
            column_A="reported_at", column_B="payment_at", or_equal=True, ignore_row_if="either_value_is_missing"
        ),
    ),
    Check(
        name="chargebacks.reported_in_time",
        table="chargebacks",
        severity="warn",
        owner="fraud desk",
        reason=f"it was reported more than {LATEST_REPORT.days} days after the payment, later than card schemes allow",
        since=date(2026, 11, 24),
        rows=_reported_late,
    ),
)
