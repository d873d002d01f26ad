"""Removes versions that nobody needs any more, and every blob that only they used; what it did is in the ledger.

A collection is announced in the ledger before anything is removed and ended there afterwards. Whoever promotes meanwhile
either finds the ledger moved on (`PromotionConflict`) or is told to wait, so no bytes vanish under a promotion.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ml.config import Settings
from ml.contract import JsonObject
from ml.errors import StorageUnavailable
from ml.packaging.artifact import RECORD
from ml.packaging.oci import parsed
from ml.packaging.record import RECORD_TYPE
from ml.packaging.signing import Signer, unverified
from ml.packaging.version import only_layer
from ml.registry.entry import Action, Entry, Move
from ml.registry.ledger import Ledger
from ml.registry.shelf import Shelf

UNDER_WAY = timedelta(minutes=15)  # a collection that did not end within it was killed
LIMIT = timedelta(minutes=10)  # one removes nothing after it: clocks may differ by the rest

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What a collection leaves."""

    newest: int = 10
    """Versions by the moment they were last signed."""
    horizon_days: int = 90
    """Every version that an entry of these days names stays too [days]; what is live stays in any case."""


@dataclass(frozen=True, kw_only=True)
class Collection:
    """What was removed."""

    versions: tuple[str, ...]
    manifests: int
    blobs: int
    size: int
    """Of manifests and blobs [bytes]."""


def collect(settings: Settings, use_case: str, kept: Kept, who: str, *, is_trial: bool = False) -> Collection:
    """Remove what neither the newest versions nor the ledger's horizon need.

    Args:
        settings: Role `promote`, with the signing key.
        use_case: Name of the use case.
        kept: What stays.
        who: Kept in the ledger.
        is_trial: Tell what would be removed, and remove nothing.

    Raises:
        StorageUnavailable: The store did not answer; collecting again goes on.
        PromotionConflict: Someone moved a channel meanwhile; nothing was removed.
    """
    view, shelf = Ledger.open(settings, use_case), Shelf.open(settings, use_case)
    known = shelf.versions()
    needed = _named(view, kept) | _newest(shelf, known, kept)
    reachable = {one for digest in needed & known for one in _reachable(shelf, digest)}
    sizes = shelf.sizes()
    spare = [one for one in sizes if one not in reachable]
    versions = tuple(sorted(known - needed))
    done = Collection(
        versions=versions,
        manifests=sum(kind == "manifests" for kind, _ in spare),
        blobs=sum(kind == "blobs" for kind, _ in spare),
        size=sum(sizes[one] for one in spare),
    )
    if is_trial or not (spare or versions):
        return done
    signer, why = Signer.open(settings), f"keeps {kept.newest} newest and {kept.horizon_days} days"
    view.note(signer, _note("collect", who, f"{why}; removes {', '.join(versions) or 'unreachable blobs'}"))
    _remove(shelf, versions, spare)
    view.note(signer, _note("collected", who, why))
    view.project(signer)
    log.info("registry collected use_case=%s versions=%d blobs=%d", use_case, len(versions), done.blobs)
    return done


def ensure_at_rest(view: Ledger) -> None:
    """Refuse to publish or move while a collection removes blobs that a new version may share.

    Raises:
        StorageUnavailable: One is under way; it takes seconds.
    """
    about = [entry for entry in view.entries if entry.action in ("collect", "collected")]
    if not about or about[-1].action == "collected":
        return
    begun = datetime.fromisoformat(about[-1].when)
    if datetime.now(UTC) - begun < UNDER_WAY:
        raise StorageUnavailable(
            f"the registry of {view.use_case} at rest", f"a collection that began {about[-1].when}", "Try again soon."
        )


def is_removed(entries: Iterable[Entry], digest: str, since: int) -> bool:
    """Tell whether an entry after number `since` says that a version was removed."""
    return any(one.action == "collect" and one.seq > since and digest in one.why for one in entries)


def _named(view: Ledger, kept: Kept) -> set[str]:
    """Return the versions that the ledger's horizon names, and what is live."""
    since = (datetime.now(UTC) - timedelta(days=kept.horizon_days)).isoformat()
    recent = [entry for entry in view.entries if entry.when >= since]
    needed = {digest for entry in recent for digest in (entry.from_digest, entry.to_digest) if digest}
    return needed | {live.digest for name in view.channels if (live := view.live(name))}


def _newest(shelf: Shelf, known: Iterable[str], kept: Kept) -> set[str]:
    """Return the versions that were signed last; one without a record was never promoted, and is the oldest."""
    signed = {digest: max((record["signed_at"] for record in _records(shelf, digest)), default="") for digest in known}
    return set(sorted(signed, key=lambda digest: signed[digest], reverse=True)[: kept.newest])


def _records(shelf: Shelf, digest: str) -> Iterator[JsonObject]:
    """Yield what the records of a version say, whoever signed them: enough to know what not to remove."""
    for record in shelf.referrers(digest, RECORD):
        layer = only_layer(shelf.manifest(record.digest))
        yield parsed(unverified(shelf.blob(layer.digest), RECORD_TYPE))


def _reachable(shelf: Shelf, digest: str) -> Iterator[tuple[str, str]]:
    """Yield what a version needs, as (kind, digest): itself, its documents, and the runnable images its records name."""
    images = (record["image"]["digest"] for record in _records(shelf, digest))
    named = [digest, *(one.digest for one in shelf.referrers(digest)), *(image for image in images if image)]
    for manifest in named:
        yield "manifests", manifest
        document = shelf.manifest(manifest)
        yield from (("blobs", part["digest"]) for part in (document["config"], *document["layers"]))


def _remove(shelf: Shelf, versions: Iterable[str], spare: Iterable[tuple[str, str]]) -> None:
    """Remove what can be found first: a collection that is killed leaves nothing that names missing bytes."""
    end = datetime.now(UTC) + LIMIT
    for digest in versions:
        shelf.forget(digest)
    for kind, digest in sorted(spare, reverse=True):  # manifests before blobs
        if datetime.now(UTC) > end:
            raise StorageUnavailable("a collection within ten minutes", "a slow store", "Collect again: it goes on.")
        shelf.remove(kind, digest)


def _note(action: Action, who: str, why: str) -> Move:
    return Move(channel="registry", action=action, digest=None, who=who, why=why)
