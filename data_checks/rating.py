"""What the textbook example needs of its one table, beyond what the contract already says."""

from __future__ import annotations

from datetime import date

from great_expectations import expectations as gxe

from data_checks.check import Check

CHECKS: tuple[Check, ...] = (
    Check(
        name="ratings.age_of_a_person",
        table="ratings",
        severity="quarantine",
        owner="customer data",
        reason="nobody is that old or that young",
        since=date(2026, 11, 24),
        expectation=gxe.ExpectColumnValuesToBeBetween(column="age", min_value=0, max_value=130),
    ),
    Check(
        name="ratings.gender_coded",
        table="ratings",
        severity="quarantine",
        owner="customer data",
        reason="gender is neither 1 (male) nor 0 (female)",
        since=date(2026, 11, 24),
        expectation=gxe.ExpectColumnValuesToBeInSet(column="gender", value_set=[0, 1]),
    ),
    Check(
        name="ratings.purchases_not_negative",
        table="ratings",
        severity="quarantine",
        owner="sales",
        reason="nobody buys less than nothing",
        since=date(2026, 11, 24),
        expectation=gxe.ExpectColumnValuesToBeBetween(column="purchase_history", min_value=0),
    ),
    Check(
        name="ratings.average_rating_on_the_scale",
        table="ratings",
        severity="quarantine",
        owner="reviews",
        reason="the average is not on a scale from 0 to 100",
        since=date(2026, 11, 24),
        expectation=gxe.ExpectColumnValuesToBeBetween(column="avg_rating", min_value=0, max_value=100),
    ),
)
