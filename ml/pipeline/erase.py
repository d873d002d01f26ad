"""Erases a customer: destroys the key of all their stored values, forgets them in serving, and proves it.

Acts on the world. What is to be done is frozen before anything is destroyed, and every step can be repeated, so an
erasure that was killed anywhere is completed by asking for it again. The mark comes first: from then on nobody publishes, serves
or logs the customer. The proof comes last, after a look that found nothing.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import cache
from io import BytesIO

from ml.config import Settings
from ml.contract import SUBJECT
from ml.errors import ConfigInvalid, IntegrityBroken, ModelNotFound, StorageUnavailable
from ml.files import canonical
from ml.packaging.signing import Signer
from ml.pipeline.adopt import adopt_marks
from ml.pipeline.listing import read_listing
from ml.privacy.key_ring import KeyRing
from ml.privacy.overwrite import NOT_DONE, overwrite
from ml.privacy.pseudonym import pseudonym, read_key, spellings
from ml.privacy.redact import redact
from ml.privacy.share import Shares
from ml.registry.entry import Move
from ml.registry.erasure import Erasure, Policy, Touched, keep, named
from ml.registry.erasure_mark import Mark, Marks, erasure_request, in_force, proven_customers, write
from ml.registry.fetch import fetch_record
from ml.registry.ledger import Ledger, tell
from ml.registry.shelf import Shelf
from ml.serving.forget import forget, traces
from ml.store import Bucket

ROUNDS = 5  # of removing and looking again

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Order:
    """What somebody asks for."""

    customer: str
    """As the shop names them; it is kept nowhere."""
    who: str
    why: str
    policy: Policy = "retrain"
    because: str = ""
    """Why versions trained on the customer may be kept; needed for `keep` alone."""
    anyway: bool = False
    """Erase also where nothing of the customer is found: a server's own disk may hold what the store does not."""

    def discreet(self) -> Order:
        """Return the order without personal data in its reasons: proof and ledger outlast every erasure."""
        named = re.compile("|".join(rf"(?<!\w){re.escape(one)}(?!\w)" for one in spellings(self.customer)))
        why, because = (redact(named.sub("[NAME]", text)).text for text in (self.why, self.because))
        return replace(self, why=why, because=because)


@dataclass(frozen=True, kw_only=True)
class Erased:
    """What came of it."""

    erasure: Erasure
    is_new: bool
    """False where the customer was erased before, and nothing of them was found again."""


def plan(settings: Settings, use_case: str, order: Order) -> Erasure:
    """Return what an erasure would do, or what one that was begun is to complete.

    Args:
        settings: Role `custodian`, with the master and the pseudonym key.
        use_case: Name of the use case.
        order: What is asked for.

    Raises:
        ModelNotFound: Neither the key ring nor anything that serving keeps knows the customer.
        ConfigInvalid: Versions shall be kept, and no reason is given.
    """
    if order.policy == "keep" and not order.because:
        raise ConfigInvalid("a reason to keep versions trained on the customer", "none", "Give it with --because.")
    order = order.discreet()
    ring, keys = KeyRing.open(settings, use_case), Bucket.open(settings, "keys")
    names = list(map(ring.name, spellings(order.customer)))
    for name in names:
        if (begun := keys.find(_plan_key(use_case, name))) is not None:
            return Erasure.from_json(begun)
    held = [name for name in names if ring.holds(name) is not None]
    if not held and not order.anyway and not traces(settings, use_case, _units(settings, order)):
        raise ModelNotFound(
            f"data of this customer in {use_case}",
            "none, under a key or in what serving keeps",
            "Check the name; it is the shop's own. --anyway erases what only a server's disk may hold.",
        )
    first = (held or names)[0]
    tokens = [ring.key(name).token for name in held if ring.holds(name)]
    return Erasure(
        use_case=use_case,
        customer=first,
        spellings=tuple(name for name in names if name != first),
        key_ring=ring.id,
        versions=tuple(_touched(settings, use_case, tokens)) if tokens else (),
        policy=order.policy,
        because=order.because,
        who=order.who,
        when=_now(),
        why=order.why,
    )


