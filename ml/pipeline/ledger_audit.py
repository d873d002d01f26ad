"""Opens every document that a ledger's entries name by digest, and compares: proofs, records, gate reports, verdicts, row marks.

The entries are verified first, so a digest in one of them vouches for the bytes, whoever signed these and with which key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from ml.config import Settings
from ml.contract import JsonObject
from ml.errors import IntegrityBroken, ModelNotFound
from ml.files import sha256
from ml.packaging.artifact import GATE, RECORD
from ml.packaging.oci import TITLE, parsed
from ml.packaging.record import RECORD_TYPE
from ml.packaging.signing import unverified
from ml.pipeline.released import rows_key
from ml.registry.checkpoint import Mark
from ml.registry.collect import is_removed
from ml.registry.entry import MOVES, Entry
from ml.registry.erasure import proof_key
from ml.registry.ledger import Ledger, verified
from ml.registry.old_mark import adoption_key
from ml.registry.shelf import Shelf
from ml.store import Bucket

RESTORE = "Restore it from a copy; nothing that it was to prove can be relied on."


@dataclass(frozen=True, kw_only=True)
class Audit:
    """What held."""

    entries: int
    documents: int
    """Named by entries, each counted once."""


@dataclass(frozen=True, kw_only=True)
class Document:
    """One document that an entry names."""

    what: str
    digest: str
    read: Callable[[], bytes | None]
    """Returns its bytes, or none where it is missing."""


def audit(settings: Settings, use_case: str, remembered: Mark | None = None) -> Audit:
    """Verify a ledger with its pointers, and every document that an entry names.

    Documents of a version that a later entry says was removed may be missing.

    Args:
        settings: Role `read`.
        use_case: Name of the use case.
        remembered: The newest entry that a server of this machine saw.

    Raises:
        IntegrityBroken: An entry does not hold, or a document was altered or deleted; the message names both.
    """
    view = verified(settings, use_case, remembered)
    held: set[str] = set()
    for entry in view.entries:
        for document in _named(settings, entry):
            if document.digest not in held and _holds(document, entry, view):
                held.add(document.digest)
    return Audit(entries=len(view.entries), documents=len(held))


def _holds(document: Document, entry: Entry, view: Ledger) -> bool:
    """Tell whether a document is there; raise where it should be, or is another."""
    try:
        data = document.read()
    except IntegrityBroken as error:
        raise _broken(document, entry, error.received) from error
    if data is None:
        if entry.to_digest is not None and is_removed(view.entries, entry.to_digest, entry.seq):
            return False
        raise _broken(document, entry, "none")
    if sha256(data) != document.digest:
        raise _broken(document, entry, sha256(data))
    return True


def _broken(document: Document, entry: Entry, received: str) -> IntegrityBroken:
    place = f"ledger entry {entry.seq} ({entry.action}) of {entry.use_case}"
    return IntegrityBroken(
        f"{document.what} {document.digest} that {place} names",
        received,
        RESTORE,
        seq=entry.seq,
        document=document.digest,
    )


def _named(settings: Settings, entry: Entry) -> Iterator[Document]:
    """Yield the documents that an entry names; a version that was only asked about, or rejected, need not be published."""
    yield from _of_decision(settings, entry)
    if entry.action == "erase" and entry.record:
        read = partial(Bucket.open(settings, "ledger").find, proof_key(entry.use_case, entry.record))
        yield Document(what="the proof of erasure", digest=entry.record, read=read)
    elif entry.action == "adopt" and entry.record:
        read = partial(Bucket.open(settings, "ledger").find, adoption_key(entry.use_case, entry.record))
        yield Document(what="the list of what was adopted", digest=entry.record, read=read)
    elif entry.to_digest is not None and (entry.action in MOVES or entry.record):
        yield from _of_version(Shelf.open(settings, entry.use_case), entry, entry.to_digest)


def _of_decision(settings: Settings, entry: Entry) -> Iterator[Document]:
    told = entry.decision or {}
    if verdict := told.get("verdict"):
        key = f"{entry.use_case}/{entry.run_id}/validate/verdict.json"
        read = partial(Bucket.open(settings, "reports").find, key)
        yield Document(what="the verdict about the data", digest=str(verdict), read=read)
    if rows := told.get("rows"):
        read = partial(Bucket.open(settings, "runs").find, rows_key(entry.use_case, str(rows)))
        yield Document(what="the marks of the released rows", digest=str(rows), read=read)


def _of_version(shelf: Shelf, entry: Entry, version: str) -> Iterator[Document]:
    """Yield a version's manifest with its parts, the record that the entry names, and the documents that the record names."""
    yield from _parts(shelf, "the version", version)
    for one in shelf.referrers(version):
        yield from _parts(shelf, f"the document {one.artifact_type} about {version}", one.digest)
    if entry.record is None:
        return
    record = Document(
        what="the version record", digest=entry.record, read=partial(_record, shelf, version, entry.record)
    )
    yield record
    if (envelope := record.read()) is None:
        return
    payload = parsed(unverified(envelope, RECORD_TYPE))
    for kind, digest in payload["documents"].items():
        yield from _parts(shelf, f"the document {kind}", digest)
    if image := payload["image"]["digest"]:
        yield from _parts(shelf, "the runnable image", image)
    if entry.gate is not None:
        read = partial(_gate, shelf, payload["documents"].get(GATE))
        yield Document(what="the gate report", digest=entry.gate, read=read)


def _parts(shelf: Shelf, what: str, digest: str) -> Iterator[Document]:
    """Yield a published manifest and what it consists of."""
    manifest = Document(what=what, digest=digest, read=partial(_manifest, shelf, digest))
    yield manifest
    data = manifest.read()
    named: JsonObject = parsed(data) if data else {}
    for part in (named.get("config"), *named.get("layers", ())):
        if part is not None:
            yield Document(what=f"a part of {what}", digest=part["digest"], read=partial(_blob, shelf, part["digest"]))


def _manifest(shelf: Shelf, digest: str) -> bytes | None:
    try:
        return shelf.manifest_bytes(digest)
    except ModelNotFound:
        return None


def _blob(shelf: Shelf, digest: str) -> bytes | None:
    try:
        return shelf.blob(digest)
    except ModelNotFound:
        return None


def _record(shelf: Shelf, version: str, digest: str) -> bytes | None:
    """Return the envelope of a version record, if it can be found from its version."""
    for one in shelf.referrers(version, RECORD):
        try:
            layers = shelf.manifest(one.digest)["layers"]
        except ModelNotFound:
            continue
        if digest in {layer["digest"] for layer in layers}:
            return _blob(shelf, digest)
    return None


def _gate(shelf: Shelf, manifest: str | None) -> bytes | None:
    """Return `verdict.json` of the gate report whose manifest a record names."""
    if manifest is None:
        return None
    layers = shelf.manifest(manifest)["layers"]
    return next((_blob(shelf, one["digest"]) for one in layers if one["annotations"][TITLE] == "verdict.json"), None)
