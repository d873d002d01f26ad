"""Turns a source's raw columns into the contract's columns and types, or says exactly what is wrong."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from typing import TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ml.contract import Column, Table
from ml.errors import ConfigInvalid, SourceInvalid
from ml.sources.convert import ARROW_TYPES, Converted, Rule, convert
from ml.sources.describe import column_names, described, is_harmless, like, same_but_spelling
from ml.sources.mapping import ColumnMapping, TableMapping

EXAMPLES = 3  # shown of wrong values

log = logging.getLogger(__name__)

Locate: TypeAlias = Callable[[int], str]
"""Tells where a row of raw values lies, counted from 0: a line of a file, a row of a table."""


def row_number(row: int) -> str:
    """Return where a row lies in a table without lines."""
    return f"row {row + 1}"


def arrow_schema(table: Table) -> pa.Schema:
    """Return the Arrow schema of a contract's table."""
    return pa.schema([pa.field(column.name, ARROW_TYPES[column.type]) for column in table.columns])


def conform(raw: pa.Table, table: Table, mapping: TableMapping, origin: str, locate: Locate = row_number) -> pa.Table:
    """Return the contract's columns of a raw table in the contract's types.

    Args:
        raw: The source's own columns.
        table: What is wanted. A nullable column that the mapping does not name may be missing.
        mapping: Where each column comes from.
        origin: File or table the rows come from, for messages.
        locate: Tells where a raw row lies in it.

    Raises:
        SourceInvalid: A column is missing, comes twice, or a value has the wrong type.
    """
    arrays = [_column(raw, table, column, mapping, (origin, locate)) for column in table.columns]
    return pa.table(arrays, schema=arrow_schema(table))


def typed_frame(frame: pd.DataFrame, table: Table) -> pd.DataFrame:
    """Return a contract's columns of a frame, in its order and types, as samples are handed out."""
    types = {"string": "str", "int64": "int64", "float64": "float64", "timestamp": "datetime64[us]", "boolean": "bool"}
    return frame.astype({column.name: types[column.type] for column in table.columns})[
        [column.name for column in table.columns]
    ]


def up_to(rows: pa.Table, table: Table, last_day: date) -> pa.Table:
    """Drop rows later than a day; rows without a time stay, validation reports them."""
    if table.time_column is None:
        return rows
    end = pa.scalar(datetime.combine(last_day + timedelta(days=1), time()), pa.timestamp("us"))
    return rows.filter(pc.fill_null(pc.less(rows[table.time_column], end), True))


def newest_day(rows: pa.Table, table: Table, limit: date) -> date | None:
    """Return the newest day not later than a limit, or none."""
    if table.time_column is None:
        return None
    newest = pc.max(up_to(rows, table, limit)[table.time_column]).as_py()
    return None if newest is None else newest.date()


def missing_table(table: Table, found: list[str], origin: str) -> SourceInvalid:
    """Return the error for a table that the source does not have."""
    seen = ", ".join(sorted(found)[:20]) or "nothing"
    return SourceInvalid(
        f"table {table.name} in {origin}",
        seen,
        f"Deliver {table.name}, or name theirs in the mapping (tables.{table.name}.from).",
        table=table.name,
    )


def _column(
    raw: pa.Table, table: Table, column: Column, mapping: TableMapping, origin: tuple[str, Locate]
) -> pa.ChunkedArray:
    wanted = ARROW_TYPES[column.type]
    mapped = mapping.columns.get(column.name)
    if mapped is not None and mapped.constant is not None:
        return _constant(mapped, len(raw), table, column)
    name = mapping.theirs(column.name) or column.name
    times = raw.column_names.count(name)
    if times > 1:
        raise _doubled(table, column, name, times, origin[0])
    if times == 0:
        if mapped is None and column.nullable and not same_but_spelling(name, raw.column_names):
            return pa.chunked_array([pa.nulls(len(raw), wanted)])
        raise _missing_column(raw, table, column, name, origin[0])
    own = mapped or ColumnMapping()
    told = own if own.time_zone else own.model_copy(update={"time_zone": mapping.time_zone})
    rule = Rule(column, told, mapping, _is_identifier(table, column))
    done = convert(raw[name], rule)
    if done.wrong.any():
        raise _wrong_values(raw[name], done, table, rule, origin)
    return done.values.cast(wanted)


