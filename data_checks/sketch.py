"""How a column's values are spread, as counts: bins for numbers, tags for categories; no value of any one row.

Numbers fall into bins of equal width in their logarithm, the same for every column and run (as DDSketch's, Masson et al. 2019,
doi:10.14778/3352063.3352135), so that a change of unit is a shift. Fewer than `SMALLEST` rows are never told apart.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml.contract import Column, JsonObject, Table

if TYPE_CHECKING:
    import ibis

Kind: TypeAlias = Literal["number", "category", "presence"]
"""`presence`: only whether there is a value, for identifiers, texts and times."""
Counts: TypeAlias = "NDArray[np.int64]"

BINS_PER_DECADE = 20  # a bin is 12 % wide
ZERO_BIN = 1000  # added to a bin's number, so that its sign is the value's
WIDEST = 400  # bins to either side: from 1e-20 to 1e20
EDGE = 1e-6  # of a bin: values on an edge fall on the same side whatever their unit
SMALLEST = 5  # rows that are told as a group
MOST_CATEGORIES = 50
REST = "rest"
PRESENT = "present"
TAG_DIGITS = 4  # hexadecimal: tells a column's categories apart, yet fits too many values to give one away


@dataclass(frozen=True, kw_only=True)
class Sketch:
    """The spread of one column over some rows."""

    kind: Kind
    rows: int
    missing: int
    bins: Mapping[str, int]
    """Rows by bin or tag."""

    @property
    def present(self) -> int:
        """Rows with a value."""
        return self.rows - self.missing

    def record(self) -> JsonObject:
        """Return it as JSON in which no bin tells of fewer than `SMALLEST` rows."""
        bins = pooled(self.bins) if self.kind == "number" else dict(self.bins)
        return {"kind": self.kind, "rows": self.rows, "missing": self.missing, "bins": bins}

    @classmethod
    def load(cls, record: JsonObject) -> Sketch:
        """Return what `record` told."""
        return cls(**record)


@dataclass(frozen=True, kw_only=True)
class DayCounts:
    """The spread of one column on each day; a table without a time is one day."""

    kind: Kind
    days: tuple[date | None, ...]
    bins: tuple[str, ...] = ()
    """In order of value, or of frequency for categories."""
    counts: Counts
    """Rows `(n_days, n_bins)` int64."""
    missing: Counts
    """Rows without a value `(n_days,)` int64."""

    def between(self, first: date | None = None, last: date | None = None) -> Sketch:
        """Return the spread over the days from `first` to `last`, both included."""
        inside = np.array([_inside(day, first, last) for day in self.days], dtype=bool)
        totals, missing = self.counts[inside].sum(axis=0), int(self.missing[inside].sum())
        bins = {name: int(rows) for name, rows in zip(self.bins, totals, strict=True) if rows}
        return Sketch(kind=self.kind, rows=int(totals.sum()) + missing, missing=missing, bins=bins)


def _inside(day: date | None, first: date | None, last: date | None) -> bool:
    if day is None:
        return first is None and last is None
    return (first is None or day >= first) and (last is None or day <= last)


def identifies(table: Table, name: str) -> bool:
    """Tell whether a column's values name something: a key, or a reference to one."""
    return name in table.key or name in table.references


def kind_of(table: Table, column: Column) -> Kind:
    """Return what may be told of a column."""
    if column.treatment not in ("keep", "generalise") or identifies(table, column.name):
        return "presence"
    if column.type in ("int64", "float64"):
        return "number" if column.treatment == "keep" else "presence"
    return "category" if column.type in ("string", "boolean") else "presence"


def count_days(table: Table, rows: ibis.Table, as_of: date) -> Iterator[tuple[str, DayCounts]]:
    """Yield each column of the agreed type with its spread by day, up to the run's date."""
    dated = _dated(table, rows, as_of)
    for column in table.columns:
        if column.name in rows.columns and _is_as_agreed(rows[column.name], column):
            yield column.name, _count(dated, column, kind_of(table, column))


def _dated(table: Table, rows: ibis.Table, as_of: date) -> ibis.Table:
    import ibis

    time = table.time_column
    if time is None or time not in rows.columns or not _is_as_agreed(rows[time], table.column(time)):
        return rows.mutate(_day=ibis.null("date"))
    dated = rows.mutate(_day=rows[table.time_column].date())
    return dated.filter(dated["_day"] <= as_of)


def _is_as_agreed(values: Any, column: Column) -> bool:
    types = {
        "string": values.type().is_string(),
        "int64": values.type().is_integer(),
        "float64": values.type().is_floating(),
        "timestamp": values.type().is_timestamp(),
        "boolean": values.type().is_boolean(),
    }
    return bool(types[column.type])


