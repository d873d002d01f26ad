"""What a run's data were like, as counts and statistics: what later runs learn their thresholds from."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from data_checks.runner import Outcome
from data_checks.shift import RECENT_DAYS, movement
from data_checks.sketch import DayCounts
from ml.contract import Column, JsonObject, Table
from ml.files import table_files
from ml.sources.engine import open_tables

PROFILE_SCHEMA = "tradewind/data-profile/2"
DIGITS = 6  # decimals kept of a statistic
DAYS_KEPT = 400  # of rows a day: a year and a month
QUANTILES = {"p01": 0.01, "p50": 0.5, "p99": 0.99}


@dataclass(frozen=True, kw_only=True)
class History:
    """Profiles of runs that were accepted before, oldest first."""

    runs: tuple[tuple[str, JsonObject], ...] = ()
    """Run id and profile."""

    @property
    def last(self) -> JsonObject | None:
        """The last accepted profile."""
        return self.runs[-1][1] if self.runs else None

    @property
    def last_run(self) -> str | None:
        """Whose it is."""
        return self.runs[-1][0] if self.runs else None

    def table(self, name: str) -> JsonObject:
        """Return what the last accepted profile says of a table; empty where it says nothing."""
        found: JsonObject = (self.last or {}).get("tables", {}).get(name, {})
        return found

    def steps(self, table: str) -> list[tuple[date, JsonObject]]:
        """Return each run's date and what it says of a table."""
        known = [(date.fromisoformat(told["as_of"]), told["tables"].get(table)) for _, told in self.runs]
        return [(as_of, told) for as_of, told in known if told]


def days_of(told: JsonObject) -> dict[date, int]:
    """Return the rows a day of a table's profile."""
    return {date.fromisoformat(day): rows for day, rows in told.get("days", {}).items()}


def profile(outcomes: Sequence[Outcome], tables: Path, as_of: date) -> JsonObject:
    """Return row counts, newest days, plain statistics of the rows that passed, and how all values are spread.

    No cell of any row is in it.
    """
    return {
        "schema": PROFILE_SCHEMA,
        "as_of": as_of.isoformat(),
        "tables": {outcome.table.name: _table_profile(outcome, tables) for outcome in outcomes},
    }


def _table_profile(outcome: Outcome, tables: Path) -> JsonObject:
    counts = {"rows": outcome.received, "passed": outcome.passed, "quarantined": outcome.quarantined}
    newest = None if outcome.newest_day is None else outcome.newest_day.isoformat()
    statistics = _statistics(outcome.table, tables) if outcome.passed else {}
    columns = {
        name: {**statistics.get(name, {}), **spread(counted, outcome.newest_day)}
        for name, counted in outcome.columns.items()
    }
    failing = {f.check.name: f.failing / f.evaluated for f in outcome.findings if f.failing and f.evaluated}
    days = dict(sorted(outcome.days.items())[-DAYS_KEPT:])
    return {
        **counts,
        "newest_day": newest,
        "days": {day.isoformat(): rows for day, rows in days.items()},
        "failing": {name: round(share, DIGITS) for name, share in failing.items()},
        "columns": columns,
    }


def spread(counted: DayCounts, newest: date | None) -> JsonObject:
    """Return a column's spread over all days and over the newest four weeks, and how far it usually moves in a day."""
    first = None if newest is None else newest - timedelta(days=RECENT_DAYS - 1)
    return {
        "all": counted.between(last=newest).record(),
        "recent": counted.between(first=first, last=newest).record(),
        "movement": movement(counted),
    }


def _statistics(table: Table, tables: Path) -> Mapping[str, JsonObject]:
    """Compute all statistics of a table in one query."""
    if not table_files(tables / table.name):
        return {}
    rows = open_tables(tables, only=(table.name,))[table.name]
    present = [column for column in table.columns if column.name in rows.columns]
    wanted = {f"{column.name}.{name}": value for column in present for name, value in _of(rows[column.name], column)}
    found = rows.aggregate(**wanted).execute().iloc[0].to_dict()
    return {
        column.name: {
            name.removeprefix(f"{column.name}."): _plain(value)
            for name, value in found.items()
            if name.startswith(f"{column.name}.")
        }
        for column in present
    }


def _of(values: Any, column: Column) -> Iterator[tuple[str, Any]]:
    yield "missing", values.isnull().sum()
    yield "distinct", values.nunique()
    if column.type in ("int64", "float64") and column.treatment == "keep":
        yield "mean", values.mean()
        yield from ((name, values.quantile(share)) for name, share in QUANTILES.items())


def _plain(value: Any) -> float | int | None:
    number = float(value)
    if math.isnan(number):  # nothing to describe
        return None
    return int(number) if number.is_integer() else round(number, DIGITS)
