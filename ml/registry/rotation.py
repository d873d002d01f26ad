"""Carries trust over to a new signing key when the old one is no longer to be believed."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

from ml.config import Settings
from ml.files import canonical
from ml.packaging.artifact import ENVELOPE, RECORD
from ml.packaging.oci import MANIFEST, Descriptor, Layout
from ml.packaging.record import RECORD_TYPE
from ml.packaging.signing import Signer
from ml.registry.checkpoint import checkpoint_key, seal
from ml.registry.fetch import fetch_record
from ml.registry.ledger import Ledger
from ml.registry.shelf import Shelf
from ml.store import Bucket

log = logging.getLogger(__name__)


def vouch(old: Settings, new: Settings, use_case: str) -> tuple[str, ...]:
    """Sign with the new key what the old one said of a ledger and of the versions that are live; return these versions.

    The checkpoint vouches for all entries before it, so readers that trust the new key alone can read the ledger. Other
    versions stay refused to them until they are promoted again.

    Args:
        old: Role `promote`, trusting the old key: what it reads is verified with it.
        new: The same, with the new signing key.
        use_case: Name of the use case.

    Raises:
        IntegrityBroken: The ledger or a record does not hold: nothing was signed for this use case.
    """
    view, signer = Ledger.open(old, use_case), Signer.open(new)
    view.stale_channels()
    mark = view.mark()
    if mark is None:
        return ()
    digests = tuple(sorted({live.digest for name in view.channels if (live := view.live(name))}))
    records = {digest: fetch_record(old, use_case, digest).payload for digest in digests}
    for digest, payload in records.items():
        _attach(Shelf.open(new, use_case), digest, signer.sign(RECORD_TYPE, canonical(payload)))
    data = seal(signer, use_case, mark)
    Bucket.open(new, "ledger").put(checkpoint_key(use_case), data, "application/json")
    log.info("ledger vouched for use_case=%s entries=%d versions=%d", use_case, mark.seq, len(digests))
    return digests


def _attach(shelf: Shelf, digest: str, envelope: bytes) -> None:
    """Publish a signed record beside a version."""
    subject = Descriptor(media_type=MANIFEST, digest=digest, size=len(shelf.manifest_bytes(digest)))
    with tempfile.TemporaryDirectory() as scratch:
        layout = Layout.create(Path(scratch))
        shelf.add(layout, layout.attach(subject, RECORD, {"record.dsse.json": (ENVELOPE, envelope)}))
