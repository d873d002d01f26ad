"""Customer histories on their way from the features stage to the server, through the `state` bucket."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from datetime import date
from pathlib import Path

from ml.config import Settings
from ml.contract import JsonObject
from ml.errors import IntegrityBroken, ModelNotFound
from ml.files import canonical, parse_object, sha256
from ml.serving.state import Observe, Snapshot, StateStore
from ml.store import Bucket

SNAPSHOT_SCHEMA = "tradewind/snapshot/1"
END_OF_DAY = "T23:59:59.999999"
BATCH_ROWS = 1000
RECORD_BYTES = 16 * 1024 * 1024
TABLE_BYTES = 1024**3
HISTORY_BYTES = 8 * 1024 * 1024

log = logging.getLogger(__name__)


def publish(settings: Settings, use_case: str, histories: Path, as_of: date) -> Snapshot:
    """Publish the histories as they were at the end of a day.

    The table is written first, then the small record that names it: a reader that comes in between finds
    a digest that does not fit and looks again later.

    Args:
        settings: A role that may write the `state` bucket.
        use_case: Name of the use case.
        histories: Parquet with the columns `unit` and `history` (JSON).
        as_of: Last day the histories cover, on the data's own clock.
    """
    data, bucket = histories.read_bytes(), Bucket.open(settings, "state")
    before = bucket.find(record_key(use_case))
    forgotten = _parsed(before).forgotten if before else ()
    snapshot = Snapshot(mark=sha256(data), as_of=f"{as_of.isoformat()}{END_OF_DAY}", forgotten=forgotten)
    _put(bucket, use_case, data, snapshot)
    log.info("histories published use_case=%s as_of=%s bytes=%d", use_case, as_of, len(data))
    return snapshot


def forget(settings: Settings, use_case: str, unit: str) -> tuple[str, ...]:
    """Publish the histories again without a customer, whose later events servers then drop as well.

    Returns:
        The key of the table; nothing before the first publication.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    bucket = Bucket.open(settings, "state")
    record, data = bucket.find(record_key(use_case)), bucket.find(table_key(use_case))
    if record is None or data is None:
        return ()
    before, table = _parsed(record), pq.read_table(pa.BufferReader(data))
    forgotten = tuple(sorted({*before.forgotten, unit}))
    # The note changes the bytes, and so the mark that servers look at, where the customer had events alone.
    kept = table.filter(pc.not_equal(table["unit"], unit)).replace_schema_metadata({"forgotten": str(len(forgotten))})
    sink = pa.BufferOutputStream()
    pq.write_table(kept, sink, compression="zstd")
    written = sink.getvalue().to_pybytes()
    _put(bucket, use_case, written, Snapshot(mark=sha256(written), as_of=before.as_of, forgotten=forgotten))
    return (table_key(use_case),)


def follow(bucket: Bucket, store: StateStore, use_case: str, observe: Observe) -> Snapshot | None:
    """Take over the published histories if they are not the ones in use, and return those now in use.

    Raises:
        IntegrityBroken: The record is of another schema, or the table is not the one it names.
        StorageUnavailable: The store did not answer; the histories in use stay.
    """
    data = bucket.find(record_key(use_case), RECORD_BYTES)
    known = store.snapshot(use_case)
    if data is None:
        return known
    published = _parsed(data)
    if known is not None and (known.mark, known.as_of) == (published.mark, published.as_of):
        return known
    table = bucket.get(table_key(use_case), TABLE_BYTES)
    if sha256(table) != published.mark:
        raise IntegrityBroken(f"histories {published.mark}", sha256(table), "Wait for the next look, or publish again.")
    try:
        adopted = store.adopt(use_case, published, _plain(read(table)), observe)
    except (LookupError, OSError, TypeError, ValueError, sqlite3.Error) as error:
        raise IntegrityBroken(
            f"histories of {use_case} that this server can take over",
            type(error).__name__,
            "Publish them again with this code; those in use stay.",
        ) from error
    log.info("histories adopted use_case=%s as_of=%s units=%d", use_case, adopted.as_of, adopted.units)
    return adopted


def read(table: bytes) -> Iterator[tuple[str, str]]:
    """Yield (unit, history as JSON) of every customer in a published table, a bounded number in memory."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    for batch in pq.ParquetFile(pa.BufferReader(table)).iter_batches(BATCH_ROWS, columns=["unit", "history"]):
        yield from zip(batch.column("unit").to_pylist(), batch.column("history").to_pylist(), strict=True)


def _plain(rows: Iterator[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield rows whose history is plain JSON: one that is not would fail its customer's every request."""
    for unit, history in rows:
        parse_object(history, "a customer's history", "Publish them again; those in use stay.", HISTORY_BYTES)
        yield unit, history


def published(settings: Settings, use_case: str) -> bytes:
    """Return the published table.

    Raises:
        ModelNotFound: Nothing was published yet.
    """
    data = Bucket.open(settings, "state").find(table_key(use_case))
    if data is None:
        raise ModelNotFound(f"histories of {use_case} in the state bucket", "none", "Retrain first: `make run`.")
    return data


def newest(settings: Settings, use_case: str) -> Snapshot:
    """Return what identifies the published histories.

    Raises:
        ModelNotFound: Nothing was published yet.
    """
    data = Bucket.open(settings, "state").find(record_key(use_case))
    if data is None:
        raise ModelNotFound(f"histories of {use_case} in the state bucket", "none", "Retrain first: `make run`.")
    return _parsed(data)


def table_key(use_case: str) -> str:
    """Return the key of the histories in the `state` bucket."""
    return f"{use_case}/histories.parquet"


def record_key(use_case: str) -> str:
    """Return the key of the record that names the histories."""
    return f"{use_case}/histories.json"


def _put(bucket: Bucket, use_case: str, table: bytes, snapshot: Snapshot) -> None:
    bucket.put(table_key(use_case), table, "application/vnd.apache.parquet")
    record: JsonObject = {"schema": SNAPSHOT_SCHEMA, "digest": snapshot.mark, "as_of": snapshot.as_of}
    record |= {"forgotten": list(snapshot.forgotten)} if snapshot.forgotten else {}
    bucket.put(record_key(use_case), canonical(record), "application/json")


def _parsed(data: bytes) -> Snapshot:
    action = "Publish the histories again."
    record = parse_object(data, f"a record in {SNAPSHOT_SCHEMA}", action, RECORD_BYTES)
    forgotten = record.get("forgotten", [])
    named = (record.get("digest"), record.get("as_of"), *(forgotten if isinstance(forgotten, list) else [None]))
    if record.get("schema") == SNAPSHOT_SCHEMA and all(isinstance(one, str) for one in named):
        return Snapshot(mark=record["digest"], as_of=record["as_of"], forgotten=tuple(forgotten))
    raise IntegrityBroken(f"a record in {SNAPSHOT_SCHEMA}", "something else", action)
