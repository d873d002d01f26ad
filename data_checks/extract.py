"""What people may see of the rows that were set aside: counts of each rule, some of its rows with what names nobody, marks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from data_checks.row_mark import MARK_COLUMN
from data_checks.suite import may_be_shown
from ml.contract import JsonObject, Table

EXTRACT_SCHEMA = "tradewind/quarantine-extract/1"
ROWS = 200  # kept of each rule
LISTED = 10_000  # rows of a rule that can be released one by one; nobody looks at more
SEPARATOR = "; "


def extract(folder: Path, tables: Iterable[Table]) -> JsonObject:
    """Return the extract of a folder with one file of rows set aside a table; tables without any have none."""
    rules = [rule for table, aside in _set_aside(folder, tables) for rule in _rules(table, aside)]
    return {"schema": EXTRACT_SCHEMA, "rows_kept": ROWS, "rules": rules}


def listed(folder: Path, tables: Iterable[Table]) -> dict[str, list[str]]:
    """Return the marks of the rows that each rule set aside, in the extract's order; of a rule with too many none."""
    by_rule = [(name, aside.take(rows)) for _, aside in _set_aside(folder, tables) for name, rows in _by_rule(aside)]
    return {name: rows[MARK_COLUMN].to_pylist() for name, rows in by_rule if len(rows) <= LISTED}


def _set_aside(folder: Path, tables: Iterable[Table]) -> Iterator[tuple[Table, pa.Table]]:
    for table in tables:
        if (path := folder / f"{table.name}.parquet").exists():
            yield table, pq.read_table(path)


def _by_rule(aside: pa.Table) -> Iterator[tuple[str, pa.Array]]:
    """Yield each rule with the places of its rows; a row that several rules set aside is with each of them."""
    named = pc.split_pattern(aside["_rule"], SEPARATOR).combine_chunks()
    owner, names = pc.list_parent_indices(named), pc.list_flatten(named)
    for name in sorted(pc.unique(names).to_pylist()):
        yield name, owner.filter(pc.equal(names, name))


def _rules(table: Table, aside: pa.Table) -> Iterator[JsonObject]:
    """Yield each rule of a table with some of its rows."""
    own = {column.name for column in table.columns} & set(aside.column_names)
    shown = [column.name for column in table.columns if column.name in own and may_be_shown(table, column.name)]
    for name, rows in _by_rule(aside):
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