def _constant(mapped: ColumnMapping, n_rows: int, table: Table, column: Column) -> pa.ChunkedArray:
    """Return the mapping's own value for all rows, read by the rules of a value that was delivered."""
    value = pa.chunked_array([pa.array([mapped.constant])])
    done = convert(value, Rule(column, mapped, TableMapping(), _is_identifier(table, column)))
    is_truth_elsewhere = isinstance(mapped.constant, bool) and column.type != "boolean"  # YAML reads `no` as false
    if is_truth_elsewhere or done.wrong.any() or done.values.null_count:
        raise ConfigInvalid(
            f"a constant of type {column.type} for {table.name}.{column.name}",
            f"one of type {type(mapped.constant).__name__}",
            f"Correct the mapping (tables.{table.name}.columns.{column.name}.constant); text needs quotes.",
        )
    return pa.chunked_array([pa.repeat(done.values.cast(ARROW_TYPES[column.type])[0], n_rows)])


def _is_identifier(table: Table, column: Column) -> bool:
    named = column.name in table.key or column.name in table.references or column.name.endswith("_id")
    return column.type == "string" and (named or column.treatment == "pseudonym")


def _doubled(table: Table, column: Column, name: str, times: int, origin: str) -> SourceInvalid:
    return SourceInvalid(
        f"one column {name} for {table.name}.{column.name} in {origin}",
        f"{times} columns of that name",
        "Rename or remove all but one: nothing says which of them counts.",
        table=table.name,
        column=column.name,
    )


def _missing_column(raw: pa.Table, table: Table, column: Column, name: str, origin: str) -> SourceInvalid:
    close = like(name, raw.column_names)
    return SourceInvalid(
        f"column {name} for {table.name}.{column.name} ({column.type}) in {origin}",
        f"{column_names(raw.column_names)}" + (f"; {close!r} is close" if close else "") + _one_column(raw),
        f"Deliver the column, or name theirs in the mapping (tables.{table.name}.columns.{column.name}).",
        table=table.name,
        column=column.name,
    )


def _one_column(raw: pa.Table) -> str:
    """Return a hint where a header was not divided."""
    held = [mark for mark in (";", "\t", "|", ",") if raw.num_columns == 1 and mark in raw.column_names[0]]
    return f"; it holds {held[0]!r}: set `delimiter`" if held else ""


def _wrong_values(
    raw: pa.ChunkedArray, done: Converted, table: Table, rule: Rule, origin: tuple[str, Locate]
) -> SourceInvalid:
    """Return the error that tells the first wrong values by place, and what they look like."""
    column, (name, locate) = rule.column, origin
    rows = np.flatnonzero(done.wrong)
    first = [f"{locate(int(row))}: {_described(raw[int(row)], table, column)}" for row in rows[:EXAMPLES]]
    form = f" with format {rule.mapped.format}" if rule.mapped.format else ""
    return SourceInvalid(
        f"{column.type}{form} in {table.name}.{column.name} from {name}",
        f"{done.why} in {len(rows)} of {len(raw)} rows, such as {'; '.join(first)}",
        f"Correct the values, or the mapping (tables.{table.name}: columns.{column.name}, decimal, grouping, missing).",
        table=table.name,
        column=column.name,
        expected_type=column.type,
        found_type=str(raw.type),
    )


def _described(value: pa.Scalar, table: Table, column: Column) -> str:
    text = value if pa.types.is_string(value.type) else value.cast(pa.string()) if _has_text(value) else None
    kind = "" if pa.types.is_string(value.type) else f"{value.type} "
    if text is None:
        return f"a {value.type}"
    return f"{kind}{described(text.as_py().strip(), is_harmless=is_harmless(table, column))}"


def _has_text(value: pa.Scalar) -> bool:
    try:
        value.cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return False
    return True
