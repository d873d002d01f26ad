"""What the tests of recommendations share: a small shop, its examples, and networks that were trained on them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from ml.contract import Features
from ml.files import write_json, write_parquet
from ml.sources.engine import Engine, open_tables
from ml.training.determinism import make_deterministic
from ml.use_cases.recommend.examples import build
from ml.use_cases.recommend.params import RecommendFeatures
from ml.use_cases.recommend.sample import sample

FOLDERS: list[TemporaryDirectory[str]] = []
THREADS = 2  # of all that trains in the process of the tests: TensorFlow takes no other number afterwards
PARAMS = RecommendFeatures(min_count=3, max_history=32)


@dataclass(frozen=True)
class Shop:
    """Raw tables and what was built of them."""

    tables: dict[str, pd.DataFrame]
    built: Features

    @property
    def state(self) -> dict[str, Any]:
        return self.built.state

    def split(self, name: str) -> pd.DataFrame:
        return self.built.splits[name]


def expressions(tables: dict[str, pd.DataFrame], engine: Engine = "duckdb") -> dict[str, Any]:
    """Return the tables as Ibis expressions over Parquet files, as the stage opens them."""
    folder = TemporaryDirectory()
    FOLDERS.append(folder)  # nothing is read before an expression is executed
    for name, frame in tables.items():
        write_parquet(Path(folder.name) / name / "all.parquet", frame)
    return open_tables(Path(folder.name), engine)


def prepare() -> None:
    """Set TensorFlow up for this process as every training does."""
    make_deterministic(7, THREADS)


def small_shop(n_customers: int = 60, seed: int = 5, params: RecommendFeatures = PARAMS) -> Shop:
    """Return a made-up shop whose examples are built."""
    tables = sample(np.random.default_rng(seed), n_customers)
    return Shop(tables, build(expressions(tables), params))


def shop_with_new_products(n_customers: int = 60, seed: int = 5) -> Shop:
    """Return the small shop with products that are too new to be learned: `new` in few baskets, `unsold`, `nameless`."""
    tables = sample(np.random.default_rng(seed), n_customers)
    products, purchases = tables["products"], tables["purchases"]
    model = products.iloc[[0, 0, 0]].assign(
        product_id=["new", "unsold", "nameless"],
        name=pd.array(["New rye", "Unsold lemon", None], dtype="object"),
        category=[products["category"].iloc[0], "Nowhere", products["category"].iloc[25]],
        department=[products["department"].iloc[0], "Nowhere", products["department"].iloc[25]],
    )
    weeks_before = purchases[purchases["purchased_at"].between("2026-05-20", "2026-06-02")]
    sold = weeks_before.drop_duplicates("basket_id").head(12).assign(product_id="new")
    tables = {
        **tables,
        "products": pd.concat([products, model.astype(products.dtypes)], ignore_index=True),
        "purchases": pd.concat([purchases, sold], ignore_index=True),
    }
    return Shop(tables, build(expressions(tables), PARAMS))


def write(shop: Shop, folder: Path) -> None:
    """Write splits and state as the features stage does."""
    for name, frame in shop.built.splits.items():
        write_parquet(folder / f"{name}.parquet", frame)
    write_json(folder / "state.json", shop.state)