def erase(settings: Settings, use_case: str, order: Order) -> Erased:
    """Erase a customer from one use case; asked again, it looks everywhere again and completes what is missing.

    Args:
        settings: Role `custodian`, with master, pseudonym and signing key.
        use_case: Name of the use case.
        order: What is asked for.

    Raises:
        ModelNotFound: There are no data of this customer.
        StorageUnavailable: The store did not answer, something of the customer came back every time, or copies of the keys
            stay on the store's disks; ask again.
    """
    order = order.discreet()
    _adopt(settings, use_case, order.who)
    erasure, units = _begun(settings, use_case, order), _units(settings, order)
    spelled = map(KeyRing.open(settings, use_case).name, spellings(order.customer))
    erasure = replace(erasure, spellings=tuple(dict.fromkeys([*erasure.spellings, *spelled])))
    write(settings, Mark(use_case=use_case, customers=erasure.names, units=units, when=_now()))
    wrapped = _wrapped(settings, use_case, erasure.names, units)
    removed = _remove(settings, use_case, erasure.names, units)
    before = _proven(settings, use_case, erasure.customer)
    if (
        before is not None
        and not removed
        and (before.overwritten not in ("", NOT_DONE) or not _can_overwrite(settings))
    ):
        return Erased(erasure=before, is_new=False)
    overwritten = overwrite(settings, wrapped)
    confirmed = replace(erasure, confirmed=_now(), overwritten=overwritten)
    told = keep(Bucket.open(settings, "ledger"), use_case, confirmed.sealed(Signer.open(settings)))
    request = erasure_request(erasure.customer)
    move = Move(
        channel="privacy", action="erase", digest=None, who=order.who, why=order.why, record=told, request=request
    )
    tell(settings, use_case, move)
    log.info("customer erased use_case=%s versions=%d objects=%d", use_case, len(erasure.versions), removed)
    return Erased(erasure=confirmed, is_new=True)


def erase_again(settings: Settings, use_case: str, who: str = "erasures") -> int:
    """Look for everybody who was erased, as after a backup was restored; remove what came back and return how many things it was.

    Args:
        settings: Role `custodian`, with master, pseudonym and signing key.
        use_case: Name of the use case.
        who: Named by the ledger where unsigned marks of before are taken over.

    Raises:
        IntegrityBroken: Marks are missing that the ledger proves; restore them first.
    """
    _adopt(settings, use_case, who)
    units = in_force(settings, use_case)
    names = tuple(sorted(Marks(settings).customers(use_case) | proven_customers(settings, use_case)))
    wrapped = _wrapped(settings, use_case, names, tuple(units))
    removed = _remove(settings, use_case, names, tuple(units)) if names or units else 0
    if wrapped:
        log.info("keys of the erased overwritten again use_case=%s: %s", use_case, overwrite(settings, wrapped))
    return removed


def _adopt(settings: Settings, use_case: str, who: str) -> None:
    """Take over the unsigned marks of before; what is wrong with them keeps nobody from being erased."""
    for problem in adopt_marks(settings, use_case, who).problems:
        log.warning("unsigned marks of erasures use_case=%s: %s", use_case, problem)


def _begun(settings: Settings, use_case: str, order: Order) -> Erasure:
    """Return what is to be done, frozen before anything is: who asks at the same time gets the same."""
    erasure, keys = plan(settings, use_case, order), Bucket.open(settings, "keys")
    key = _plan_key(use_case, erasure.customer)
    held = keys.update(key, lambda found: found or canonical(asdict(erasure)), "application/json")
    return erasure if held is None else Erasure.from_json(held)


