"""Next baskets of a public shop: the platform's own examples, and what peers may learn from."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from scipy import sparse

from ml.contract import Features, JsonObject, Table
from ml.files import write_parquet
from ml.sources import complete_journey, online_retail
from ml.sources.engine import open_tables
from ml.use_cases import load
from ml.use_cases.recommend.encode import events_of
from ml.use_cases.recommend.judgement import measure
from ml.use_cases.recommend.params import RecommendParams
from ml.use_cases.recommend.vocabulary import vocabulary_of

Scores = NDArray[np.float32]
Weigh = Callable[[NDArray[np.float64], NDArray[np.int64]], NDArray[np.float64]]
"""(age [days], baskets ago) -> weight of a purchase."""


class Readable(Protocol):
    """A source whose tables are read."""

    def read(self, table: Table, last_day: Any) -> Any:
        """Yield the pieces of a table."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Baskets:
    """What is compared on."""

    features: Features
    purchases: pd.DataFrame
    """customer_id, basket_id, product_id, purchased_at"""

    @property
    def state(self) -> JsonObject:
        """The fitted state."""
        return self.features.state

    @property
    def n_products(self) -> int:
        """Products of the vocabulary: all peers rank these."""
        return len(self.state["products"])

    def start(self, split: str) -> pd.Timestamp:
        """Return when a split begins: peers that are judged on it learn from what was before."""
        return pd.Timestamp(self.state["windows"][f"{split}_start"])

    def learned(self, split: str) -> sparse.csr_array:
        """Return customers by products: baskets with each before the split."""
        known = self._known[self._known["purchased_at"] < self.start(split)]
        customer = pd.factorize(known["customer_id"], sort=True)[0]
        shape = (int(customer.max()) + 1, self.n_products)
        counted = sparse.coo_array((np.ones(len(known), np.float32), (customer, known["number"])), shape=shape)
        return counted.tocsr()

    def popularity(self, split: str, days: float) -> NDArray[np.float64]:
        """Return baskets with each product in the days before the split `(n_products,)`."""
        end = self.start(split)
        near = self._known["purchased_at"].between(end - pd.Timedelta(days=days), end, inclusive="left")
        return np.bincount(self._known["number"][near], minlength=self.n_products).astype(np.float64)

    def history(self, split: str, weigh: Weigh) -> sparse.csr_array:
        """Return what each row's customer bought before `(n_rows, n_products)`: weights of purchases, summed."""
        examples = self.features.splits[split]
        events = events_of(examples, self.state)
        weights = weigh(events.age, events.ago).astype(np.float32)
        shape = (len(examples), self.n_products)
        return sparse.coo_array((weights, (events.row, events.item)), shape=shape).tocsr()

    def with_fewer(self, split: str, rows: int) -> Baskets:
        """Return the same with at most so many rows of a split, drawn."""
        examples = self.features.splits[split]
        some = examples.sample(min(rows, len(examples)), random_state=rows).sort_index().reset_index(drop=True)
        return replace(self, features=replace(self.features, splits={**self.features.splits, split: some}))

    def judge(self, split: str, scores: Scores) -> pd.DataFrame:
        """Return Recall@10 and NDCG@10 of each row."""
        return measure(scores, self.features.splits[split], self.state)

    @cached_property
    def _known(self) -> pd.DataFrame:
        numbers = self.purchases["product_id"].map(vocabulary_of(self.state).numbers)
        known = self.purchases.assign(number=numbers).dropna(subset=["number"])
        return known.astype({"number": "int64"})


def load_online_retail(file: Path) -> Baskets:
    """Return the orders of Online Retail."""
    return _built(online_retail.OnlineRetail(file, 0), online_retail.LAST_DAY)


def load_journey(file: Path) -> Baskets:
    """Return Complete Journey; `products.parquet` and `demographics.parquet` lie beside the transactions."""
    return _built(complete_journey.CompleteJourney(file.parent, 0), complete_journey.LAST_DAY)


def _built(source: Readable, last_day: Any) -> Baskets:
    use_case = load("recommend")
    read = {table.name: list(source.read(table, last_day)) for table in use_case.data.tables}
    tables = {name: pa.concat_tables(pieces) for name, pieces in read.items() if pieces}
    with tempfile.TemporaryDirectory() as folder:
        for name, table in tables.items():
            write_parquet(Path(folder) / name / "all.parquet", table.to_pandas())
        features = use_case.data.build(open_tables(Path(folder)), RecommendParams().features)
    columns = ["customer_id", "basket_id", "product_id", "purchased_at"]
    purchases = tables["purchases"].select(columns).to_pandas()
    times = purchases.groupby("basket_id")["purchased_at"].transform("min")
    return Baskets(features=features, purchases=purchases.assign(purchased_at=times).drop_duplicates(ignore_index=True))
