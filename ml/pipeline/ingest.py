"""Brings the shop's rows in: reads the frozen source, writes a Parquet file a day and what each file holds.

Reads `inputs.json`'s source, key ring and erasures; writes `tables/<table>/<day>.parquet`, `subjects.parquet` and
`manifest.json`. What names people or was written by them is encrypted before it touches the disk. The output depends on
the rows and the ring alone, not on the date that was asked for nor on the order in which they came.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from ml.contract import JsonObject, Table
from ml.errors import ConfigInvalid, SourceInvalid
from ml.files import sha256_file, write_arrow, write_json
from ml.pipeline.admission import ensure_places
from ml.pipeline.context import StageContext
from ml.privacy.key_ring import KeyRing
from ml.privacy.seal import Sealer
from ml.sources.opening import open_source
from ml.sources.source import Source

if TYPE_CHECKING:
    import pyarrow as pa

MANIFEST_SCHEMA = "tradewind/manifest/1"
SUBJECTS = "subjects.parquet"
WHOLE = "all"
UNDATED = "undated"  # rows without a time: kept apart, so that validation can say so
DAY = "_day"
BATCH_ROWS = 200_000  # rows handed on at a time
MAX_DAYS = 100_000  # partitions of one table: no shop has kept more days

log = logging.getLogger(__name__)


def run(context: StageContext) -> None:
    """Write the tables as the frozen source holds them.

    Raises:
        SourceInvalid: A table, column or type is wrong, or the source changed since it was frozen.
        ConfigInvalid: The source is a place that nobody configured.
    """
    frozen = context.inputs["source"]
    if context.settings.source_locations:  # the task that started this stage lists what may be read
        ensure_places(context.settings, frozen["spec"])
    source = open_source(frozen["spec"], context.settings)
    last_day = date.fromisoformat(frozen["last_day"])
    out = context.data("ingest")
    shutil.rmtree(out / "tables", ignore_errors=True)
    _check_unchanged(source, context, last_day)
    sealer = _sealer(context)
    tables = {
        table.name: _ingest(table, sealer.seal(table, source.read(table, last_day)), out / "tables" / table.name)
        for table in sorted(context.use_case.data.tables, key=lambda one: one.owner is not None)
    }
    _check_unchanged(source, context, last_day)
    _write_subjects(out / SUBJECTS, sealer.tokens)
    write_json(out / "manifest.json", {"schema": MANIFEST_SCHEMA, "tables": tables, "left_out": sealer.left_out})


def _sealer(context: StageContext) -> Sealer:
    ring, frozen = KeyRing.open(context.settings, context.use_case.name), context.inputs["key_ring"]
    if ring.id != frozen:
        raise ConfigInvalid(f"the key ring {frozen}", ring.id, "Start a new run, which freezes the ring of this store.")
    return Sealer(ring, context.inputs["erasures"], context.use_case.data.tables)


def _write_subjects(path: Path, tokens: Iterable[bytes]) -> None:
    """Write whose keys sealed the rows: by it an erasure finds the runs and versions that a customer was part of."""
    import pyarrow as pa

    write_arrow(path, pa.table({"token": pa.array(sorted(tokens), pa.binary())}))


def _check_unchanged(source: Source, context: StageContext, last_day: date) -> None:
    expected = context.inputs["source"]["digest"]
    found = source.digest(context.use_case.data.tables, last_day)
    if found != expected:
        raise SourceInvalid(
            f"the source's frozen digest {expected}",
            f"{found}: the source changed during the run",
            "Start a new run, which freezes the source anew.",
        )


def _ingest(table: Table, chunks: Iterator[pa.Table], out: Path) -> JsonObject:
    """Write one table's partitions and return what they hold; only one of them is in memory at a time."""
    partitions = {name: _write(out / f"{name}.parquet", part) for name, part in _partitions(table, chunks, out)}
    rows = sum(told["rows"] for told in partitions.values())
    log.info("table ingested table=%s rows=%d partitions=%d", table.name, rows, len(partitions))
    columns = {column.name: column.type for column in table.columns}
    return {"rows": rows, "columns": columns, "partitions": partitions}


def _partitions(table: Table, chunks: Iterator[pa.Table], out: Path) -> Iterator[tuple[str, pa.Table]]:
    """Yield the rows day by day; a table without a time column, or without rows, in one piece."""
    import pyarrow as pa

    if table.time_column is None:
        yield WHOLE, pa.concat_tables([sealed_schema(table).empty_table(), *chunks])
        return
    beside = out.with_name(f".{table.name}.part")
    shutil.rmtree(beside, ignore_errors=True)
    _sort_into_days(table, chunks, beside)
    days = sorted(folder.name for folder in beside.iterdir())
    if not days:
        yield WHOLE, sealed_schema(table).empty_table()
    for day in days:
        yield day, _read_folder(beside / day)
    shutil.rmtree(beside)


def _sort_into_days(table: Table, chunks: Iterator[pa.Table], folder: Path) -> None:
    """Write the rows into a folder a day, whatever days each chunk spans."""
    import pyarrow as pa
    import pyarrow.dataset as ds

    day = pa.field(DAY, pa.string())
    ds.write_dataset(
        (batch for chunk in chunks for batch in _with_day(chunk, table).to_batches(max_chunksize=BATCH_ROWS)),
        folder,
        schema=sealed_schema(table).append(day),
        format="parquet",
        partitioning=ds.partitioning(pa.schema([day])),
        max_partitions=MAX_DAYS,
        use_threads=False,
    )


def sealed_schema(table: Table) -> pa.Schema:
    """Return the columns and types in which a table is stored."""
    import pyarrow as pa

    from ml.sources.conform import arrow_schema

    return pa.schema([f.with_type(pa.binary()) if f.name in table.sealed else f for f in arrow_schema(table)])


def _with_day(chunk: pa.Table, table: Table) -> pa.Table:
    import pyarrow as pa

    days = chunk[table.time_column].cast(pa.date32(), safe=False).cast(pa.string())
    return chunk.append_column(DAY, days.fill_null(UNDATED))


def _read_folder(folder: Path) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    return pa.concat_tables([pq.read_table(file, partitioning=None) for file in folder.iterdir()])


def _write(path: Path, rows: pa.Table) -> JsonObject:
    write_arrow(path, rows.sort_by([(name, "ascending") for name in rows.column_names]))
    return {"rows": len(rows), "sha256": sha256_file(path)}
