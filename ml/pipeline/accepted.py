"""The profiles of data that were accepted: kept by digest, listed in order, frozen into later runs' inputs by digest.

`<use case>/accepted.json` in the `runs` bucket lists them; one run of a use case writes at a time (`max_active_runs`).
"""

from __future__ import annotations

import json
from typing import TypeAlias

from ml.files import canonical, sha256
from ml.store import Bucket

Accepted: TypeAlias = dict[str, str]
"""`run_id` and `digest` of its profile."""

KEPT = 20  # accepted runs that thresholds are learned from


def profile_path(digest: str) -> str:
    """Return where a workspace holds a profile."""
    return f"profiles/{digest.removeprefix('sha256:')}.json"


def profile_key(use_case: str, digest: str) -> str:
    """Return the key in the `runs` bucket of a profile."""
    return f"{use_case}/{profile_path(digest)}"


def accepted_runs(runs: Bucket, use_case: str) -> list[Accepted]:
    """Return the last accepted runs with different data, oldest first."""
    found = runs.find(_list_key(use_case))
    listed: list[Accepted] = json.loads(found) if found else []
    return listed


def accept(runs: Bucket, use_case: str, run_id: str, profile: bytes) -> None:
    """Keep a profile and list it last; one that equals the last teaches nothing new and is not listed again."""
    known, digest = accepted_runs(runs, use_case), sha256(profile)
    if known and known[-1]["digest"] == digest:
        return
    runs.put(profile_key(use_case, digest), profile, "application/json")
    others = [one for one in known if one["run_id"] != run_id]
    runs.put(_list_key(use_case), canonical([*others, {"run_id": run_id, "digest": digest}][-KEPT:]))


def _list_key(use_case: str) -> str:
    return f"{use_case}/accepted.json"
