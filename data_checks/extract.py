"""What people may see of the rows that were set aside: counts of each rule, and some of its rows with what names nobody."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from data_checks.suite import may_be_shown
from ml.contract import JsonObject, Table

EXTRACT_SCHEMA = "tradewind/quarantine-extract/1"
ROWS = 200  # kept of each rule
SEPARATOR = "; "


def extract(folder: Path, tables: Iterable[Table]) -> JsonObject:
    """Return the extract of a folder with one file of rows set aside a table; tables without any have none."""
    found = {table.name: folder / f"{table.name}.parquet" for table in tables}
    rules = [
        rule
        for table in tables
        if found[table.name].exists()
        for rule in _rules(table, pq.read_table(found[table.name]))
    ]
    return {"schema": EXTRACT_SCHEMA, "rows_kept": ROWS, "rules": rules}


def _rules(table: Table, aside: pa.Table) -> Iterator[JsonObject]:
    """Yield each rule of a table with its rows; a row that several rules set aside is with each of them."""
    named = pc.split_pattern(aside["_rule"], SEPARATOR).combine_chunks()
    owner, names = pc.list_parent_indices(named), pc.list_flatten(named)
    own = {column.name for column in table.columns} & set(aside.column_names)
    shown = [column.name for column in table.columns if column.name in own and may_be_shown(table, column.name)]
    for name in sorted(pc.unique(names).to_pylist()):
        rows = owner.filter(pc.equal(names, name))
        kept = aside.select(shown).take(rows.slice(0, ROWS))
        yield {
            "rule": name,
            "table": table.name,
            "count": len(rows),
            "shown": shown,
            "hidden": sorted(own - set(shown)),
            "rows": [[_written(value) for value in row.values()] for row in kept.to_pylist()],
        }


def _written(value: Any) -> Any:
    """Return a value as JSON can hold it; a number that is not finite in words."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
