"""Removes outputs in the DVC remotes that no kept run and no version names.

A list of a folder goes before its files, so that whoever finds the list finds the files. Objects of the last days stay, whatever
names them; what a stage pushes meanwhile is safe by `ml.pipeline.removal`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import yaml

from ml.config import BucketName, Settings
from ml.errors import IntegrityBroken, ModelNotFound
from ml.maintenance.outcome import Outcome
from ml.maintenance.survey import RUN_FILE, RunId, Survey, survey
from ml.pipeline import FILE_STAGES, ROLES, handover, outputs, removal
from ml.pipeline.listing import LISTING_LIMIT_BYTES, read_listing
from ml.store import Bucket, Stored

SAFE_AGE = timedelta(days=7)
"""No object younger than this is removed: longer than a stage takes from its first push to its hand-over."""
REMOTES: tuple[BucketName, ...] = ("raw", "work")
OBJECT = re.compile(re.escape(outputs.PREFIX) + r"/([0-9a-f]{2})/([0-9a-f]{30}(?:\.dir)?)", re.ASCII)
HASH = re.compile(r"[0-9a-f]{32}(?:\.dir)?", re.ASCII)
RESTORE = "Restore it from a copy; no object of this bucket is removed until then, or until the run is no longer kept."

LOST = "Versions still answer; restore a copy to rebuild, tune or decrypt them."


@dataclass(kw_only=True)
class Named:
    """Which outputs of a remote are still needed."""

    hashes: set[str] = field(default_factory=set)
    doubts: list[str] = field(default_factory=list)
    """Why nobody can tell: then nothing of the remote is removed."""


def run(settings: Settings, now: datetime, *, is_trial: bool) -> Outcome:
    """Remove old objects that nothing kept names.

    Args:
        settings: Role `retention`.
        now: UTC.
        is_trial: Tell what would go, and remove nothing.

    Raises:
        IntegrityBroken: A ledger or a version's record does not hold; nothing was removed.
    """
    planned = _plan(settings, now)
    if is_trial or not any(planned.spare.values()):
        return planned.told()
    with removal.announced(settings) as end:
        planned = _plan(settings, now)  # hand-overs that were left before the announcement are all seen now
        for remote, spare in planned.spare.items():
            bucket = Bucket.open(settings, remote)
            for number, one in enumerate(spare):
                if datetime.now(UTC) > end:
                    planned.spare[remote] = spare[:number]
                    planned.outcome.notes.append(f"{len(spare) - number} more objects in {remote} go next time")
                    break
                bucket.delete(one.key)
    return planned.told()


@dataclass(kw_only=True)
class _Plan:
    outcome: Outcome
    spare: dict[BucketName, list[Stored]]

    def told(self) -> Outcome:
        for remote, spare in self.spare.items():
            self.outcome.count(f"outputs in {remote}", (one.size for one in spare))
        return self.outcome


def _plan(settings: Settings, now: datetime) -> _Plan:
    """Return what may go: read anew each time."""
    known, done = survey(settings, now), Outcome(step="objects")
    named = _named(settings, known)
    stored = {remote: dict(_stored(Bucket.open(settings, remote))) for remote in REMOTES}
    spare: dict[BucketName, list[Stored]] = {}
    for remote in REMOTES:
        needed = set(_closed(Bucket.open(settings, remote), stored[remote], named[remote].hashes, now, done))
        done.notes.append(f"{len(needed)} of {len(stored[remote])} objects in {remote} are needed or young")
        done.faults += [one for one in named[remote].doubts if one not in done.faults]
        free = [] if named[remote].doubts else [one for md5, one in stored[remote].items() if md5 not in needed]
        spare[remote] = sorted(free, key=lambda one: not one.key.endswith(outputs.FOLDER))
    folders = {one for remote in REMOTES for one in named[remote].hashes if one.endswith(outputs.FOLDER)}
    if lost := folders - stored["raw"].keys() - stored["work"].keys():
        done.warnings.append(f"{len(lost)} outputs that kept runs or versions name are missing. {LOST}")
    return _Plan(outcome=done, spare=spare)


def _stored(bucket: Bucket) -> Iterator[tuple[str, Stored]]:
    for one in bucket.listed(f"{outputs.PREFIX}/"):
        if name := OBJECT.fullmatch(one.key):
            yield name[1] + name[2], one


def _closed(bucket: Bucket, stored: dict[str, Stored], hashes: set[str], now: datetime, done: Outcome) -> Iterator[str]:
    """Yield what stays: what is named, what is young, and the files of every folder among them."""
    for md5, one in stored.items():
        is_named = md5 in hashes
        if not is_named and now - one.modified > SAFE_AGE:
            continue
        yield md5
        if md5.endswith(outputs.FOLDER):
            try:
                yield from _files(bucket, md5)
            except IntegrityBroken as error:
                if is_named:
                    done.warnings.append(
                        f"s3://{bucket.name}/{one.key} does not hold what its name says: {error.action}"
                    )


def _files(bucket: Bucket, md5: str) -> Iterable[str]:
    """Return the files of a folder, by its list."""
    key = outputs.object_key(md5)
    try:
        data = bucket.get(key, LISTING_LIMIT_BYTES)
    except ModelNotFound:
        return ()
    if hashlib.md5(data, usedforsecurity=False).hexdigest() != md5.removesuffix(outputs.FOLDER):
        raise IntegrityBroken(f"a list whose MD5 is {md5}", "another", "Restore it from a copy, or start a new run.")
    return read_listing(data, key).values()


def _named(settings: Settings, known: Survey) -> dict[BucketName, Named]:
    """Return the outputs that versions and kept runs name.

    What trains or judges pushes to `work` alone, so its statements say nothing about `raw`.
    """
    named = {remote: Named() for remote in REMOTES}
    for locks in known.locks.values():
        for lock in locks:
            stages = (yaml.safe_load(lock["lock"]) or {}).get("stages", {}).values()
            hashes = {
                str(out.get("md5")) for stage in stages for out in (*stage.get("outs", ()), *stage.get("deps", ()))
            }
            for remote in REMOTES:
                named[remote].hashes |= {one for one in hashes if HASH.fullmatch(one)}
    for run_id, stage in sorted(_statements(settings, known)):
        remotes: tuple[BucketName, ...] = REMOTES if handover.PLACES[ROLES[stage]] == "runs" else ("work",)
        try:
            made = handover.find(settings, *run_id, stage)
        except IntegrityBroken as error:
            for remote in remotes:
                named[remote].doubts.append(f"{error.expected}: {error.received}. {RESTORE}")
            continue
        for remote in remotes:
            named[remote].hashes |= {out.md5 for out in made.part.outs} if made else set()
    return named


def _statements(settings: Settings, known: Survey) -> Iterator[tuple[RunId, str]]:
    """Yield the hand-overs that there are of kept runs."""
    for bucket in ("runs", "work"):
        for one in Bucket.open(settings, bucket).listed():
            name = RUN_FILE.fullmatch(one.key)
            if name is None or name["stage"] not in FILE_STAGES:
                continue
            is_place = handover.PLACES[ROLES[name["stage"]]] == bucket
            if is_place and (run_id := RunId(name["use_case"], name["run"])) in known.kept:
                yield run_id, name["stage"]
