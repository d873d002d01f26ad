"""Gets a version back from the registry: nothing is unpacked before its signature and its digests hold."""

from __future__ import annotations

import contextlib
import errno
import logging
import shutil
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from ml.config import Settings
from ml.contract import RECORD_SCHEMA, JsonObject
from ml.errors import IntegrityBroken, ModelNotFound
from ml.files import sha256, sha256_file, write_bytes
from ml.packaging.archive import unpack
from ml.packaging.artifact import GATE, LOCK, RECORD
from ml.packaging.oci import TITLE, Descriptor, Layout, hexadecimal, parsed
from ml.packaging.record import RECORD_TYPE
from ml.packaging.signing import Verifier
from ml.packaging.version import PREFIX, ensure_parts, only_layer
from ml.registry.shelf import Shelf

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class SignedRecord:
    """A version record whose signature holds."""

    digest: str
    """Digest of the envelope."""
    payload: JsonObject
    """Schema `RECORD_SCHEMA`: origin, data versions, parameters, gate, documents, image."""


def fetch_version(settings: Settings, use_case: str, digest: str, folder: Path) -> Path:
    """Download a version, check its signature and every digest, and unpack it.

    Args:
        settings: A role that may read `models`; only public keys are needed.
        use_case: Name of its use case.
        digest: Name of the version.
        folder: Where versions are kept; made if missing.

    Returns:
        `folder/<hexadecimal digest>` with `model/`, `state.json`, `golden.json` and `version.json`; it appears whole.

    Raises:
        ModelNotFound: There is no such version.
        IntegrityBroken: No trusted key signed it, or a digest does not hold.
        StorageUnavailable: The store did not answer.
    """
    shelf = Shelf.open(settings, use_case)
    layer = only_layer(shelf.manifest(digest))
    _newest(shelf, Verifier.open(settings), digest)
    data = shelf.blob(layer.digest)
    target = folder / hexadecimal(digest)
    beside = folder / f".{uuid.uuid4().hex}.part"
    beside.mkdir(parents=True)
    try:
        unpack(data, beside, PREFIX)
        ensure_parts(beside, use_case)
        _settle(beside, target)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    log.info("version fetched use_case=%s digest=%s bytes=%d", use_case, digest, len(data))
    return target


def fetch_record(settings: Settings, use_case: str, digest: str, run_id: str | None = None) -> SignedRecord:
    """Return the newest version record that a trusted key signed, of one of its runs where that run is named and has one.

    Equal data make an equal version again: a version has a record for each run that made it.

    Raises:
        ModelNotFound: There is no such version.
        IntegrityBroken: No trusted key signed a record of it.
    """
    shelf = Shelf.open(settings, use_case)
    shelf.manifest(digest)
    return _newest(shelf, Verifier.open(settings), digest, run_id)


def newest_day(settings: Settings, use_case: str, digest: str) -> date | None:
    """Return the newest day of data of all runs that made a version, as its signed records say; none where none does.

    Raises:
        ModelNotFound: There is no such version.
    """
    shelf = Shelf.open(settings, use_case)
    shelf.manifest(digest)
    records = _valid(shelf, Verifier.open(settings), digest)
    days = [(record.payload.get("source") or {}).get("last_day") for record in records]
    return max((date.fromisoformat(day) for day in days if day), default=None)


def fetch_gate_report(settings: Settings, use_case: str, digest: str, gate: str | None) -> bytes | None:
    """Return the gate report of that digest that one of a version's signed records names; none if no record does."""
    shelf = Shelf.open(settings, use_case)
    shelf.manifest(digest)
    for record in _valid(shelf, Verifier.open(settings), digest):
        if record.payload["gate"]["digest"] == gate:
            named = shelf.manifest(record.payload["documents"][GATE])
            return next(shelf.blob(layer.digest) for title, layer in _titled(named) if title == "verdict.json")
    return None


def fetch_document(
    settings: Settings, use_case: str, digest: str, artifact_type: str, run_id: str | None = None
) -> dict[str, bytes]:
    """Return the files of a document that a version's signed record names, such as its drift profile, by name.

    Args:
        settings: A role that may read `models`.
        use_case: Name of its use case.
        digest: Name of the version.
        artifact_type: One of `ml.packaging.artifact`.
        run_id: Of the run whose record is asked, where it has one; else the newest is.

    Raises:
        ModelNotFound: There is no such version, or its record names no such document.
        IntegrityBroken: A signature or digest does not hold.
    """
    return fetch_documents(settings, use_case, digest, (artifact_type,), run_id)[1][artifact_type]


