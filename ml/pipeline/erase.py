"""Erases a customer: destroys the key of all their stored values, forgets them in serving, and proves it.

Acts on the world. What is to be done is frozen before anything is destroyed, and every step can be repeated, so an
erasure that was killed anywhere is completed by asking for it again.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from io import BytesIO

from ml.config import Settings
from ml.contract import SUBJECT
from ml.errors import ConfigInvalid, IntegrityBroken, ModelNotFound, PromotionConflict
from ml.files import canonical, sha256
from ml.packaging.signing import Signer
from ml.pipeline.freeze import erasures_key
from ml.privacy.key_ring import KeyRing
from ml.privacy.pseudonym import pseudonym, read_key
from ml.registry.entry import Move
from ml.registry.erasure import Erasure, Policy, Touched, keep
from ml.registry.fetch import fetch_record
from ml.registry.ledger import Ledger, tell
from ml.registry.shelf import Shelf
from ml.serving.forget import forget
from ml.store import Bucket

TRIES = 5  # against others who write the list at the same time

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


@dataclass(frozen=True, kw_only=True)
class Erased:
    """What came of it."""

    erasure: Erasure
    is_new: bool
    """False where the customer was erased before: then nothing was done."""


def plan(settings: Settings, use_case: str, order: Order) -> Erasure:
    """Return what an erasure would do, or what one that was begun is to complete.

    Args:
        settings: Role `custodian`, with the master key.
        use_case: Name of the use case.
        order: What is asked for.

    Raises:
        ModelNotFound: There are no data of this customer.
        ConfigInvalid: Versions shall be kept, and no reason is given.
    """
    if order.policy == "keep" and not order.because:
        raise ConfigInvalid("a reason to keep versions trained on the customer", "none", "Give it with --because.")
    ring = KeyRing.open(settings, use_case)
    name = ring.name(order.customer)
    begun = Bucket.open(settings, "keys").find(_plan_key(use_case, name))
    if begun is not None:
        return Erasure.from_json(begun)
    if not ring.holds(name):
        raise ModelNotFound(f"data of this customer in {use_case}", "none", "Check the name; it is the shop's own.")
    return Erasure(
        use_case=use_case,
        customer=name,
        key_ring=ring.id,
        versions=tuple(_touched(settings, use_case, ring.key(name).token)),
        policy=order.policy,
        because=order.because,
        who=order.who,
        when=datetime.now(UTC).isoformat(timespec="milliseconds"),
        why=order.why,
    )


def erase(settings: Settings, use_case: str, order: Order) -> Erased:
    """Erase a customer from one use case; asked again, it completes what was begun.

    Args:
        settings: Role `custodian`, with master, pseudonym and signing key.
        use_case: Name of the use case.
        order: What is asked for.

    Raises:
        ModelNotFound: There are no data of this customer.
        StorageUnavailable: The store did not answer; ask again.
    """
    erasure, signer = plan(settings, use_case, order), Signer.open(settings)
    proof = erasure.sealed(signer)
    if any(entry.record == sha256(proof) for entry in Ledger.open(settings, use_case).entries):
        return Erased(erasure=erasure, is_new=False)
    unit = pseudonym(read_key(settings), SUBJECT, order.customer)
    Bucket.open(settings, "keys").create(_plan_key(use_case, erasure.customer), canonical(asdict(erasure)))
    _list(Bucket.open(settings, "runs"), erasures_key(use_case), erasure.customer)
    KeyRing.open(settings, use_case).destroy(erasure.customer)
    forget(settings, use_case, unit)
    told = keep(Bucket.open(settings, "ledger"), use_case, proof)
    move = Move(channel="privacy", action="erase", digest=None, who=erasure.who, why=erasure.why, record=told)
    tell(settings, use_case, move)
    log.info("customer erased use_case=%s versions=%d", use_case, len(erasure.versions))
    return Erased(erasure=erasure, is_new=True)


def _touched(settings: Settings, use_case: str, token: bytes) -> Iterator[Touched]:
    """Yield the versions whose run ingested rows under the customer's key, and those of which nobody can tell."""
    view, raw = Ledger.open(settings, use_case), Bucket.open(settings, "raw")
    live = {name: found.digest for name in view.channels if (found := view.live(name))}
    look = cache(lambda ingested: _tokens(raw, ingested))
    for digest in sorted(Shelf.open(settings, use_case).versions()):
        tokens = look(_ingested(settings, use_case, digest))
        if tokens is None or token in tokens:
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
    """Return whose keys sealed what was ingested; none where it is no longer stored.

    A folder lies in a DVC remote as a list of its files, each file under its own hash.
    """
    import pyarrow.parquet as pq

    listed = raw.find(_place(ingested)) if ingested else None
    files = {one["relpath"]: one["md5"] for one in json.loads(listed)} if listed else {}
    data = raw.find(_place(files["subjects.parquet"])) if "subjects.parquet" in files else None
    return frozenset(pq.read_table(BytesIO(data))["token"].to_pylist()) if data else None


def _place(md5: str) -> str:
    return f"dvc/files/md5/{md5[:2]}/{md5[2:]}"


def _list(runs: Bucket, key: str, customer: str) -> None:
    """Add a customer to the list that runs freeze; from then on new runs leave their rows out."""
    for _ in range(TRIES):
        found = runs.tagged(key)
        names = set(json.loads(found[0])) if found else set()
        data = canonical(sorted({*names, customer}))
        try:
            if found is None:
                runs.create(key, data)
            elif customer not in names:
                runs.replace(key, data, found[1])
        except PromotionConflict:
            continue
        return
    raise PromotionConflict(f"{key} to be ours to write", "others who wrote first", "Ask again.")


def _plan_key(use_case: str, customer: str) -> str:
    return f"{use_case}/erasures/{customer}.json"
