"""A small shop whose rows pass all checks: three tables, a month of baskets, and the stages' context around them."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from ml.config import Settings
from ml.contract import Table
from ml.files import table_files, write_arrow
from ml.parameter import Section, UseCaseParams
from ml.pipeline.context import StageContext
from ml.privacy.key_ring import KeyRing
from ml.privacy.seal import Opener
from ml.shop import AGE_GROUPS, CUSTOMERS, PRODUCTS, PURCHASES
from ml.sources.opening import open_source
from tests.toy_use_case import TOY

TABLES = (PURCHASES, PRODUCTS, CUSTOMERS)
FIRST, LAST = date(2026, 10, 20), date(2026, 11, 20)


def sample_tables(rng: np.random.Generator, n_customers: int = 30) -> dict[str, pd.DataFrame]:
    """Return purchases, products and customers under our own names; no row breaks a rule."""
    products = pd.DataFrame({"product_id": [f"p{i}" for i in range(20)], "name": [f"Tea {i}" for i in range(20)]})
    products = products.assign(department="GROCERY", category="TEA", brand="Own", package_size="20 ct")
    ids = [f"customer-{i:03d}" for i in range(n_customers)]
    customers = pd.DataFrame({"customer_id": ids, "age_group": rng.choice(AGE_GROUPS, n_customers)})
    return {"purchases": _purchases(rng, ids, products), "products": products, "customers": customers}


def _purchases(rng: np.random.Generator, ids: list[str], products: pd.DataFrame) -> pd.DataFrame:
    days = pd.date_range(FIRST, LAST, freq="D")
    rows = [
        {"customer_id": ids[(3 * number + turn) % len(ids)], "basket_id": f"b{number}-{turn}", "purchased_at": day}
        for number, day in enumerate(days)
        for turn in range(12)
    ]
    lines = pd.DataFrame(rows).merge(pd.DataFrame({"line": range(3)}), how="cross")
    product = [products.product_id[(7 * i + i // 3) % 20] for i in range(len(lines))]
    lines = lines.assign(product_id=product).drop(columns="line").drop_duplicates(["basket_id", "product_id"])
    seconds = pd.to_timedelta(rng.integers(8 * 3600, 20 * 3600, len(lines)), unit="s")
    return lines.assign(
        store_id="s1",
        quantity=rng.integers(1, 5, len(lines)),
        amount=rng.integers(50, 900, len(lines)) / 100,
        discount=0.0,
        purchased_at=lines.purchased_at + seconds,
    ).reset_index(drop=True)


def land(folder: Path, tables: dict[str, pd.DataFrame], declared: tuple[Table, ...] = TABLES) -> None:
    """Write the tables as the shop would: those with a time a CSV a day, the others one file each."""
    folder.mkdir(parents=True, exist_ok=True)
    times = {table.name: table.time_column for table in declared}
    for name, frame in sorted(tables.items()):
        if (column := times[name]) is None:
            frame.to_parquet(folder / f"{name}.parquet", index=False)
        else:
            _land_days(folder / name, frame, column)


def _land_days(folder: Path, frame: pd.DataFrame, time_column: str) -> None:
    for day, rows in frame.groupby(frame[time_column].dt.strftime("%Y-%m-%d"), dropna=True):
        file = folder / str(day) / "till.csv"
        file.parent.mkdir(parents=True, exist_ok=True)
        rows.to_csv(file, index=False)


def frozen_context(
    root: Path, spec: dict[str, Any], settings: Settings, as_of: date = LAST, **inputs: Any
) -> StageContext:
    """Freeze a source and return the context that the run's stages get."""
    state = open_source(spec, settings).freeze(TABLES, as_of)
    source = {"spec": spec, "digest": state.digest, "last_day": state.last_day.isoformat()}
    frozen = {"as_of": {"data": state.as_of_data.isoformat()}, "source": source, "accepted": []}
    frozen |= {"key_ring": KeyRing.open(settings, "recommend").id, "erasures": []}
    use_case: Any = SimpleNamespace(name="recommend", data=replace(TOY.data, tables=TABLES))
    return StageContext(
        use_case=use_case,
        params=UseCaseParams(features=Section(), train=Section()),
        inputs={**frozen, "decisions": [], **inputs},
        settings=settings,
        root=root,
    )


def opened(context: StageContext, folder: Path) -> Path:
    """Write what ingest stored as plain values, in the same partitions; return the folder."""
    opener = Opener(lambda: KeyRing.open(context.settings, context.use_case.name))
    for table in context.use_case.data.tables:
        for file in table_files(context.data("ingest") / "tables" / table.name):
            write_arrow(folder / table.name / file.name, opener.open(table, pq.read_table(file, partitioning=None)))
    return folder


def digests(folder: Path) -> dict[str, bytes]:
    """Return every file's bytes by relative name."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
