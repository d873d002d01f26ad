"""What replenishment needs beside Complete Journey's recorded lines: store groups, promotions, supplier terms and stock.

Store groups and promotions are derived from the records. Supplier terms and stock are not recorded: they are simulated,
from a seed, the product and what was sold up to the day asked for; nothing of a later day enters.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

SEED = 20170102
RULES = {"replenishment": 1, "seed": SEED}
"""What the tables follow from besides the recorded files: part of the source's digest."""

SETTLED = date(2017, 6, 30)  # the day up to which a store's volume counts for its group
FEWEST_WEEKS = 6  # with a sale: promotions, terms and stock of products sold less often are left out
PLANNED_WEEKS = 8  # how far ahead promotions are known
LEAST_SHARE = 0.05  # of a group's stores
RECENT_WEEKS = 8  # weeks of sales that stock follows from
LARGEST_LINE = 1000  # pieces; above it a quantity is a measure (fuel)
FIRST_MONDAY, FIRST_WEEK = date(2017, 1, 2), 2  # Complete Journey's week 1 is a single day
LEAD_TIMES = {1: 0.5, 2: 0.35, 3: 0.15}  # [weeks]: share of products
PACKS = (1, 2, 3, 4, 6, 8, 12, 24)
COST_SHARE = (0.55, 0.8)  # of the price that was paid
ON_ORDER_SHARE = 0.3  # of products for which an order is under way
WEEKS_IN_STOCK = 4.0  # at most

Maker = Callable[[Path, date], pa.Table]
"""(folder of the recorded files, last day) -> raw rows."""


def stores(folder: Path, last_day: date) -> pa.Table:
    """Return each store's group: the largest stores that together sold half of all pieces until `SETTLED`, and the rest.

    A store that opened later is among the smaller ones.
    """
    return _run(
        folder,
        last_day,
        f"""
        WITH volume AS (
            SELECT store_id,
                COALESCE(SUM(quantity) FILTER (transaction_timestamp::DATE <= DATE '{SETTLED}'), 0) AS pieces
            FROM lines GROUP BY store_id)
        SELECT store_id::VARCHAR AS store_id,
            CASE WHEN SUM(pieces) OVER (ORDER BY pieces DESC, store_id) <= SUM(pieces) OVER () / 2
                 THEN 'larger' ELSE 'smaller' END AS store_group
        FROM volume ORDER BY store_id""",  # noqa: S608 - the names in it are ours
    )


def promotions(folder: Path, last_day: date) -> pa.Table:
    """Return by product, store group and week the share of the group's promoting stores, up to `PLANNED_WEEKS` ahead.

    What fewer than `LEAST_SHARE` of the stores promote is left out. Promotions were recorded as they came to be; here
    they are taken as planned.
    """
    ahead = last_day + timedelta(weeks=PLANNED_WEEKS)
    return _run(
        folder,
        last_day,
        f"""
        WITH planned AS (
            SELECT p.product_id, s.store_group, p.week, p.store_id, p.display_location, p.mailer_location
            FROM '{folder / "promotions.parquet"}' p
            JOIN store_groups s ON s.store_id = p.store_id::VARCHAR JOIN sold USING (product_id)
            WHERE p.week >= {FIRST_WEEK}),
        size AS (SELECT store_group, COUNT(DISTINCT store_id) AS n FROM planned GROUP BY store_group),
        shares AS (
            SELECT product_id::VARCHAR AS product_id, store_group,
                DATE '{FIRST_MONDAY}' + 7 * (week - {FIRST_WEEK})::INTEGER AS week,
                {_share("display_location <> '0'")} AS display,
                {_share("mailer_location = 'A'")} AS mailer,
                {_share("mailer_location NOT IN ('0', 'A')")} AS front_page
            FROM planned JOIN size USING (store_group) GROUP BY ALL)
        SELECT * FROM shares WHERE week <= DATE '{ahead}' AND GREATEST(display, mailer, front_page) >= {LEAST_SHARE}
        ORDER BY product_id, store_group, week""",  # noqa: S608 - the names in it are ours
    )


