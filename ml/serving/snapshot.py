"""Customer histories on their way from the features stage to the server, through the `state` bucket."""

from __future__ import annotations

import contextlib
import logging
import re
import sqlite3
import uuid
from collections.abc import Collection, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from ml.config import Settings
from ml.errors import IntegrityBroken, ModelNotFound, PromotionConflict
from ml.files import canonical, parse_object, sha256
from ml.registry.erasure_mark import settled
from ml.serving.state import Observe, Snapshot, StateStore
from ml.store import Bucket

if TYPE_CHECKING:
    import pyarrow as pa

SNAPSHOT_SCHEMA = "tradewind/snapshot/2"
OLD_SCHEMA = "tradewind/snapshot/1"
OLD_TABLE = "{}/histories.parquet"
"""Where the one table lay that a record of the old schema named."""
PARQUET = "application/vnd.apache.parquet"
PSEUDONYM_LENGTH = 32
PSEUDONYM = re.compile(r"\b[0-9a-f]{32}\b")
READS = 5  # of a record whose table was replaced before it was read
END_OF_DAY = "T23:59:59.999999"
BATCH_ROWS = 1000
RECORD_BYTES = 16 * 1024 * 1024
TABLE_BYTES = 1024**3
HISTORY_BYTES = 8 * 1024 * 1024

log = logging.getLogger(__name__)


def publish(settings: Settings, use_case: str, histories: Path, as_of: date) -> Snapshot:
    """Publish the histories as they were at the end of a day, without those who were erased until now.

    The table is written first, under a name of its own, then the small record that names it. An older run that
    publishes again brings nobody back.

    Args:
        settings: A role that may write the `state` bucket and read `erasures`.
        use_case: Name of the use case.
        histories: Parquet with the columns `unit` and `history` (JSON).
        as_of: Last day the histories cover, on the data's own clock.

    Raises:
        IntegrityBroken: Marks of erasures are missing, so that the erased would return.
    """
    data, bucket = histories.read_bytes(), Bucket.open(settings, "state")

    def write(erased: Mapping[str, str]) -> Snapshot:
        kept = without(data, erased)
        made = Snapshot(mark=sha256(kept), as_of=f"{as_of.isoformat()}{END_OF_DAY}", table=_new_key(use_case))
        _switch(bucket, use_case, kept, made)
        return made

    made = settled(settings, use_case, write)
    log.info("histories published use_case=%s as_of=%s bytes=%d", use_case, as_of, len(data))
    return made


def forget(bucket: Bucket, use_case: str, units: Collection[str]) -> tuple[str, ...]:
    """Publish the histories again without customers, whoever publishes meanwhile; remove tables that nobody names and they are in.

    Args:
        bucket: The `state` bucket.
        use_case: Name of the use case.
        units: The customers' pseudonyms, which are marked as erased already.

    Returns:
        The keys of the tables that they were in.
    """
    tables: dict[str, bool] = {}

    def change(record: bytes | None) -> bytes | None:
        if record is None:
            return None
        before = _parsed(use_case, record)
        table = bucket.find(before.table)
        if table is None:
            if bucket.find(record_key(use_case)) == record:
                return None  # a table that is named and lost is read by nobody
            raise PromotionConflict(f"{before.table} to be there", "none: it was replaced", "Read the record again.")
        kept = without(table, units)
        if kept == table and b'"forgotten"' not in record:
            return None
        made = Snapshot(mark=sha256(kept), as_of=before.as_of, table=_new_key(use_case))
        bucket.put(made.table, kept, PARQUET)
        tables.update({before.table: True, made.table: False})
        return _record(made)

    named = bucket.update(record_key(use_case), change, "application/json")
    current = _parsed(use_case, named).table if named else None
    for key in [*bucket.keys(f"{use_case}/histories/"), OLD_TABLE.format(use_case)]:
        table = bucket.find(key) if key != current and key not in tables else None
        if table is not None and without(table, units) != table:
            tables[key] = True
    for key in tables.keys() - {current}:
        bucket.delete(key)
    return tuple(sorted(key for key, had_them in tables.items() if had_them))


