"""Adds up sales by product, group of stores and week, on the engine that holds them, and lays promotions beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ibis
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml.contract import Expressions
from ml.parameter import ensure_known
from ml.use_cases.inventory.demand_table import DemandTable, paid_price, pivot
from ml.use_cases.inventory.demand_window import PLANS
from ml.use_cases.inventory.params import InventoryFeatures

ALL = "all"  # the group of every store where the shop has none
UNKNOWN = "unknown"
LEVELS = ("category", "department", "store_group")
WEEK = pd.Timedelta(days=7)


@dataclass(frozen=True, kw_only=True)
class Weekly:
    """Weekly demand with what is known of each series."""

    table: DemandTable
    """Its plans reach `horizon` weeks beyond its demand."""
    turnover: NDArray[np.float64]
    """`(n_series, n_weeks)` [currency of the shop]."""
    facts: pd.DataFrame
    """One row a series, in the table's order: product_id, store_group, name, department, category, mean_price."""


def weekly(tables: Expressions, params: InventoryFeatures) -> Weekly:
    """Return whole weeks, Monday to Sunday, from the first to the newest that is over.

    Series that sold in fewer than `window.min_sales` weeks are left out: at no origin could they be forecast.

    Raises:
        ValueError: There is no whole week with sales.
    """
    lines = _lines(tables, params)
    first, n_weeks = _span(lines)
    sold = _sums(lines, first, n_weeks, params.window.min_sales)
    facts = _facts(tables, sold)
    units = facts["unit"].to_numpy(dtype=object)
    demand, turnover = (pivot(sold, units, n_weeks, name) for name in ("quantity", "amount"))
    table = DemandTable(
        units=units,
        periods=pd.date_range(first, periods=n_weeks, freq=WEEK),
        demand=demand,
        groups={name: facts[name].to_numpy(dtype=object) for name in LEVELS},
        drivers={"price": np.log(np.maximum(paid_price(turnover, demand), 0.01))},
        plans=_plans(tables, units, first, n_weeks + params.window.horizon),
    )
    priced = np.divide(turnover.sum(axis=1), demand.sum(axis=1))
    return Weekly(table=table, turnover=turnover, facts=facts.assign(mean_price=priced))


def _lines(tables: Expressions, params: InventoryFeatures) -> ibis.Table:
    """Return product_id, store_group, week, day, quantity, cents of every sales line in pieces."""
    purchases = tables["purchases"]
    if params.exclude_departments:
        products = tables["products"]
        departments = products.select("department").distinct().execute()["department"].dropna()
        ensure_known("inventory.features.exclude_departments", params.exclude_departments, departments)
        excluded = products.filter(products.department.isin(list(params.exclude_departments))).select("product_id")
        purchases = purchases.anti_join(excluded, "product_id")
    grouped = purchases.mutate(store_group=ibis.literal(ALL))
    if "stores" in tables:
        stores = tables["stores"].select("store_id", of_store="store_group")
        grouped = purchases.left_join(stores, "store_id")
        grouped = grouped.mutate(store_group=grouped.of_store.fill_null(ALL))
    return grouped.select(
        "product_id",
        "store_group",
        "quantity",
        week=grouped.purchased_at.truncate("W").date(),
        day=grouped.purchased_at.date(),
        cents=(grouped.amount * 100).round().cast("int64"),
    )


def _span(lines: ibis.Table) -> tuple[pd.Timestamp, int]:
    """Return the first whole week's Monday and the number of whole weeks."""
    known = _frame(lines.aggregate(oldest=lines.day.min(), newest=lines.day.max()))
    oldest, newest = pd.Timestamp(known["oldest"].iloc[0]), pd.Timestamp(known["newest"].iloc[0])
    if pd.isna(newest):
        raise ValueError("Expected purchases. Received none. Look at what the source delivered.")
    first = oldest + pd.Timedelta(days=-oldest.weekday() % 7)
    end = newest + pd.Timedelta(days=1)
    n_weeks = (end - pd.Timedelta(days=end.weekday()) - first) // WEEK
    if n_weeks < 1:
        raise ValueError(f"Expected a whole week of purchases. Received {oldest:%Y-%m-%d} to {newest:%Y-%m-%d}.")
    return first, int(n_weeks)


def _sums(lines: ibis.Table, first: pd.Timestamp, n_weeks: int, fewest: int) -> pd.DataFrame:
    """Return unit, product_id, store_group, period, quantity, amount; whole cents, so that order changes no sum."""
    inside = lines.filter((lines.week >= first.date()) & (lines.week < (first + n_weeks * WEEK).date()))
    sums = inside.group_by("product_id", "store_group", "week").aggregate(
        quantity=inside.quantity.sum(), cents=inside.cents.sum()
    )
    counted = sums.mutate(weeks=sums.count().over(group_by=["product_id", "store_group"]))
    kept = counted.filter(counted.weeks >= max(fewest, 1)).order_by("product_id", "store_group", "week")
    found = _frame(kept)
    period = (pd.to_datetime(found["week"]) - first) // WEEK
    unit = found["product_id"] + "/" + found["store_group"]
    return found.assign(unit=unit, period=period.astype(np.int64), amount=found["cents"] / 100)


def _facts(tables: Expressions, sold: pd.DataFrame) -> pd.DataFrame:
    """Return one row a series, in order of its name, with what the shop tells of its product."""
    series = sold[["unit", "product_id", "store_group"]].drop_duplicates("unit").sort_values("unit", ignore_index=True)
    products = _frame(tables["products"].select("product_id", "name", "department", "category"))
    found = series.merge(products.drop_duplicates("product_id"), on="product_id", how="left")
    found["name"] = found["name"].fillna(found["product_id"])
    return found.fillna({"department": UNKNOWN, "category": UNKNOWN})


def _plans(
    tables: Expressions, units: NDArray[np.object_], first: pd.Timestamp, n_periods: int
) -> dict[str, NDArray[np.float64]]:
    """Return by kind of promotion the share of stores that plan it, for each series and week."""
    if "promotions" not in tables:
        return {name: np.zeros((len(units), n_periods)) for name in PLANS}
    promotions = tables["promotions"]
    unit = promotions.product_id.concat("/", promotions.store_group)
    named = promotions.mutate(unit=unit, week=promotions.week.date())
    wanted = ibis.memtable(pd.DataFrame({"unit": units.astype(str)}))
    planned = _frame(named.semi_join(wanted, "unit").select("unit", "week", *PLANS))
    planned["period"] = ((pd.to_datetime(planned["week"]) - first) // WEEK).astype(np.int64)
    filled = planned.fillna(dict.fromkeys(PLANS, 0.0))
    return {name: np.clip(pivot(filled, units, n_periods, name), 0, 1) for name in PLANS}


def _frame(rows: Any) -> pd.DataFrame:
    found: pd.DataFrame = rows.execute()
    return found
