"""Finds order farming: orders placed to lift a product's rank, which tell nothing about what customers like.

A farm shows in two ways that shoppers do not. *Bursts*: within two days, or within four weeks, far more orders of
nothing but one product than on its other days. *Devoted accounts*: far more customers than of other products who
never ordered without it and hardly anything beside it. Ordinary demand comes in mixed baskets of customers with a past.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from data_checks.check import Check, Mask
from ml.sources.engine import open_tables

if TYPE_CHECKING:
    import ibis

CHANCE = 1e-8  # largest p-value: a shop makes up to some million comparisons
LARGEST_SIDE_ORDER = 3  # products an order of a farm holds at most, on average: camouflage costs the farmer money
FEWEST_DEVOTED = 20  # accounts


@dataclass(frozen=True, kw_only=True)
class Burst:
    """What counts as a burst of orders of one product alone."""

    days: int
    fewest: int
    """Orders; a farm below it buys hardly any rank."""


BURSTS = (Burst(days=2, fewest=8), Burst(days=28, fewest=100))


def not_farmed(table: str) -> Check:
    """Return the rule that sets farmed orders aside; a data owner who knows better releases them.

    Args:
        table: Name of a table with the columns of `ml.shop.PURCHASES`.
    """
    return Check(
        name=f"{table}.not_farmed",
        table=table,
        severity="quarantine",
        owner="fraud",
        reason="order farming: a burst of orders of this product alone, or of accounts that order nothing else",
        since=date(2026, 11, 24),
        whole=lambda folder: rows_of_farms(open_tables(folder, only=(table,))[table]),
    )


def rows_of_farms(purchases: ibis.Table) -> Callable[[pd.DataFrame], Mask]:
    """Return what tells the rows of farmed orders in a frame of purchases."""
    farmed = farmed_orders(purchases)
    baskets, pairs = set(farmed.basket_id), pd.MultiIndex.from_frame(farmed)

    def rows(frame: pd.DataFrame) -> Mask:
        failing = np.array(frame["basket_id"].isin(baskets), dtype=bool)
        failing[failing] = pd.MultiIndex.from_frame(frame.loc[failing, farmed.columns.tolist()]).isin(pairs)
        return failing

    return rows


def farmed_orders(purchases: ibis.Table) -> pd.DataFrame:
    """Return `customer_id` and `basket_id` of the orders that look farmed, each once.

    Args:
        purchases: In the columns of `ml.shop.PURCHASES`; rows without customer, order, product or time are left out.
    """
    lines = _lines(purchases)
    orders = _orders(lines)
    found = [_of_bursts(orders), _of_devoted_accounts(lines, orders)]
    return pd.concat(found).drop_duplicates(ignore_index=True)


def _lines(purchases: ibis.Table) -> ibis.Table:
    """Return one row a product of an order: customer_id, basket_id, product_id, day (a number)."""
    names = ["customer_id", "basket_id", "product_id"]
    whole = purchases.filter([purchases[name].notnull() for name in (*names, "purchased_at")])
    day = (whole.purchased_at.epoch_seconds() // 86_400).cast("int64")
    return whole.group_by(names).aggregate(day=day.min())


def _orders(lines: ibis.Table) -> ibis.Table:
    """Return one row an order: customer_id, basket_id, size (products), product_id (the first), day."""
    return lines.group_by("customer_id", "basket_id").aggregate(
        size=lines.count(), product_id=lines.product_id.min(), day=lines.day.min()
    )


# --- Bursts -----------------------------------------------------------------------------------


def _of_bursts(orders: ibis.Table) -> pd.DataFrame:
    """Return the orders of one product alone on the days of its bursts."""
    alone = orders.filter(orders["size"] == 1)
    known = orders.aggregate(first=orders.day.min(), last=orders.day.max()).execute().fillna(0)
    n_days = int(known["last"].iloc[0] - known["first"].iloc[0]) + 1
    bursts = [_ends_of_bursts(alone, burst, n_days).assign(days=burst.days) for burst in BURSTS]
    farmed = pd.concat(bursts)
    suspects = alone.filter(alone.product_id.isin(farmed.product_id.unique().tolist())).execute()
    near = suspects.merge(farmed, on="product_id")
    inside = (near.day <= near.end) & (near.day > near.end - near.days)
    found: pd.DataFrame = near.loc[inside, ["customer_id", "basket_id"]]
    return found


def _ends_of_bursts(alone: ibis.Table, burst: Burst, n_days: int) -> pd.DataFrame:
    """Return product_id and the last day (`end`) of every window with too many orders for chance.

    Orders of a product on its other days tell what is usual (one more, so that "never" is not impossible); their number
    in a window is Poisson. A history without other days tells nothing.
    """
    import ibis
    from scipy.stats import poisson

    daily = alone.group_by("product_id", "day").aggregate(n=alone.count())
    window = ibis.range_window(preceding=burst.days - 1, following=0, group_by="product_id", order_by="day")
    summed = daily.mutate(seen=daily.n.sum().over(window), total=daily.n.sum().over(group_by="product_id"))
    many = summed.filter(summed.seen >= burst.fewest).execute()
    others = n_days - burst.days
    usual = (many.total - many.seen + 1) * burst.days / max(others, 1)
    is_burst = (poisson.sf(many.seen - 1, usual) < CHANCE) & (others >= burst.days)
    ends: pd.DataFrame = many.loc[is_burst, ["product_id", "day"]].rename(columns={"day": "end"})
    return ends


# --- Devoted accounts -------------------------------------------------------------------------


def _of_devoted_accounts(lines: ibis.Table, orders: ibis.Table) -> pd.DataFrame:
    """Return all orders of the accounts devoted to products that have too many of them for chance."""
    accounts = orders.group_by("customer_id").aggregate(n_orders=orders.count(), mean_size=orders["size"].mean())
    bought = lines.group_by("customer_id", "product_id").aggregate(n=lines.count()).join(accounts, "customer_id")
    devoted = (bought.n == bought.n_orders) & (bought.mean_size <= LARGEST_SIDE_ORDER)
    counted = bought.group_by("product_id").aggregate(buyers=bought.count(), devoted=devoted.sum()).execute()
    farmed = list(_with_too_many_devoted(counted))
    followers = bought.filter(devoted & bought.product_id.isin(farmed)).select("customer_id").distinct()
    found: pd.DataFrame = orders.semi_join(followers, "customer_id").select("customer_id", "basket_id").execute()
    return found


def _with_too_many_devoted(counted: pd.DataFrame) -> Iterator[str]:
    """Yield the products whose devoted accounts are too many for a share as usual among the other products' buyers."""
    from scipy.stats import binom

    others = counted[["buyers", "devoted"]].sum() - counted[["buyers", "devoted"]]
    usual = (others.devoted + 1) / (others.buyers + 1)
    is_farmed = (binom.sf(counted.devoted - 1, counted.buyers, usual) < CHANCE) & (counted.devoted >= FEWEST_DEVOTED)
    yield from counted.product_id[is_farmed]
