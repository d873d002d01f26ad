"""Online Retail: two years' orders of a British gift shop (UCI 352), a public benchmark set.

Read from `<data_dir>/online_retail/online_retail.parquet`. Cancellations, lines without a customer,
and lines without a positive quantity and price are dropped, as in the published cleanings of this set.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import duckdb
import pyarrow as pa

from ml.config import Settings
from ml.contract import Table
from ml.errors import SourceInvalid
from ml.files import canonical, sha256, sha256_file
from ml.sources.conform import conform, missing_table, up_to
from ml.sources.mapping import TableMapping
from ml.sources.source import SourceSpec, SourceState, replay

FIRST_DAY = date(2010, 12, 1)
LAST_DAY = date(2011, 12, 9)

SOLD = """
    SELECT * FROM read_parquet($file)
    WHERE CustomerID IS NOT NULL AND Quantity > 0 AND UnitPrice > 0 AND InvoiceNo NOT LIKE 'C%'
"""
# One invoice may list an article on several lines: they are one purchase. Sums are exact, in thousandths.
QUERIES = {
    "purchases": f"""
        SELECT CustomerID::BIGINT AS customer_id, InvoiceNo AS basket_id, StockCode AS product_id,
               NULL AS store_id, sum(Quantity)::BIGINT AS quantity, NULL::DOUBLE AS discount,
               (sum(Quantity * UnitPrice::DECIMAL(12, 3)) / 1.0)::DECIMAL(18, 2)::DOUBLE AS amount,
               min(InvoiceDate) AS purchased_at
        FROM ({SOLD}) GROUP BY customer_id, basket_id, product_id ORDER BY basket_id, product_id, customer_id
    """,  # noqa: S608 - the names in it are ours
    "products": f"""
        SELECT product_id, arg_max(name, (times, name)) AS name
        FROM (SELECT StockCode AS product_id, trim(Description) AS name, count(*) AS times
              FROM ({SOLD}) GROUP BY ALL) GROUP BY product_id ORDER BY product_id
    """,  # noqa: S608 - the names in it are ours
}


@dataclass(frozen=True)
class OnlineRetail:
    """The recorded orders, replayed."""

    file: Path
    shift_days: int

    @classmethod
    def open(cls, spec: SourceSpec, settings: Settings) -> OnlineRetail:
        """Find the data set; raise `SourceInvalid` where it is not."""
        folder = settings.data_dir
        file = None if folder is None else folder / "online_retail" / "online_retail.parquet"
        if file is None or not file.is_file():
            raise SourceInvalid(
                "online_retail/online_retail.parquet below TRADEWIND_DATA_DIR", str(folder), "Set TRADEWIND_DATA_DIR."
            )
        return cls(file, spec.replay_shift_days)

    def freeze(
        self,
        tables: Sequence[Table],
        as_of_requested: date,
        now: datetime | None = None,  # noqa: ARG002 - every recorded day is over
    ) -> SourceState:
        """Return what was recorded up to the replayed date; every recorded day is over."""
        as_of = replay(as_of_requested, self.shift_days, FIRST_DAY, LAST_DAY)
        last_day = self._last_day(as_of)
        return SourceState(clock="replay", as_of_data=as_of, last_day=last_day, digest=self.digest(tables, last_day))

    def digest(self, tables: Sequence[Table], last_day: date) -> str:
        """Return the digest of the file, the last day and the queries."""
        names = sorted(table.name for table in tables)
        content = {
            "tables": names,
            "queries": QUERIES,
            "last_day": last_day.isoformat(),
            "file": sha256_file(self.file),
        }
        return sha256(canonical(content))

    def read(self, table: Table, last_day: date) -> Iterator[pa.Table]:
        """Yield the table in one piece."""
        if table.name not in QUERIES:
            if table.optional:
                return
            raise missing_table(table, list(QUERIES), "Online Retail")
        raw = self._query(QUERIES[table.name])
        yield up_to(conform(raw, table, TableMapping(), "Online Retail"), table, last_day)

    def _last_day(self, as_of: date) -> date:
        rows = self._query(f"SELECT DISTINCT InvoiceDate::DATE AS day FROM ({SOLD})")  # noqa: S608 - the names in it are ours
        days: list[date] = rows["day"].to_pylist()
        return max(day for day in days if day <= as_of)

    def _query(self, query: str) -> pa.Table:
        with duckdb.connect(config={"threads": 1}) as connection:
            return connection.sql(query, params={"file": str(self.file)}).to_arrow_table()
