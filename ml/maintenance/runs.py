"""Removes what old runs are frozen on and handed over, and old accepted profiles."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from ml.config import Settings
from ml.errors import IntegrityBroken
from ml.maintenance.outcome import Outcome
from ml.maintenance.survey import USE_CASE, Survey, grouped, survey
from ml.pipeline import frozen
from ml.pipeline.accepted import accepted_runs, profile_key
from ml.store import Bucket, Stored

PROFILE = re.compile(USE_CASE + r"/profiles/[0-9a-f]{64}\.json", re.ASCII)


def run(settings: Settings, now: datetime, *, is_trial: bool) -> Outcome:
    """Remove every run that no retention keeps, and profiles that no list and no kept run names.

    Args:
        settings: Role `retention`.
        now: UTC.
        is_trial: Tell what would go, and remove nothing.

    Raises:
        IntegrityBroken: A ledger, a version's record or a kept run does not hold; nothing was removed.
    """
    known, since, done = survey(settings, now), now - timedelta(days=settings.keep_run_days), Outcome(step="runs")
    runs, work = Bucket.open(settings, "runs"), Bucket.open(settings, "work")
    handed = grouped(work.listed())
    profiles = list(_profiles(settings, known, runs, since))
    old = sorted({*known.found, *handed} - known.kept)
    gone = [one for one in old if all(_is_old(files.get(one, ()), since) for files in (known.found, handed))]
    for one in gone:
        _remove(work, handed.get(one, ()), is_trial=is_trial)
        _remove(runs, known.found.get(one, ()), is_trial=is_trial)
    _remove(runs, profiles, is_trial=is_trial)
    done.count(
        "runs: frozen files and hand-overs", (_size((*known.found.get(one, ()), *handed.get(one, ()))) for one in gone)
    )
    done.count("accepted profiles", (one.size for one in profiles))
    done.notes.append(f"{len(known.kept & known.found.keys())} runs stay")
    return done


def _is_old(files: Iterable[Stored], since: datetime) -> bool:
    return all(one.modified < since for one in files)


def _size(files: Iterable[Stored]) -> int:
    return sum(one.size for one in files)


def _remove(bucket: Bucket, files: Iterable[Stored], *, is_trial: bool) -> None:
    """Remove objects, what a run is frozen on last: a removal that was killed is found again by it."""
    for one in sorted(files, key=lambda file: file.key.endswith(f"/{frozen.STATEMENT}")):
        if not is_trial:
            bucket.delete(one.key)


def _profiles(settings: Settings, known: Survey, runs: Bucket, since: datetime) -> Iterator[Stored]:
    """Yield old profiles of use cases, without those that the newest runs, kept runs or versions compare with."""
    named = {
        profile_key(use_case, one["digest"])
        for use_case in known.locks
        for one in (
            *accepted_runs(settings, use_case),
            *(item for lock in known.locks[use_case] for item in lock["inputs"].get("accepted", ())),
        )
    }
    for kept in known.kept & known.found.keys():
        named |= {profile_key(kept.use_case, item["digest"]) for item in _accepted(settings, *kept)}
    for one in runs.listed():
        if PROFILE.fullmatch(one.key) and one.key not in named and one.modified < since:
            yield one


def _accepted(settings: Settings, use_case: str, run_id: str) -> list[dict[str, str]]:
    """Return the profiles that a kept run was frozen on; one that earlier code froze has no signature, and ended long ago."""
    if not frozen.exists(settings, use_case, run_id):
        return []
    try:
        return list(frozen.inputs(settings, use_case, run_id).get("accepted", ()))
    except IntegrityBroken as error:
        raise IntegrityBroken(
            f"what the kept run {run_id} of {use_case} is frozen on",
            error.received,
            "Find out who wrote it, and delete it; until then no run is removed.",
        ) from error
