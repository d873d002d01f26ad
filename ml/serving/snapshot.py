"""Customer histories on their way from the features stage to the server, through the `state` bucket."""

from __future__ import annotations

import contextlib
import logging
import re
import sqlite3
import uuid
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from ml.config import Settings
from ml.errors import GateFailed, IntegrityBroken, ModelNotFound, PromotionConflict
from ml.files import parse_object, sha256
from ml.packaging.signing import Signer, Verifier
from ml.registry.erasure_mark import settled
from ml.serving.snapshot_record import (
    OLD_TABLE,
    RECORD_BYTES,
    number_after,
    opened,
    record_key,
    signed,
    trusted,
    unsigned,
)
from ml.serving.state import Observe, Snapshot, StateStore
from ml.store import Bucket

if TYPE_CHECKING:
    import pyarrow as pa

PARQUET = "application/vnd.apache.parquet"
PSEUDONYM_LENGTH = 32
PSEUDONYM = re.compile(r"\b[0-9a-f]{32}\b")
READS = 5  # of a record whose table was replaced before it was read
END_OF_DAY = "T23:59:59.999999"
BATCH_ROWS = 1000
TABLE_BYTES = 1024**3
HISTORY_BYTES = 8 * 1024 * 1024

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Keys:
    """Whose signature counts, and who signs."""

    verifier: Verifier
    signer: Signer

    @classmethod
    def open(cls, settings: Settings) -> Keys:
        """Return those of settings with the signing key."""
        return cls(Verifier.open(settings), Signer.open(settings))


def publish(settings: Settings, use_case: str, histories: Path, as_of: date, *, may_go_back: bool = False) -> Snapshot:
    """Publish the histories as they were at the end of a day, without those who were erased until now.

    The table is written first, under a name of its own, then the small signed record that names it. An older run that
    publishes again brings nobody back.

    Args:
        settings: A role that may write the `state` bucket and read `erasures`, with the signing key.
        use_case: Name of the use case.
        histories: Parquet with the columns `unit` and `history` (JSON).
        as_of: Last day the histories cover, on the data's own clock.
        may_go_back: Whether a person wants histories of an earlier day than those that are published.

    Raises:
        GateFailed: Histories of a later day are published, and nobody wants to go back.
        IntegrityBroken: Marks of erasures are missing, so that the erased would return.
    """
    data, bucket = histories.read_bytes(), Bucket.open(settings, "state")

    def write(erased: Mapping[str, str]) -> Snapshot:
        kept = without(data, erased)
        made = Snapshot(mark=sha256(kept), as_of=f"{as_of.isoformat()}{END_OF_DAY}", table=_new_key(use_case))
        bucket.put(made.table, kept, PARQUET)
        return _switch(bucket, Keys.open(settings), use_case, made, may_go_back)

    made = settled(settings, use_case, write)
    log.info("histories published use_case=%s as_of=%s bytes=%d", use_case, as_of, len(data))
    return made


def forget(settings: Settings, use_case: str, units: Collection[str]) -> tuple[str, ...]:
    """Publish the histories again without customers, whoever publishes meanwhile; remove tables that nobody names and they are in.

    What is signed is signed again, and nothing else: a table that is not the one that the record names is removed instead.

    Args:
        settings: Role `custodian`, with the signing key.
        use_case: Name of the use case.
        units: The customers' pseudonyms, which are marked as erased already.

    Returns:
        The keys of the tables that they were in.
    """
    bucket, keys = Bucket.open(settings, "state"), Keys.open(settings)
    tables: dict[str, bool] = {}

    def change(data: bytes | None) -> bytes | None:
        if data is None:
            return None
        record = opened(use_case, data, keys.verifier)
        before = record.snapshot
        table = bucket.find(before.table)
        if table is None:
            if bucket.find(record_key(use_case)) == data:
                return None  # a table that is named and lost is read by nobody
            raise PromotionConflict(f"{before.table} to be there", "none: it was replaced", "Read the record again.")
        kept = without(table, units)
        if kept == table and b'"forgotten"' not in data:
            return None
        tables[before.table] = True
        if sha256(table) != before.mark:
            return None
        made = replace(before, mark=sha256(kept), table=_new_key(use_case), number=number_after(before.number))
        bucket.put(made.table, kept, PARQUET)
        tables[made.table] = False
        return signed(use_case, made, keys.signer) if record.is_signed else unsigned(made)

    named = bucket.update(record_key(use_case), change, "application/json")
    current = opened(use_case, named, keys.verifier).snapshot.table if named else None
    for key in [*bucket.keys(f"{use_case}/histories/"), OLD_TABLE.format(use_case)]:
        table = bucket.find(key) if key != current and key not in tables else None
        if table is not None and without(table, units) != table:
            tables[key] = True
    for key in [one for one, had_them in tables.items() if had_them or one != current]:
        bucket.delete(key)
    return tuple(sorted(key for key, had_them in tables.items() if had_them))


def unsigned_record(settings: Settings, use_case: str) -> Snapshot | None:
    """Return the histories that an unsigned record of a version before names; none where there is none.

    Raises:
        IntegrityBroken: The record is none of ours.
    """
    data = Bucket.open(settings, "state").find(record_key(use_case), RECORD_BYTES)
    record = None if data is None else opened(use_case, data, Verifier.open(settings))
    return None if record is None or record.is_signed else record.snapshot


