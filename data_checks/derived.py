"""Rules that follow from the contract: types, required values, known values, time, keys and references."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, time, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
from great_expectations import expectations as gxe

from data_checks.check import Check, Mask
from data_checks.message import Message
from ml.contract import Column, ColumnType, Severity, Table
from ml.files import table_files
from ml.sources.engine import open_tables

OWNER = "data owner"
SINCE = date(2026, 11, 24)
PANDAS_TYPES: dict[ColumnType, str] = {
    "string": "str",
    "int64": "int64",
    "float64": "float64",
    "timestamp": "datetime64",
    "boolean": "bool",
}
LARGEST = 1e12  # no price, quantity or measurement of a shop is beyond it; catches infinities too


def derived_checks(table: Table, as_of: date) -> tuple[Check, ...]:
    """Return the rules on single rows and on the schema that a table's declaration implies."""
    return (_columns(table), *(check for column in table.columns for check in _of_column(table, column, as_of)))


def _columns(table: Table) -> Check:
    return Check(
        name=f"{table.name}.columns",
        table=table.name,
        severity="block",
        owner=OWNER,
        reason="the columns are not the ones agreed",
        since=SINCE,
        basis="contract",
        expectation=gxe.ExpectTableColumnsToMatchSet(column_set=[column.name for column in table.columns]),
    )


def _of_column(table: Table, column: Column, as_of: date) -> Iterator[Check]:
    def check(what: str, severity: Severity, reason: str, expectation: object, opens: tuple[str, ...] = ()) -> Check:
        return Check(
            name=f"{table.name}.{column.name}_{what}",
            table=table.name,
            severity=severity,
            owner=OWNER,
            reason=Message(reason, {"column": column.name, "type": column.type}),
            since=SINCE,
            basis="contract",
            expectation=expectation,
            opens=opens,
        )

    types = gxe.ExpectColumnValuesToBeOfType(column=column.name, type_=PANDAS_TYPES[column.type])
    yield check("type", "block", "{column} is not of type {type}", types)
    if not column.nullable:
        present = gxe.ExpectColumnValuesToNotBeNull(column=column.name)
        yield check("present", "quarantine", "{column} is missing", present)
    if column.order:
        known = gxe.ExpectColumnValuesToBeInSet(column=column.name, value_set=list(column.order))
        yield check("known", "quarantine", "{column} is none of the agreed values", known, (column.name,))
    if column.type == "float64":
        finite = gxe.ExpectColumnValuesToBeBetween(column=column.name, min_value=-LARGEST, max_value=LARGEST)
        yield check("finite", "quarantine", "{column} is no finite number", finite)
    if column.name == table.time_column:
        end = datetime.combine(as_of + timedelta(days=1), time())
        past = gxe.ExpectColumnValuesToBeBetween(column=column.name, max_value=end, strict_max=True)
        yield check("not_in_future", "quarantine", "{column} is later than the run's date", past)


def across_checks(table: Table, folder: Path, parents: Mapping[str, Path]) -> tuple[Check, ...]:
    """Return the rules that look at the whole table and at others.

    Args:
        table: The table judged.
        folder: Holds a folder of day files a table.
        parents: Folders of the referenced tables' rows that passed.
    """
    if not table_files(folder / table.name):
        return ()
    return (*_unique(table, folder), *_references(table, folder, parents))


def _unique(table: Table, folder: Path) -> Iterator[Check]:
    rows = open_tables(folder, only=(table.name,))[table.name]
    if not table.key or not set(table.key) <= set(rows.columns):
        return
    counted = rows.group_by(list(table.key)).aggregate(copies=rows.count())
    repeated = pd.MultiIndex.from_frame(counted.filter(counted.copies > 1).execute()[list(table.key)])
    yield Check(
        name=f"{table.name}.key_unique",
        table=table.name,
        severity="quarantine",
        owner=OWNER,
        reason=Message("the same {key} came before: the first row is kept", {"key": " + ".join(table.key)}),
        since=SINCE,
        basis="contract",
        rows=_Repeats(table.key, repeated),
    )


class _Repeats:
    """Finds the second and later rows of a repeated key, partition after partition."""

    def __init__(self, key: tuple[str, ...], repeated: pd.MultiIndex) -> None:
        self._key = list(key)
        self._repeated = repeated
        self._seen: set[object] = set()

    def __call__(self, frame: pd.DataFrame) -> Mask:
        failing = np.zeros(len(frame), dtype=bool)
        if self._repeated.empty:
            return failing
        keys = pd.MultiIndex.from_frame(frame[self._key])
        at = np.flatnonzero(keys.isin(self._repeated))
        for position, key in zip(at, keys[at], strict=True):
            failing[position] = key in self._seen
            self._seen.add(key)
        return failing


def _references(table: Table, folder: Path, parents: Mapping[str, Path]) -> Iterator[Check]:
    for column, (parent, parent_column) in table.references.items():
        if parent not in parents:
            continue
        known = _distinct(parents[parent].parent, parent, parent_column)
        unknown = _distinct(folder, table.name, column) - known
        yield Check(
            name=f"{table.name}.{column}_in_{parent}",
            table=table.name,
            severity="quarantine",
            owner=OWNER,
            reason=Message("{column} is not among the {parent} that passed", {"column": column, "parent": parent}),
            since=SINCE,
            basis="contract",
            rows=_isin(column, unknown),
        )


def _isin(column: str, unknown: set[object]) -> Callable[[pd.DataFrame], Mask]:
    values = list(unknown)
    return lambda frame: np.asarray(frame[column].isin(values), dtype=bool)


def _distinct(folder: Path, table: str, column: str) -> set[object]:
    rows = open_tables(folder, only=(table,))[table]
    return set(rows.filter(rows[column].notnull()).select(column).distinct().execute()[column])
