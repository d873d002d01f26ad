"""Compares a version of the registry with what was judged and approved, as promotion did before it published the version.

Promotion's key alone is no evidence here: what the judging role signed is, and the ledger's entries about an approval.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ml.config import Settings
from ml.errors import IntegrityBroken
from ml.files import sha256
from ml.packaging import artifact
from ml.packaging.archive import manifest
from ml.packaging.judgement import (
    ENVELOPE,
    JUDGEMENT_SCHEMA,
    JUDGEMENT_TYPE,
    METRICS,
    PROFILE,
    VERDICT,
    Judgement,
    ensure_documents,
    ensure_inside,
)
from ml.packaging.version import only_layer
from ml.pipeline import vouch
from ml.pipeline.approval import Subject, ensure_about
from ml.registry.entry import MOVES, Entry
from ml.registry.fetch import SignedRecord, fetch_documents, fetch_record
from ml.registry.ledger import Ledger
from ml.registry.shelf import Shelf


@dataclass(frozen=True, kw_only=True)
class Compared:
    """What was compared with a version, and held."""

    run_id: str | None
    """Of the run whose judgement it is; none of a version that was packaged before judgements were signed."""
    files: int = 0
    """Judged files that were compared."""
    approvals: int = 0
    """Approvals that entries of the ledger name."""


def compare(settings: Settings, use_case: str, digest: str) -> Compared:
    """Compare a stored version with the judgement that came with it, and with the approvals that the ledger names.

    Args:
        settings: A role that may read `models` and `ledger`, with the judging role's public key.
        use_case: Name of its use case.
        digest: Name of the version.

    Raises:
        ConfigInvalid: The judging role's public key is not set.
        IntegrityBroken: The judging role did not sign what came with it, a byte is not what was judged, or a person approved
            something else.
    """
    approvals = _approved(Ledger.open(settings, use_case).entries, digest)
    record = fetch_record(settings, use_case, digest)
    if artifact.JUDGEMENT not in record.payload["documents"]:
        return Compared(run_id=None, approvals=approvals)
    kinds = (artifact.JUDGEMENT, artifact.LOCK, artifact.GATE, artifact.PROFILE)
    record, documents = fetch_documents(settings, use_case, digest, kinds)
    judgement = _judgement(settings, use_case, record, documents[artifact.JUDGEMENT].get(ENVELOPE, b""))
    shelf = Shelf.open(settings, use_case)
    ensure_inside(judgement, manifest(shelf.blob(only_layer(shelf.manifest(digest)).digest)))
    gate, lock = documents[artifact.GATE], documents[artifact.LOCK]
    profile = documents[artifact.PROFILE].get("profile.parquet", b"")
    judged = {VERDICT: gate.get("verdict.json", b""), METRICS: gate.get("metrics.json", b""), PROFILE: profile}
    ensure_documents(judgement, {path: sha256(data) for path, data in judged.items()})
    _ensure_frozen(judgement, lock)
    return Compared(run_id=judgement.run_id, files=len(judgement.files), approvals=approvals)


def _judgement(settings: Settings, use_case: str, record: SignedRecord, envelope: bytes) -> Judgement:
    about = {"schema": JUDGEMENT_SCHEMA, "use_case": use_case, "run_id": record.payload["run_id"]}
    judgement = Judgement.of(vouch.verify(settings, "judge", JUDGEMENT_TYPE, envelope, about))
    if judgement.files.get(VERDICT) != record.payload["gate"]["digest"]:
        raise IntegrityBroken(
            f"a version record that names the judged verdict {judgement.files.get(VERDICT)}",
            str(record.payload["gate"]["digest"]),
            "Do not serve it; find out who signed the record.",
        )
    return judgement


def _ensure_frozen(judgement: Judgement, lock: dict[str, bytes]) -> None:
    """Refuse a version whose record keeps other inputs or parameters than the gate read."""
    changed = sorted(name for name, digest in judgement.frozen.items() if sha256(lock.get(name, b"")) != digest)
    if changed:
        raise IntegrityBroken(
            f"{', '.join(changed)} as the gate read it", "another", "Do not serve it; find out who signed the record."
        )


def _approved(entries: Iterable[Entry], digest: str) -> int:
    """Return how many moves of a version name an approval; each must stand in the ledger, about this version and verdict."""
    words: dict[str | None, Entry] = {}
    count = 0
    for entry in entries:
        if entry.action == "approve":
            words[entry.run_id] = entry
        if entry.action in MOVES and entry.to_digest == digest and entry.approval is not None:
            word = words.get(entry.run_id)
            if word is None or word.who != entry.approval["by"]:
                by = "nobody" if word is None else word.who
                raise IntegrityBroken(
                    f"an approval by {entry.approval['by']}, as ledger entry {entry.seq} says",
                    f"one by {by}",
                    "Do not serve it; find out who promoted it.",
                    seq=entry.seq,
                )
            ensure_about(word, Subject(run_id=str(entry.run_id), version=digest, gate=str(entry.gate)))
            count += 1
    return count
