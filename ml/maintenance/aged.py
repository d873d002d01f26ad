"""Removes reports, extracts of quarantined rows, and lines of the request log by age."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date, datetime, timedelta

from ml.config import Settings
from ml.maintenance.outcome import Outcome
from ml.maintenance.survey import USE_CASE, RunId, survey
from ml.pipeline import STAGES, is_run_id
from ml.serving.request_log import KINDS
from ml.store import Bucket, Stored

OF_RUN = re.compile(USE_CASE + rf"/(?P<run>[^/]+)/(?P<stage>{'|'.join(STAGES)})/(?P<path>.+)", re.ASCII)
OTHERS = re.compile(
    rf"{USE_CASE}/(?:monitor/\d{{4}}-\d\d-\d\d/.+|notified/[0-9a-f]{{64}}\.json|bandit/\d{{4}}-\d\d-\d\d\.json)"
    r"|maintenance/\d{4}-\d\d-\d\d/.+",
    re.ASCII,
)
LOGGED = re.compile(rf"(?:{'|'.join(KINDS)})/[^/]+/(?P<day>\d{{4}}-\d\d-\d\d)/[^/]+\.jsonl", re.ASCII)
VERDICT = "verdict.json"
"""Never removed: entries of the ledger name some of them, `trace` and the console read all of them, and they are small."""
QUARANTINE = ("quarantine.json", "row_marks.json")
"""What `validate` reports of single rows."""


def reports(settings: Settings, now: datetime, *, is_trial: bool) -> Outcome:
    """Remove old reports of runs that are not kept, and old extracts of quarantined rows of all but open runs.

    Args:
        settings: Role `retention`.
        now: UTC.
        is_trial: Tell what would go, and remove nothing.

    Raises:
        IntegrityBroken: A ledger or a version's record does not hold; nothing was removed.
    """
    known, bucket, done = survey(settings, now), Bucket.open(settings, "reports"), Outcome(step="reports")
    old, rows = (now - timedelta(days=days) for days in (settings.keep_report_days, settings.keep_quarantine_days))
    spare: dict[str, list[Stored]] = {"reports": [], "extracts of quarantined rows": []}
    for one in bucket.listed():
        name = OF_RUN.fullmatch(one.key)
        if name is None or not is_run_id(name["run"]):
            if OTHERS.fullmatch(one.key) and one.modified < old:
                spare["reports"].append(one)
            continue
        run = RunId(name["use_case"], name["run"])
        if name["stage"] == "validate" and name["path"] in QUARANTINE:
            if run not in known.open and one.modified < rows:
                spare["extracts of quarantined rows"].append(one)
        elif name["path"] != VERDICT and run not in known.kept and one.modified < old:
            spare["reports"].append(one)
    return _removed(done, bucket, spare, is_trial=is_trial)


def requests(settings: Settings, now: datetime, *, is_trial: bool) -> Outcome:
    """Remove the request log of days that are over; arguments as of `reports`.

    The day is the one in the name: a restored copy is not younger than what it holds.
    """
    last, bucket = now.date() - timedelta(days=settings.keep_request_days), Bucket.open(settings, "requests")
    spare = [
        one
        for one in bucket.listed()
        if (name := LOGGED.fullmatch(one.key)) and (day := _day(name["day"])) is not None and day < last
    ]
    return _removed(Outcome(step="requests"), bucket, {"files of the request log": spare}, is_trial=is_trial)


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _removed(done: Outcome, bucket: Bucket, spare: dict[str, list[Stored]], *, is_trial: bool) -> Outcome:
    for kind, objects in spare.items():
        _remove(bucket, () if is_trial else objects)
        done.count(kind, (one.size for one in objects))
    return done


def _remove(bucket: Bucket, objects: Iterable[Stored]) -> None:
    for one in objects:
        bucket.delete(one.key)
