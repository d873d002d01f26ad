"""Turns a source's raw columns into the contract's columns and types, or says exactly what is wrong."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ml.contract import Column, ColumnType, Table
from ml.errors import SourceInvalid
from ml.sources.mapping import ColumnMapping, TableMapping

ARROW_TYPES: dict[ColumnType, Any] = {
    "string": pa.string(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "timestamp": pa.timestamp("us"),
    "boolean": pa.bool_(),
}
TRUTHS = {"true": True, "t": True, "yes": True, "1": True, "false": False, "f": False, "no": False, "0": False}
EXAMPLES = 3  # shown of a wrong value, and only of columns that name nobody


def arrow_schema(table: Table) -> pa.Schema:
    """Return the Arrow schema of a contract's table."""
    return pa.schema([pa.field(column.name, ARROW_TYPES[column.type]) for column in table.columns])


def conform(raw: pa.Table, table: Table, mapping: TableMapping, origin: str) -> pa.Table:
    """Return the contract's columns of a raw table in the contract's types.

    Args:
        raw: The source's own columns.
        table: What is wanted. A nullable column that the mapping does not name may be missing.
        mapping: Where each column comes from.
        origin: File or table the rows come from, for messages.

    Raises:
        SourceInvalid: A column is missing or a value has the wrong type.
    """
    arrays = [_column(raw, table, column, mapping, origin) for column in table.columns]
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


def _column(raw: pa.Table, table: Table, column: Column, mapping: TableMapping, origin: str) -> pa.ChunkedArray:
    wanted = ARROW_TYPES[column.type]
    mapped = mapping.columns.get(column.name)
    if mapped is not None and mapped.constant is not None:
        return pa.chunked_array([pa.repeat(pa.scalar(mapped.constant), len(raw)).cast(wanted)])
    name = column.name if mapped is None else str(mapped.source)
    if name not in raw.column_names:
        if mapped is None and column.nullable:
            return pa.chunked_array([pa.nulls(len(raw), wanted)])
        raise _missing_column(raw, table, column, name, origin)
    values = _blank_to_null(raw[name])
    try:
        return _cast(values, column, mapped or ColumnMapping.model_validate({"from": name}), mapping.decimal)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError, OverflowError) as error:
        raise _wrong_type(values, table, column, mapped, origin) from error


def _blank_to_null(values: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if not _is_text(values.type):
        return values
    trimmed = pc.utf8_trim_whitespace(values)
    return pc.if_else(pc.equal(trimmed, ""), pa.scalar(None, values.type), trimmed)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _cast(values: pa.ChunkedArray, column: Column, mapped: ColumnMapping, decimal: str) -> pa.ChunkedArray:
    match column.type:
        case "timestamp":
            return _timestamp(values, mapped)
        case "boolean" if _is_text(values.type):
            return _boolean(values)
        case "string" if pa.types.is_floating(values.type):
            return values.cast(pa.int64()).cast(pa.string())  # identifiers with gaps arrive as floats
        case "float64" | "int64":
            return _number(values, column, mapped, decimal)
    return values.cast(ARROW_TYPES[column.type])


def _number(values: pa.ChunkedArray, column: Column, mapped: ColumnMapping, decimal: str) -> pa.ChunkedArray:
    if decimal == "," and _is_text(values.type):
        values = pc.replace_substring(pc.replace_substring(values, ".", ""), ",", ".")
    if mapped.divide_by != 1:
        values = pc.divide(values.cast(pa.float64()), mapped.divide_by)
    return values.cast(ARROW_TYPES[column.type])


def _boolean(values: pa.ChunkedArray) -> pa.ChunkedArray:
    known = pa.array(list(TRUTHS))
    at = pc.index_in(pc.utf8_lower(values), value_set=known)
    if at.null_count != values.null_count:
        raise ValueError("not a truth value")
    return pc.take(pa.array(list(TRUTHS.values())), at)


def _timestamp(values: pa.ChunkedArray, mapped: ColumnMapping) -> pa.ChunkedArray:
    if _is_text(values.type):
        parsed = pd.to_datetime(values.to_pandas(), format=mapped.format or "ISO8601", utc=mapped.time_zone is not None)
        values = pa.chunked_array([pa.Array.from_pandas(parsed)])
    if values.type == pa.null():
        return values.cast(ARROW_TYPES["timestamp"])
    if pa.types.is_timestamp(values.type) and values.type.tz is not None:
        zone = mapped.time_zone or values.type.tz
        values = pc.local_timestamp(values.cast(pa.timestamp("us", zone)))
    if not (pa.types.is_timestamp(values.type) or pa.types.is_date(values.type)):
        raise ValueError(f"{values.type} is no point in time")
    return values.cast(ARROW_TYPES["timestamp"], safe=False)  # finer than a microsecond is cut off


def _missing_column(raw: pa.Table, table: Table, column: Column, name: str, origin: str) -> SourceInvalid:
    return SourceInvalid(
        f"column {name} for {table.name}.{column.name} ({column.type}) in {origin}",
        f"the columns {', '.join(raw.column_names[:40])}",
        f"Deliver the column, or name theirs in the mapping (tables.{table.name}.columns.{column.name}).",
        table=table.name,
        column=column.name,
    )


def _wrong_type(
    values: pa.ChunkedArray, table: Table, column: Column, mapped: ColumnMapping | None, origin: str
) -> SourceInvalid:
    form = f" with format {mapped.format}" if mapped is not None and mapped.format else ""
    found = f"{values.type} values that do not convert"
    if not _names_someone(table, column):
        found += _examples(values, column)
    return SourceInvalid(
        f"{column.type}{form} in {table.name}.{column.name} from {origin}",
        found,
        f"Correct the values, or the mapping (tables.{table.name}.columns.{column.name}).",
        table=table.name,
        column=column.name,
        expected_type=column.type,
        found_type=str(values.type),
    )


def _names_someone(table: Table, column: Column) -> bool:
    return column.treatment != "keep" or column.name in table.key or column.name in table.references


def _examples(values: pa.ChunkedArray, column: Column) -> str:
    """Return up to three wrong values; none of free text, which may hold anything."""
    series = values.to_pandas().dropna()
    wrong = series[~_converts(series, column.type)]
    shown = [repr(value)[:40] for value in wrong.drop_duplicates().head(EXAMPLES).tolist()]
    return f", such as {', '.join(shown)}" if shown else ""


def _converts(series: pd.Series[Any], kind: ColumnType) -> pd.Series[bool]:
    if kind == "timestamp":
        return pd.to_datetime(series.astype(str), errors="coerce", format="ISO8601").notna()
    if kind == "boolean":
        return series.astype(str).str.lower().isin(list(TRUTHS))
    numbers = pd.to_numeric(series, errors="coerce")
    return numbers.notna() & ((numbers % 1 == 0) if kind == "int64" else True)
