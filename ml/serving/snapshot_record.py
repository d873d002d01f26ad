"""The signed object that names a use case's published histories: only who holds promotion's key says which are served."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from ml.errors import IntegrityBroken
from ml.files import canonical, parse_object
from ml.packaging.oci import parsed
from ml.packaging.signing import Signer, Verifier
from ml.serving.state import Snapshot

SNAPSHOT_TYPE = "application/vnd.tradewind.histories+json"
SNAPSHOT_SCHEMA = "tradewind/snapshot/3"
UNSIGNED_SCHEMA = "tradewind/snapshot/2"
OLD_SCHEMA = "tradewind/snapshot/1"
OLD_TABLE = "{}/histories.parquet"
"""Where the one table lay that a record of the oldest schema named."""
RECORD_BYTES = 16 * 1024 * 1024
AGAIN = "Publish the histories again: start a new run."


@dataclass(frozen=True, kw_only=True)
class Record:
    """What such an object says."""

    snapshot: Snapshot
    is_signed: bool
    """Versions before 2026-12 signed none: such a one is served by nobody until it is adopted."""


def record_key(use_case: str) -> str:
    """Return the key of the object in the `state` bucket."""
    return f"{use_case}/histories.json"


def opened(use_case: str, data: bytes, verifier: Verifier) -> Record:
    """Return what the object says, whether it is signed or of the time before.

    Raises:
        IntegrityBroken: It is none of ours, or nobody trusted signed it, or it is another use case's.
    """
    envelope = parse_object(data, f"a record in {SNAPSHOT_SCHEMA}", AGAIN, RECORD_BYTES)
    if "payload" in envelope:
        fields = parsed(verifier.verify(data, SNAPSHOT_TYPE))
        number, back = fields.get("number"), fields.get("back", 0)
        about = (fields.get("use_case"), fields.get("schema"))
        if isinstance(number, int) and isinstance(back, int) and about == (use_case, SNAPSHOT_SCHEMA):
            return Record(snapshot=replace(_snapshot(fields), number=number, back=back), is_signed=True)
        raise IntegrityBroken(f"a record in {SNAPSHOT_SCHEMA} of {use_case}", "something else", AGAIN)
    if envelope.get("schema") == OLD_SCHEMA:
        envelope |= {"schema": UNSIGNED_SCHEMA, "table": OLD_TABLE.format(use_case)}
    if envelope.get("schema") != UNSIGNED_SCHEMA:
        raise IntegrityBroken(f"a record in {SNAPSHOT_SCHEMA}", "something else", AGAIN)
    return Record(snapshot=_snapshot(envelope), is_signed=False)


def trusted(use_case: str, data: bytes, verifier: Verifier) -> Snapshot:
    """Return the histories that a signed object names.

    Raises:
        IntegrityBroken: As of `opened`, or it is unsigned.
    """
    record = opened(use_case, data, verifier)
    if not record.is_signed:
        raise IntegrityBroken(
            f"histories of {use_case} that promotion signed",
            "an unsigned record",
            f"{AGAIN} Of a version before: `tradewind adopt` signs what lies there, once.",
        )
    return record.snapshot


def signed(use_case: str, snapshot: Snapshot, signer: Signer) -> bytes:
    """Return the object that names histories."""
    told = {
        "schema": SNAPSHOT_SCHEMA,
        "use_case": use_case,
        "digest": snapshot.mark,
        "as_of": snapshot.as_of,
        "table": snapshot.table,
        "number": snapshot.number,
        "back": snapshot.back,
    }
    return signer.sign(SNAPSHOT_TYPE, canonical(told))


def unsigned(snapshot: Snapshot) -> bytes:
    """Return the object as versions before wrote it: what nobody vouched for is vouched for by nobody after a change."""
    told = {"schema": UNSIGNED_SCHEMA, "digest": snapshot.mark, "as_of": snapshot.as_of, "table": snapshot.table}
    return canonical(told)


def number_after(before: int) -> int:
    """Return a publication's number: larger than the one before, and, should that be lost, than all of them [ms since 1970]."""
    return max(before + 1, time.time_ns() // 1_000_000)


def _snapshot(fields: dict[str, object]) -> Snapshot:
    digest, as_of, table = (fields.get(name) for name in ("digest", "as_of", "table"))
    if isinstance(digest, str) and isinstance(as_of, str) and isinstance(table, str):
        return Snapshot(mark=digest, as_of=as_of, table=table)
    raise IntegrityBroken(f"the fields of {SNAPSHOT_SCHEMA}", "others", AGAIN)