def supplier_terms(folder: Path, last_day: date) -> pa.Table:
    """Return simulated terms of each product: lead time, pack, cost as a share of the price paid; no minimum order."""
    sold = _sold(folder, last_day).drop_duplicates("product_id")
    chance = _chances("terms", sold["product_id"], 3)
    lead = np.asarray(list(LEAD_TIMES))[np.searchsorted(np.cumsum(list(LEAD_TIMES.values()))[:-1], chance[:, 0])]
    # A pack is what the product's stores sell in half a week to two weeks, in a usual size.
    wanted = sold["rate_all"].to_numpy() * (0.5 + 1.5 * chance[:, 1])
    packs = np.asarray(PACKS)[np.maximum(np.searchsorted(PACKS, wanted, side="right") - 1, 0)]
    low, high = COST_SHARE
    cost = sold["price"].to_numpy() * (low + (high - low) * chance[:, 2])
    return _arrow(
        product_id=sold["product_id"].to_numpy(),
        lead_time_weeks=lead.astype(np.int64),
        pack_size=packs.astype(np.int64),
        unit_cost=np.maximum(np.round(cost, 2), 0.01),
    )


def stock(folder: Path, last_day: date) -> pa.Table:
    """Return simulated stock of each product and store group: up to `WEEKS_IN_STOCK` of its recent sales."""
    sold = _sold(folder, last_day)
    chance = _chances(f"stock {last_day}", sold["product_id"] + "/" + sold["store_group"], 3)
    rate = sold["rate"].to_numpy()
    on_order = np.where(chance[:, 1] < ON_ORDER_SHARE, np.ceil(rate * 2 * chance[:, 2]), 0)
    return _arrow(
        product_id=sold["product_id"].to_numpy(),
        store_group=sold["store_group"].to_numpy(),
        on_hand=np.round(rate * WEEKS_IN_STOCK * chance[:, 0]).astype(np.int64),
        on_order=on_order.astype(np.int64),
        backorders=np.zeros(len(sold), np.int64),
    )


MAKERS: Mapping[str, Maker] = {
    "stores": stores,
    "promotions": promotions,
    "supplier_terms": supplier_terms,
    "stock": stock,
}


def _sold(folder: Path, last_day: date) -> pd.DataFrame:
    """Return product_id, store_group, pieces a week of the group (`rate`) and of all stores (`rate_all`), price."""
    start = last_day - timedelta(weeks=RECENT_WEEKS)
    rows = _run(
        folder,
        last_day,
        f"""
        SELECT product_id::VARCHAR AS product_id, store_group,
            SUM(quantity) FILTER (transaction_timestamp::DATE > DATE '{start}') / {RECENT_WEEKS} AS rate,
            SUM(quantity) AS pieces, SUM(ROUND(sales_value * 100)::BIGINT) AS cents
        FROM lines JOIN store_groups ON store_groups.store_id = lines.store_id::VARCHAR JOIN sold USING (product_id)
        GROUP BY ALL ORDER BY product_id, store_group""",  # noqa: S608 - the names in it are ours
    ).to_pandas()
    found = rows.fillna({"rate": 0.0})
    whole = found.groupby("product_id")[["rate", "pieces", "cents"]].transform("sum").astype(float)
    priced: pd.DataFrame = found.assign(rate_all=whole["rate"], price=whole["cents"] / 100 / whole["pieces"])
    return priced


def _share(condition: str) -> str:
    return f"ROUND(LEAST(COUNT(*) FILTER ({condition}) / ANY_VALUE(n), 1), 4)"


def _run(folder: Path, last_day: date, query: str) -> pa.Table:
    """Return a query's rows; it may read `lines` (sales in pieces), `store_groups` and `sold` (products sold often enough)."""
    import duckdb

    with duckdb.connect() as base:
        base.execute("SET threads = 1")  # float sums repeat bit by bit
        base.execute(
            f"CREATE VIEW lines AS SELECT * FROM '{folder / 'transactions.parquet'}' WHERE quantity BETWEEN 1 AND "  # noqa: S608 - the names in it are ours
            f"{LARGEST_LINE} AND transaction_timestamp < DATE '{last_day + timedelta(days=1)}'"
        )
        base.execute(
            "CREATE VIEW sold AS SELECT product_id FROM lines GROUP BY product_id "  # noqa: S608 - the names in it are ours
            f"HAVING COUNT(DISTINCT week) >= {FEWEST_WEEKS}"
        )
        if "store_groups" in query:
            base.register("store_groups", stores(folder, last_day))
        return base.sql(query).to_arrow_table()


def _chances(purpose: str, keys: pd.Series[str], n: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return `(n_keys, n)` uniform draws, each key's own: another product changes none of them."""
    drawn = [hashlib.sha256(f"{SEED}|{purpose}|{key}".encode()).digest()[: 8 * n] for key in keys]
    return np.frombuffer(b"".join(drawn), dtype="<u8").reshape(-1, n) / 2.0**64


def _arrow(**columns: Any) -> pa.Table:
    return pa.Table.from_pandas(pd.DataFrame(columns), preserve_index=False)
