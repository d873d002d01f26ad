"""The public demand data: monthly car parts, and Complete Journey's weeks with the promotions planned for them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml.errors import SourceInvalid
from ml.sources.complete_journey import data_folder
from ml.use_cases.inventory.demand_table import DemandTable, pivot

NO_PIECES = ("FUEL", "MISCELLANEOUS")  # departments whose quantities are not pieces
FIRST_WEEK = 2  # week 1 is a single day
N_WEEKS = 52
FIRST_DAY = "2017-01-02"
STORE_GROUPS = ("larger", "smaller")
PLANS = {
    "display": "display_location <> '0'",
    "inside": "mailer_location = 'A'",
    "front": "mailer_location NOT IN ('0', 'A')",
}
"""Promotions by kind: a display in the store, a place inside the mailer, a better place in it (front, back, wrap, …)."""


def carparts(path: Path) -> DemandTable:
    """Return the series without a missing month, of 51 months from January 1998.

    Raises:
        SourceInvalid: The file has no column `part_id` or no months.
    """
    parts = pd.read_csv(path)
    if "part_id" not in parts or parts.shape[1] < 3:
        raise SourceInvalid("part_id and a column a month", ", ".join(parts.columns[:3]), f"Correct {path}.")
    complete = parts.set_index("part_id").dropna()
    return DemandTable(
        units=complete.index.astype(str).to_numpy(object),
        periods=pd.DatetimeIndex(pd.to_datetime(complete.columns)),
        demand=complete.to_numpy(np.float64),
    )


def journey(path: Path, settled: int) -> DemandTable:
    """Return weekly pieces of each product in the larger and the smaller stores, 2017-01-02 to 2018-01-01.

    Args:
        path: `transactions.parquet`, with `products.parquet` beside it.
        settled: Weeks from the first by whose volume stores are put into groups; choosing looks at no later ones.

    Raises:
        SourceInvalid: A file or the package with the promotions is missing.
    """
    lines = _lines(path)
    stores = _store_groups(lines[lines["period"] < settled])
    lines["stores"] = lines["store_id"].map(stores).fillna(STORE_GROUPS[-1])
    lines["unit"] = lines["product_id"] + "/" + lines["stores"]
    series = lines.drop_duplicates("unit").set_index("unit").sort_index()
    units = series.index.to_numpy(object)
    return DemandTable(
        units=units,
        periods=pd.date_range(FIRST_DAY, periods=N_WEEKS, freq="7D"),
        demand=pivot(lines, units, N_WEEKS, "quantity"),
        groups={name: series[name].astype(str).to_numpy(object) for name in ("department", "stores")},
        plans=_promotions(stores, units),
    )


def _lines(path: Path) -> pd.DataFrame:
    goods = path.with_name("products.parquet")
    if not goods.exists():
        raise SourceInvalid(f"products beside {path}", "no such file", "Put products.parquet there.")
    sales = pd.read_parquet(path, columns=["store_id", "product_id", "quantity", "week"])
    products = pd.read_parquet(goods, columns=["product_id", "department"])
    products = products[~products["department"].isin(NO_PIECES)]
    lines = sales.merge(products, on="product_id").astype({"product_id": "str", "store_id": "str"})
    return lines.assign(period=lines["week"] - FIRST_WEEK).query("period >= 0")


def _store_groups(lines: pd.DataFrame) -> pd.Series:
    """Return each store's group: the largest stores that together sell half of all pieces, and the rest."""
    volume = lines.groupby("store_id")["quantity"].sum().sort_values(ascending=False, kind="stable")
    is_larger = volume.cumsum() <= volume.sum() / 2
    return pd.Series(np.where(is_larger, *STORE_GROUPS), index=volume.index)


def _promotions(stores: pd.Series, units: NDArray[np.object_]) -> dict[str, NDArray[np.float64]]:
    """Return by kind of promotion the share of a group's promoting stores that plan it for a product and week."""
    import duckdb

    path = data_folder() / "promotions.parquet"
    groups = stores.rename("stores").rename_axis("store_id").reset_index()
    shares = ", ".join(
        f"COUNT(DISTINCT store_id) FILTER ({test}) / ANY_VALUE(n) AS {name}" for name, test in PLANS.items()
    )
    with duckdb.connect() as base:
        base.register("store_group", groups)
        base.execute("SET threads = 2")
        base.execute(
            "CREATE VIEW planned AS SELECT p.product_id, p.store_id::VARCHAR AS store_id, week, display_location, "  # noqa: S608 - the names in it are ours
            f"mailer_location, stores FROM '{path}' p JOIN store_group g ON g.store_id = p.store_id::VARCHAR"
        )
        found = base.execute(
            "WITH size AS (SELECT stores, COUNT(DISTINCT store_id) AS n FROM planned GROUP BY stores) "  # noqa: S608 - the names in it are ours
            f"SELECT product_id || '/' || stores AS unit, week - {FIRST_WEEK} AS period, {shares} "
            "FROM planned JOIN size USING (stores) GROUP BY ALL ORDER BY ALL"
        ).df()
    return {name: pivot(found, units, N_WEEKS, name) for name in PLANS}