def _remove(settings: Settings, use_case: str, names: tuple[str, ...], units: tuple[str, ...]) -> int:
    """Destroy keys and take units out of all places, until a look finds nothing; return how many things were there.

    A server that heard of the mark too late, or a writer who read before it, may put something back once.
    """
    removed, shares = 0, Shares.open(settings)
    for _ in range(ROUNDS):
        ring = KeyRing.open(settings, use_case)
        removed += sum(ring.holds(name) is not False for name in names)
        ring.destroy(*names)
        removed += len(shares.held(use_case, units))
        shares.remove(use_case, units)
        removed += forget(settings, use_case, units)
        left = traces(settings, use_case, units)
        if not left and not _wrapped(settings, use_case, names, units):
            return removed
    raise StorageUnavailable(
        f"nothing of the customer in {use_case} after {ROUNDS} rounds",
        f"something in {len(left)} objects, such as {', '.join(left[:3])}",
        "The customer is marked; ask again. If it stays, find out who writes there.",
    )


def _proven(settings: Settings, use_case: str, customer: str) -> Erasure | None:
    """Return the newest proof of a customer's erasure; none before the first."""
    bucket, request = Bucket.open(settings, "ledger"), erasure_request(customer)
    for entry in reversed(Ledger.open(settings, use_case).entries):
        if entry.action == "erase" and entry.record and entry.request in (request, None):
            found = named(bucket, use_case, entry.record)
            if found.customer == customer:
                return found
    return None


def _wrapped(settings: Settings, use_case: str, names: tuple[str, ...], units: tuple[str, ...]) -> frozenset[str]:
    """Return a customer's keys as they are stored: those of the ring, and what the server was given."""
    return KeyRing.open(settings, use_case).wrapped(names) | Shares.open(settings).held(use_case, units)


def _can_overwrite(settings: Settings) -> bool:
    return settings.store_admin is not None and settings.s3_endpoint is not None


def _units(settings: Settings, order: Order) -> tuple[str, ...]:
    """Return the pseudonyms under which serving may know the customer."""
    key = read_key(settings)
    return tuple(pseudonym(key, SUBJECT, one) for one in spellings(order.customer))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _touched(settings: Settings, use_case: str, sealing: list[bytes]) -> Iterator[Touched]:
    """Yield the versions whose run ingested rows under the customer's keys, and those of which nobody can tell."""
    view, raw = Ledger.open(settings, use_case), Bucket.open(settings, "raw")
    live = {name: found.digest for name in view.channels if (found := view.live(name))}
    look = cache(lambda ingested: _tokens(raw, ingested))
    for digest in sorted(Shelf.open(settings, use_case).versions()):
        tokens = look(_ingested(settings, use_case, digest))
        if tokens is None or not tokens.isdisjoint(sealing):
            channels = tuple(sorted(name for name, other in live.items() if other == digest))
            yield Touched(digest=digest, channels=channels, is_certain=tokens is not None)


def _ingested(settings: Settings, use_case: str, digest: str) -> str | None:
    """Return the DVC hash of the data that a version's run ingested; none where its record does not hold."""
    try:
        found = fetch_record(settings, use_case, digest).payload["data"].get(f"data/{use_case}/ingest")
    except (IntegrityBroken, ModelNotFound):
        return None
    return None if found is None else str(found)


def _tokens(raw: Bucket, ingested: str | None) -> frozenset[bytes] | None:
    """Return whose keys sealed what was ingested; none where it is no longer stored as it was: nobody can tell then.

    A folder lies in a DVC remote as a list of its files, each file under its own hash.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        listed = _stored(raw, ingested) if ingested else None
        files = read_listing(listed, str(ingested)) if listed else {}
        data = _stored(raw, files["subjects.parquet"]) if "subjects.parquet" in files else None
        return frozenset(pq.read_table(BytesIO(data))["token"].to_pylist()) if data else None
    except (IntegrityBroken, KeyError, OSError, pa.ArrowInvalid):
        return None


def _stored(raw: Bucket, md5: str) -> bytes | None:
    """Return what lies under a hash; none where nothing does, or something else."""
    data = raw.find(_place(md5))
    is_it = data is not None and hashlib.md5(data, usedforsecurity=False).hexdigest() == md5.removesuffix(".dir")
    return data if is_it else None


def _place(md5: str) -> str:
    return f"dvc/files/md5/{md5[:2]}/{md5[2:]}"


def _plan_key(use_case: str, customer: str) -> str:
    return f"{use_case}/erasures/{customer}.json"