def without(table: bytes, units: Collection[str]) -> bytes:
    """Return a table without the rows of units, and without rows that name one of them anywhere; the same bytes if it has none."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    if not units:
        return table
    try:
        rows = pq.read_table(pa.BufferReader(table))
    except (OSError, ValueError):
        return table  # what is no table is refused by whoever reads it
    stays = pc.invert(_naming(rows, frozenset(units)))
    if pc.all(stays).as_py() in (True, None):
        return table
    sink = pa.BufferOutputStream()
    pq.write_table(rows.filter(stays), sink, compression="zstd")
    return bytes(sink.getvalue().to_pybytes())


def _naming(rows: pa.Table, units: frozenset[str]) -> pa.ChunkedArray | pa.Array:
    """Tell of each row whether a text of it is one of the units, or holds one."""
    import pyarrow as pa
    import pyarrow.compute as pc

    found = pa.array([False] * len(rows), pa.bool_())
    for name in rows.column_names:
        texts = rows[name].combine_chunks()
        if not (pa.types.is_string(texts.type) or pa.types.is_large_string(texts.type)):
            continue
        found = pc.or_(found, pc.is_in(texts, value_set=pa.array(sorted(units), texts.type)))
        longer = pc.greater(pc.utf8_length(texts), PSEUDONYM_LENGTH)
        maybe = pc.fill_null(pc.and_(longer, pc.match_substring_regex(texts, PSEUDONYM.pattern)), False)
        at = pc.indices_nonzero(maybe).to_pylist()
        hits = {one for one in at if names_one(texts[one].as_py(), units)}
        found = pc.or_(found, pa.array([one in hits for one in range(len(rows))], pa.bool_())) if hits else found
    return found


def names_one(text: str, units: Collection[str]) -> bool:
    """Tell whether one of the units stands in a text."""
    return any(word in units for word in PSEUDONYM.findall(text))


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
    published = _parsed(use_case, data)
    if known is not None and (known.mark, known.as_of) == (published.mark, published.as_of):
        return known
    table = bucket.find(published.table, TABLE_BYTES)
    found = "none" if table is None else sha256(table)
    if table is None or found != published.mark:
        raise IntegrityBroken(f"histories {published.mark}", found, "Wait for the next look, or publish again.")
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
    bucket = Bucket.open(settings, "state")
    for _ in range(READS):
        found = newest_in(bucket, use_case)
        table = bucket.find(found.table) if found else None
        if table is not None:
            return table
    raise _nothing(use_case)


def newest(settings: Settings, use_case: str) -> Snapshot:
    """Return what identifies the published histories.

    Raises:
        ModelNotFound: Nothing was published yet.
    """
    found = newest_in(Bucket.open(settings, "state"), use_case)
    if found is None:
        raise _nothing(use_case)
    return found


def newest_in(bucket: Bucket, use_case: str) -> Snapshot | None:
    """Return what identifies the published histories; none before the first.

    Raises:
        IntegrityBroken: The record is none of ours.
    """
    data = bucket.find(record_key(use_case))
    return None if data is None else _parsed(use_case, data)


def record_key(use_case: str) -> str:
    """Return the key of the record that names the histories."""
    return f"{use_case}/histories.json"


def is_table(use_case: str, key: str) -> bool:
    """Tell whether a key of the `state` bucket is one of histories, published or not."""
    return key == OLD_TABLE.format(use_case) or (key.startswith(f"{use_case}/histories/"))


def _new_key(use_case: str) -> str:
    """Return a key that no other publication has: whoever replaces a table may remove it."""
    return f"{use_case}/histories/{uuid.uuid4().hex}.parquet"


def _switch(bucket: Bucket, use_case: str, table: bytes, made: Snapshot) -> None:
    """Write a table, let the record name it, and remove the one that it named before."""
    bucket.put(made.table, table, PARQUET)
    before: list[bytes] = []

    def change(record: bytes | None) -> bytes:
        before[:] = [record] if record else []
        return _record(made)

    bucket.update(record_key(use_case), change, "application/json")
    for record in before:
        with contextlib.suppress(IntegrityBroken):  # one that nobody can read named no table
            if (old := _parsed(use_case, record).table) != made.table:
                bucket.delete(old)


def _record(snapshot: Snapshot) -> bytes:
    told = {"schema": SNAPSHOT_SCHEMA, "digest": snapshot.mark, "as_of": snapshot.as_of, "table": snapshot.table}
    return canonical(told)


def _parsed(use_case: str, data: bytes) -> Snapshot:
    action = "Publish the histories again."
    record = parse_object(data, f"a record in {SNAPSHOT_SCHEMA}", action, RECORD_BYTES)
    if record.get("schema") == OLD_SCHEMA:
        record |= {"schema": SNAPSHOT_SCHEMA, "table": OLD_TABLE.format(use_case)}
    named = (record.get("digest"), record.get("as_of"), record.get("table"))
    if record.get("schema") == SNAPSHOT_SCHEMA and all(isinstance(one, str) for one in named):
        return Snapshot(mark=record["digest"], as_of=record["as_of"], table=record["table"])
    raise IntegrityBroken(f"a record in {SNAPSHOT_SCHEMA}", "something else", action)


def _nothing(use_case: str) -> ModelNotFound:
    return ModelNotFound(f"histories of {use_case} in the state bucket", "none", "Retrain first: `make run`.")
