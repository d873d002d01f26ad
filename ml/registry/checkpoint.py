"""Marks of how far a ledger has come: whoever holds one notices a ledger that was cut, replaced or set back behind it.

A signed one lies beside the pointers and follows every move; an operator may pin one at a fresh server, and a server
keeps its own.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from ml.contract import CHECKPOINT_SCHEMA, JsonObject
from ml.errors import IntegrityBroken
from ml.files import canonical, parse_object, write_bytes
from ml.packaging.signing import Signer, Verifier
from ml.store import Bucket

CHECKPOINT_BYTES = 64 * 1024
CHECKPOINT_TYPE = "application/vnd.tradewind.ledger-checkpoint+json"


@dataclass(frozen=True, kw_only=True)
class Mark:
    """One entry of a ledger that was there."""

    seq: int
    entry: str
    """Digest of the entry's bytes; through the chain it stands for all entries before."""

    @classmethod
    def of(cls, value: JsonObject) -> Mark:
        """Return the mark that JSON holds; raise `IntegrityBroken` if it holds none."""
        seq, entry = value.get("seq"), value.get("entry")
        if type(seq) is int and seq > 0 and isinstance(entry, str):
            return cls(seq=seq, entry=entry)
        raise IntegrityBroken("a number and a digest of a ledger entry", "other fields", "Take another checkpoint.")


def checkpoint_key(use_case: str) -> str:
    """Return the key of a use case's signed checkpoint in the `ledger` bucket."""
    return f"checkpoints/{use_case}.json"


def seal(signer: Signer, use_case: str, mark: Mark) -> bytes:
    """Return a signed checkpoint."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    payload = {"schema": CHECKPOINT_SCHEMA, "use_case": use_case, "signed_at": now, **asdict(mark)}
    return signer.sign(CHECKPOINT_TYPE, canonical(payload))


def opened(data: bytes, verifier: Verifier, use_case: str) -> Mark:
    """Return the mark in a signed checkpoint.

    Raises:
        IntegrityBroken: No trusted key signed it, or it is of another ledger or schema.
    """
    payload = parse_object(verifier.verify(data, CHECKPOINT_TYPE), f"a checkpoint of {use_case}", "Take another.")
    if payload.get("schema") != CHECKPOINT_SCHEMA or payload.get("use_case") != use_case:
        raise IntegrityBroken(f"a checkpoint of {use_case}", f"one of {payload.get('use_case')}", "Take another.")
    return Mark.of(payload)


def stored(bucket: Bucket, verifier: Verifier, use_case: str) -> Mark | None:
    """Return the mark of the checkpoint in the store; none before the first move."""
    data = bucket.find(checkpoint_key(use_case), CHECKPOINT_BYTES)
    return None if data is None else opened(data, verifier, use_case)


def pinned(folder: Path | None, verifier: Verifier, use_case: str) -> Mark | None:
    """Return the mark an operator gave this machine; none if there is none of this use case."""
    path = folder / f"{use_case}.json" if folder else None
    return opened(path.read_bytes(), verifier, use_case) if path and path.exists() else None


def pin(bucket: Bucket, verifier: Verifier, use_case: str, folder: Path) -> Mark | None:
    """Copy the store's checkpoint into a folder that a fresh server is given, and return its mark; none if there is none."""
    data = bucket.find(checkpoint_key(use_case))
    if data is None:
        return None
    mark = opened(data, verifier, use_case)
    write_bytes(folder / f"{use_case}.json", data)
    return mark
