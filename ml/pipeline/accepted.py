"""The profiles of data that were accepted: kept by digest, listed in order, frozen into later runs' inputs by digest.

`<use case>/accepted.json` in the `runs` bucket lists them, signed by the role that validates.
One run of a use case writes at a time (`max_active_runs`).
"""

from __future__ import annotations

import logging
from typing import TypeAlias

from ml.config import Settings
from ml.contract import JsonObject
from ml.errors import IntegrityBroken
from ml.files import sha256
from ml.pipeline import vouch
from ml.pipeline.place import profile_path
from ml.store import Bucket

Accepted: TypeAlias = dict[str, str]
"""`run_id` and `digest` of its profile."""

KIND = "application/vnd.tradewind.accepted-runs+json"
SCHEMA = "tradewind/accepted-runs/1"
AGAIN = "Delete it as who administers the store; thresholds are then learned anew."
KEPT = 20  # accepted runs that thresholds are learned from

log = logging.getLogger(__name__)


def profile_key(use_case: str, digest: str) -> str:
    """Return the key in the `runs` bucket of a profile."""
    return f"{use_case}/{profile_path(digest)}"


def fetch_profile(runs: Bucket, use_case: str, digest: str) -> bytes:
    """Return a kept profile.

    Raises:
        ModelNotFound: There is none.
        IntegrityBroken: Its bytes do not bear its digest.
    """
    data = runs.get(profile_key(use_case, digest), vouch.STATEMENT_LIMIT_BYTES)
    if sha256(data) != digest:
        raise IntegrityBroken(f"the accepted profile {digest}", sha256(data), "Somebody wrote over it. " + AGAIN)
    return data


def accepted_runs(settings: Settings, use_case: str) -> list[Accepted]:
    """Return the last accepted runs with different data, oldest first.

    A list that nobody signed, as earlier versions left it, tells nothing: thresholds are learned anew.

    Raises:
        IntegrityBroken: It is signed, and not by the role that validates, or for another use case.
    """
    found = Bucket.open(settings, "runs").find(_list_key(use_case), vouch.STATEMENT_LIMIT_BYTES)
    if found is None:
        return []
    if found.lstrip()[:1] == b"[":
        log.warning(
            "accepted runs ignored use_case=%s: their list is not signed, thresholds are learned anew", use_case
        )
        return []
    try:
        listed: list[Accepted] = vouch.verify(settings, "ingest", KIND, found, _about(use_case))["runs"]
    except IntegrityBroken as error:
        raise IntegrityBroken(f"{_list_key(use_case)}: {error.expected}", error.received, AGAIN) from error
    return listed


def accept(settings: Settings, use_case: str, run_id: str, profile: bytes) -> None:
    """Keep a profile and list it last; one that equals the last teaches nothing new and is not listed again."""
    known, digest, runs = accepted_runs(settings, use_case), sha256(profile), Bucket.open(settings, "runs")
    if known and known[-1]["digest"] == digest:
        return
    runs.put(profile_key(use_case, digest), profile, "application/json")
    others = [one for one in known if one["run_id"] != run_id]
    listed = {**_about(use_case), "runs": [*others, {"run_id": run_id, "digest": digest}][-KEPT:]}
    runs.put(_list_key(use_case), vouch.sign(settings, "ingest", KIND, listed), "application/json")


def sign_again(old: Settings, new: Settings, use_case: str) -> int:
    """Sign the list with a new key that the old one signed, or else thresholds would be learned anew; return its length.

    Args:
        old: Role `ingest`, trusting the old key.
        new: The same, with the new key.
        use_case: Name of the use case.

    Raises:
        IntegrityBroken: The old key did not sign it.
    """
    if known := accepted_runs(old, use_case):
        listed = vouch.sign(new, "ingest", KIND, {**_about(use_case), "runs": known})
        Bucket.open(new, "runs").put(_list_key(use_case), listed, "application/json")
    return len(known)


def _about(use_case: str) -> JsonObject:
    return {"schema": SCHEMA, "use_case": use_case}


def _list_key(use_case: str) -> str:
    return f"{use_case}/accepted.json"
