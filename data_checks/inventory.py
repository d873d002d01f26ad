"""What demand forecasts and orders need of promotions, stock and supplier terms, beyond what the contract already says."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
from great_expectations import expectations as gxe

from data_checks.check import Check, Mask
from data_checks.purchases import PURCHASES
from ml.contract import Severity

LARGEST_STOCK = 1_000_000  # pieces of one product in one group of stores
LONGEST_LEAD_WEEKS = 24
LARGEST_PACK = 10_000  # pieces
MONDAY = 0
SINCE = date(2026, 11, 24)


def _between(name: str, column: str, severity: Severity, owner: str, reason: str, **bounds: float | bool) -> Check:
    expectation = gxe.ExpectColumnValuesToBeBetween(column=column, **bounds)
    table = name.partition(".")[0]
    return Check(
        name=name, table=table, severity=severity, owner=owner, reason=reason, since=SINCE, expectation=expectation
    )


def _starts_late(frame: pd.DataFrame) -> Mask:
    return np.asarray(frame["week"].notna() & (frame["week"].dt.weekday != MONDAY), dtype=bool)


def _share(column: str) -> Check:
    reason = f"{column} is no share of stores between 0 and 1: is it told in per cent?"
    return _between(
        f"promotions.{column}_is_share", column, "quarantine", "merchandising", reason, min_value=0, max_value=1
    )


def _stock(column: str) -> Check:
    reason = f"{column} is negative, or beyond {LARGEST_STOCK:,} pieces: count again"
    bounds = {"min_value": 0, "max_value": LARGEST_STOCK}
    return _between(f"stock.{column}_plausible", column, "quarantine", "store operations", reason, **bounds)


CHECKS: tuple[Check, ...] = (
    *PURCHASES,
    *(_share(column) for column in ("display", "mailer", "front_page")),
    Check(
        name="promotions.week_is_monday",
        table="promotions",
        severity="warn",
        owner="merchandising",
        reason="a promotion's week does not begin on a Monday: it counts for the week it lies in",
        since=SINCE,
        rows=_starts_late,
    ),
    *(_stock(column) for column in ("on_hand", "on_order", "backorders")),
    _between(
        "supplier_terms.lead_time_plausible",
        "lead_time_weeks",
        "quarantine",
        "purchasing",
        f"the lead time is negative or above {LONGEST_LEAD_WEEKS} weeks: is it told in days?",
        min_value=0,
        max_value=LONGEST_LEAD_WEEKS,
    ),
    _between(
        "supplier_terms.pack_size_plausible",
        "pack_size",
        "quarantine",
        "purchasing",
        f"a pack holds no piece, or more than {LARGEST_PACK:,}",
        min_value=1,
        max_value=LARGEST_PACK,
    ),
    _between(
        "supplier_terms.minimum_order_not_negative",
        "minimum_order",
        "quarantine",
        "purchasing",
        "the smallest order is below nothing",
        min_value=0,
    ),
    _between(
        "supplier_terms.unit_cost_positive",
        "unit_cost",
        "quarantine",
        "purchasing",
        "a piece costs nothing: holding and shortage could not be weighed",
        min_value=0,
        strict_min=True,
    ),
    _between(
        "supplier_terms.service_level_is_chance",
        "service_level",
        "quarantine",
        "purchasing",
        "the service level does not lie between 0 and 1 (0.95, not 95)",
        min_value=0,
        max_value=1,
        strict_min=True,
        strict_max=True,
    ),
    Check(
        name="products.department_mostly_present",
        table="products",
        severity="warn",
        owner="merchandising",
        reason="more than half of the products have no department, from which new ones are forecast",
        since=SINCE,
        expectation=gxe.ExpectColumnValuesToNotBeNull(column="department", mostly=0.5),
    ),
)