def fetch_documents(
    settings: Settings, use_case: str, digest: str, artifact_types: Iterable[str], run_id: str | None = None
) -> tuple[SignedRecord, dict[str, dict[str, bytes]]]:
    """Return a version's signed record, and by type the files of some documents that it names; raise as `fetch_document` does."""
    shelf = Shelf.open(settings, use_case)
    shelf.manifest(digest)
    record = _newest(shelf, Verifier.open(settings), digest, run_id)
    return record, {kind: _files(shelf, record, kind) for kind in artifact_types}


def fetch_locks(settings: Settings, use_case: str, digest: str) -> Iterator[dict[str, bytes]]:
    """Yield what each run was frozen on that made a version, and its `dvc.lock`; nothing where it was never promoted.

    Raises:
        IntegrityBroken: It was promoted, and no trusted key signed a record of it.
    """
    shelf = Shelf.open(settings, use_case)
    if not any(shelf.referrers(digest, RECORD)):
        return
    _newest(shelf, Verifier.open(settings), digest)
    for record in _valid(shelf, Verifier.open(settings), digest):
        if LOCK in record.payload["documents"]:
            yield _files(shelf, record, LOCK)


def fetch_image(settings: Settings, use_case: str, digest: str, folder: Path) -> Path:
    """Download a version, or the runnable image its record names, as an OCI layout (`skopeo copy oci:FOLDER:image …`).

    Raises:
        ModelNotFound: There is no such manifest.
        IntegrityBroken: A digest does not hold.
    """
    shelf = Shelf.open(settings, use_case)
    layout = Layout.create(folder)
    manifest = shelf.manifest(digest)
    for named in (manifest["config"], *manifest["layers"]):
        write_bytes(layout.path(named["digest"]), shelf.blob(named["digest"]))
    layout.add_manifest(manifest, "image")
    return folder


def _files(shelf: Shelf, record: SignedRecord, artifact_type: str) -> dict[str, bytes]:
    named = record.payload["documents"].get(artifact_type)
    if named is None:
        about = f"a document {artifact_type} of {record.payload['version']}"
        raise ModelNotFound(about, "none", "Look at the record's `documents`.")
    return {title: shelf.blob(layer.digest) for title, layer in _titled(shelf.manifest(named))}


def _settle(beside: Path, target: Path) -> None:
    """Move a whole folder to its place; an equal one that is there stays, so that nobody's files vanish under them."""
    while not (target.is_dir() and _digests(target) == _digests(beside)):
        try:
            beside.rename(target)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            with contextlib.suppress(FileNotFoundError):
                target.rename(beside.with_suffix(".old"))
            shutil.rmtree(beside.with_suffix(".old"), ignore_errors=True)
        else:
            return


def _digests(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): sha256_file(path) for path in folder.rglob("*") if path.is_file()}


def _newest(shelf: Shelf, verifier: Verifier, digest: str, run_id: str | None = None) -> SignedRecord:
    """Return the newest record that a trusted key signed, if it can be of that run; others are passed over with a warning."""
    valid = list(_valid(shelf, verifier, digest))
    if not valid:
        raise IntegrityBroken(
            f"a record of {digest} signed by a trusted key",
            "none",
            "Do not serve it; promote it again, or trust the key that signed it.",
        )
    return max(valid, key=lambda one: (one.payload["run_id"] == run_id, one.payload["signed_at"], one.digest))


def _valid(shelf: Shelf, verifier: Verifier, digest: str) -> Iterator[SignedRecord]:
    for descriptor in shelf.referrers(digest, RECORD):
        layer = only_layer(shelf.manifest(descriptor.digest))
        envelope = shelf.blob(layer.digest)
        try:
            payload = parsed(verifier.verify(envelope, RECORD_TYPE))
        except IntegrityBroken as error:
            log.warning("record passed over digest=%s reason=%s", descriptor.digest, error.received)
            continue
        claims = (payload.get("schema"), payload.get("use_case"), payload.get("version"))
        if claims == (RECORD_SCHEMA, shelf.use_case, digest):
            yield SignedRecord(digest=sha256(envelope), payload=payload)


def _titled(manifest: JsonObject) -> Iterator[tuple[str, Descriptor]]:
    for layer in map(Descriptor.from_json, manifest["layers"]):
        yield layer.annotations[TITLE], layer