def sign_again(old: Settings, new: Settings, use_case: str) -> str | None:
    """Sign the published histories with the key of other settings, also those that nobody signed; return their digest.

    Args:
        old: A role that may write `state`, trusting the key that they are signed with.
        new: The same, with the key to sign with.
        use_case: Name of the use case.

    Raises:
        IntegrityBroken: The record is none of ours, or its table is not the one that it names.
    """
    bucket, verifier, signer = Bucket.open(new, "state"), Verifier.open(old), Signer.open(new)
    marks: list[str] = []

    def change(data: bytes | None) -> bytes | None:
        if data is None:
            return None
        before = opened(use_case, data, verifier).snapshot
        table = bucket.find(before.table, TABLE_BYTES)
        if table is None or sha256(table) != before.mark:
            found = "none" if table is None else sha256(table)
            raise IntegrityBroken(f"histories {before.mark}", found, "Publish them again: start a new run.")
        marks.append(before.mark)
        return signed(use_case, replace(before, number=number_after(before.number)), signer)

    bucket.update(record_key(use_case), change, "application/json")
    return marks[-1] if marks else None


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


def follow(bucket: Bucket, verifier: Verifier, store: StateStore, use_case: str, observe: Observe) -> Snapshot | None:
    """Take over the published histories if they are not the ones in use, and return those now in use.

    Raises:
        IntegrityBroken: No trusted key signed the record, it is an older one than was taken over before, or the table is not
            the one it names.
        StorageUnavailable: The store did not answer; the histories in use stay.
    """
    data = bucket.find(record_key(use_case), RECORD_BYTES)
    known = store.snapshot(use_case)
    if data is None:
        return known
    published = trusted(use_case, data, verifier)
    if known is not None and published.number < known.number:
        raise IntegrityBroken(
            f"histories published after number {known.number}",
            f"number {published.number}: an older record was put back",
            "Publish them again: start a new run. Find out who writes the bucket `state`.",
        )
    if known is not None and published.as_of < known.as_of and published.back <= known.number:
        raise IntegrityBroken(
            f"histories not older than those in use, up to {known.as_of[:10]}",
            f"histories up to {published.as_of[:10]}, to which nobody went back",
            "Publish newer ones: start a new run.",
        )
    if known is not None and (known.mark, known.as_of) == (published.mark, published.as_of):
        if published.number > known.number:
            store.number(use_case, published.number)
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
        IntegrityBroken: No trusted key signed what names it, or it is another.
    """
    bucket = Bucket.open(settings, "state")
    for _ in range(READS):
        found = newest(settings, use_case)
        table = bucket.find(found.table)
        if table is not None:
            if sha256(table) != found.mark:
                raise IntegrityBroken(f"histories {found.mark}", sha256(table), "Publish them again: start a new run.")
            return table
    raise _nothing(use_case)


def newest(settings: Settings, use_case: str) -> Snapshot:
    """Return what identifies the published histories.

    Raises:
        ModelNotFound: Nothing was published yet.
        IntegrityBroken: No trusted key signed the record.
    """
    data = Bucket.open(settings, "state").find(record_key(use_case), RECORD_BYTES)
    if data is None:
        raise _nothing(use_case)
    return trusted(use_case, data, Verifier.open(settings))


def is_table(use_case: str, key: str) -> bool:
    """Tell whether a key of the `state` bucket is one of histories, published or not."""
    return key == OLD_TABLE.format(use_case) or (key.startswith(f"{use_case}/histories/"))


def _new_key(use_case: str) -> str:
    """Return a key that no other publication has: whoever replaces a table may remove it."""
    return f"{use_case}/histories/{uuid.uuid4().hex}.parquet"


def _switch(bucket: Bucket, keys: Keys, use_case: str, made: Snapshot, may_go_back: bool) -> Snapshot:
    """Let the record name a table, and remove the one that it named before; return how it is published."""
    last: list[tuple[Snapshot, Snapshot | None]] = []

    def change(data: bytes | None) -> bytes | None:
        record = None
        with contextlib.suppress(IntegrityBroken):  # one that nobody can read named no table
            record = opened(use_case, data, keys.verifier) if data else None
        before, number = record.snapshot if record else None, number_after(record.snapshot.number if record else 0)
        now = replace(made, number=number, back=before.back if before else 0)
        if record is not None and record.is_signed and made.as_of < record.snapshot.as_of:
            _ensure_may_go_back(made, record.snapshot, may_go_back)
            now = replace(now, back=number)
        last[:] = [(now, before)]
        return signed(use_case, now, keys.signer)

    bucket.update(record_key(use_case), change, "application/json")
    ((now, before),) = last
    if before is not None and before.table != now.table and is_table(use_case, before.table):
        bucket.delete(before.table)
    return now


def _ensure_may_go_back(made: Snapshot, before: Snapshot, may_go_back: bool) -> None:
    if not may_go_back:
        raise GateFailed(
            f"histories not older than those published, up to {before.as_of[:10]}",
            f"histories up to {made.as_of[:10]}",
            "What customers did since would vanish. To go back, start the run again with approval `required`, and approve it "
            "with a reason.",
        )


def _nothing(use_case: str) -> ModelNotFound:
    return ModelNotFound(f"histories of {use_case} in the state bucket", "none", "Retrain first: `make run`.")
