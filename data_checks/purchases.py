"""What every use case that learns from purchases needs of them, beyond what the contract already says."""

from __future__ import annotations

from datetime import date

from great_expectations import expectations as gxe

from data_checks.check import Check
from data_checks.farming import not_farmed

PURCHASES: tuple[Check, ...] = (
    Check(
        name="purchases.quantity_in_pieces",
        table="purchases",
        severity="quarantine",
        owner="merchandising",
        reason="unit is not pieces (fuel is counted in thousandths of a gallon)",
        since=date(2026, 11, 24),
        expectation=gxe.ExpectColumnValuesToBeBetween(column="quantity", max_value=1000),
    ),
    Check(
        name="purchases.quantity_positive",
        table="purchases",
        severity="quarantine",
        owner="merchandising",
        reason="nothing was bought (a coupon or a voided line)",
        since=date(2026, 11, 24),
        expectation=gxe.ExpectColumnValuesToBeBetween(column="quantity", min_value=1),
    ),
    Check(
        name="purchases.amount_not_negative",
        table="purchases",
        severity="quarantine",
        owner="finance",
        reason="a purchase cannot cost less than nothing: refunds belong elsewhere",
        since=date(2026, 11, 24),
        expectation=gxe.ExpectColumnValuesToBeBetween(column="amount", min_value=0),
    ),
    Check(
        name="purchases.discount_plausible",
        table="purchases",
        severity="warn",
        owner="finance",
        reason="a discount is negative or above 500 on one line",
        since=date(2026, 11, 24),
        expectation=gxe.ExpectColumnValuesToBeBetween(column="discount", min_value=0, max_value=500),
    ),
    not_farmed("purchases"),
)
