"""What recommendations need of the shop's data, beyond what the contract already says."""

from __future__ import annotations

from datetime import date

from great_expectations import expectations as gxe

from data_checks.check import Check
from data_checks.purchases import PURCHASES

CHECKS: tuple[Check, ...] = (
    *PURCHASES,
    Check(
        name="products.name_mostly_present",
        table="products",
        severity="warn",
        owner="merchandising",
        reason="more than a tenth of the products have no name that people could read",
        since=date(2026, 11, 24),
        expectation=gxe.ExpectColumnValuesToNotBeNull(column="name", mostly=0.9),
    ),
    Check(
        name="products.brand_known",
        table="products",
        severity="warn",
        owner="merchandising",
        reason="products without a brand",
        since=date(2026, 11, 24),
        expectation=gxe.ExpectColumnValuesToNotBeNull(column="brand", mostly=0.5),
    ),
)