def _count(dated: ibis.Table, column: Column, kind: Kind) -> DayCounts:
    values = dated[column.name]
    binned = {"number": _bin, "category": _text, "presence": _presence}[kind](values)
    found = dated.mutate(_bin=binned).group_by(["_day", "_bin"]).aggregate(rows=lambda some: some.count()).execute()
    found["_day"] = [None if pd.isna(day) else pd.Timestamp(day).date() for day in found["_day"]]
    days = tuple(sorted(set(found["_day"]), key=lambda day: day or date.min))
    at_day = found["_day"].map({day: place for place, day in enumerate(days)}).to_numpy(dtype=np.int64)
    there = found["_bin"].notna().to_numpy()
    names, at_bin = _places(found[there], column, kind)
    counts = np.zeros((len(days), len(names)), dtype=np.int64)
    np.add.at(counts, (at_day[there], at_bin), found.rows[there].to_numpy(dtype=np.int64))
    missing = np.bincount(at_day[~there], found.rows[~there], len(days)).astype(np.int64)
    return DayCounts(kind=kind, days=days, bins=names, counts=counts, missing=missing)


def _bin(values: Any) -> Any:
    import ibis

    number = values.cast("float64")
    usable = ibis.ifelse(number.isnan() | number.isinf(), None, number)
    decades = usable.abs().nullif(0.0).log10()
    place = ((decades * BINS_PER_DECADE + EDGE).floor().clip(-WIDEST, WIDEST) + ZERO_BIN).cast("int64")
    return ibis.ifelse(usable == 0, 0, ibis.ifelse(usable < 0, -place, place))


def _text(values: Any) -> Any:
    return values.cast("string")


def _presence(values: Any) -> Any:
    import ibis

    return ibis.ifelse(values.notnull(), PRESENT, None)


def _places(found: pd.DataFrame, column: Column, kind: Kind) -> tuple[tuple[str, ...], Counts]:
    """Return the names of the bins and, for each row of `found`, which one is its own."""
    if kind == "presence":
        return (PRESENT,), np.zeros(len(found), dtype=np.int64)
    if kind == "category":
        return _tagged(found, column)
    places, at_bin = np.unique(found["_bin"].to_numpy(dtype=np.int64), return_inverse=True)
    return tuple(map(str, places)), at_bin


def _tagged(found: pd.DataFrame, column: Column) -> tuple[tuple[str, ...], Counts]:
    """Return tags of the most frequent categories and, for each row of `found`, which one is its own."""
    totals = found.groupby("_bin").rows.sum()
    frequent = sorted(totals[totals >= SMALLEST].items(), key=lambda pair: (-pair[1], pair[0]))[:MOST_CATEGORIES]
    agreed = frozenset((*column.order, "true", "false"))
    tags = {value: str(value) if value in agreed else _tag(str(value)) for value, _ in frequent}
    names = (*dict.fromkeys(tags.values()), REST)
    places = {name: place for place, name in enumerate(names)}
    return names, np.array([places[tags.get(value, REST)] for value in found["_bin"]], dtype=np.int64)


def _tag(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()[:TAG_DIGITS]


def pooled(bins: Mapping[str, int]) -> dict[str, int]:
    """Return bins of numbers of which none has fewer than `SMALLEST` rows: small ones join the next."""
    kept: dict[str, int] = {}
    waiting = 0
    for name, rows in sorted(bins.items(), key=lambda pair: int(pair[0])):
        waiting += rows
        if waiting >= SMALLEST:
            kept[name], waiting = waiting, 0
    if waiting and kept:
        kept[next(reversed(kept))] += waiting
    return kept


def aligned(before: Sketch, now: Sketch) -> tuple[Counts, Counts]:
    """Return both spreads over the same bins, those of numbers in order of value."""
    order = (lambda name: (int(name), "")) if before.kind == "number" else (lambda name: (0, name))
    names = sorted({*before.bins, *now.bins}, key=order)
    return _along(before, names), _along(now, names)


def _along(sketch: Sketch, names: Sequence[str]) -> Counts:
    return np.array([sketch.bins.get(name, 0) for name in names], dtype=np.int64)


def middle(bins: Mapping[str, int]) -> float | None:
    """Return the median to within half a bin; none where there is no number."""
    ordered = sorted(((int(name), rows) for name, rows in bins.items()))
    if not ordered:
        return None
    reached = np.cumsum([rows for _, rows in ordered])
    return value_of(ordered[int(np.searchsorted(reached, reached[-1] / 2))][0])


def value_of(place: int) -> float:
    """Return the value in the middle of a bin."""
    if place == 0:
        return 0.0
    size = 10 ** ((abs(place) - ZERO_BIN + 0.5) / BINS_PER_DECADE)
    return float(np.copysign(size, place))
