"""Finds out which runs are still needed, and what a run, a version or a decision may still be asked for.

Age is that of a run's objects in the `runs` bucket alone, which neither training nor judging may write. What only lengthens
retention is believed as it stands; what would shorten it counts only with the signature of the role that makes it.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import NamedTuple

from ml.config import Settings
from ml.contract import JsonObject
from ml.errors import ModelNotFound
from ml.pipeline import is_run_id
from ml.pipeline.decision import in_force
from ml.pipeline.frozen import INPUTS
from ml.registry.entry import ANSWERS, Entry
from ml.registry.fetch import fetch_locks
from ml.registry.ledger import Ledger
from ml.registry.shelf import Shelf
from ml.store import Bucket, Stored

USE_CASE = r"(?P<use_case>[a-z][a-z0-9_-]{0,63})"
RUN_FILE = re.compile(
    USE_CASE + r"/(?P<run>[^/]+)/(?:frozen\.json|inputs\.json|params\.yaml|dvc\.yaml|dvc\.lock|judgement\.dsse\.json|"
    r"handover/(?P<stage>[a-z]+)\.json)",
    re.ASCII,
)
NO_USE_CASES = frozenset({"learned", "maintenance", "channels", "checkpoints", "erasures"})
"""First parts of keys in `runs` and `ledger` that belong to no use case."""


class RunId(NamedTuple):
    """A run of a use case."""

    use_case: str
    run_id: str


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What is stored of runs, and which of them stay."""

    found: Mapping[RunId, tuple[Stored, ...]]
    """Objects of every run in the `runs` bucket."""
    kept: frozenset[RunId]
    open: frozenset[RunId]
    """Those of them that wait for a person, or whose decision is in force."""
    locks: Mapping[str, tuple[JsonObject, ...]]
    """Each use case's versions: `inputs` and the text of `lock` of every run that made one."""


def use_cases(*buckets: Bucket) -> list[str]:
    """Return the use cases that something is stored of, installed or not, in order."""
    known = {one for bucket in buckets for one in bucket.folders()}
    return sorted(one for one in known if re.fullmatch(USE_CASE, one) and one not in NO_USE_CASES)


def survey(settings: Settings, now: datetime) -> Survey:
    """Look at all runs, ledgers and versions.

    Args:
        settings: A role that may read `runs`, `models` and `ledger`.
        now: UTC.

    Raises:
        IntegrityBroken: A ledger or a version's record does not hold: nobody can tell what is needed.
    """
    runs = Bucket.open(settings, "runs")
    found = grouped(runs.listed())
    kept: set[RunId] = set()
    waiting: set[RunId] = set()
    locks: dict[str, tuple[JsonObject, ...]] = {}
    since = now - timedelta(days=settings.keep_run_days)
    for name in use_cases(runs, Bucket.open(settings, "models"), Bucket.open(settings, "ledger")):
        view = Ledger.open(settings, name)
        locks[name] = tuple(_locks(settings, name))
        asked = set(_open(view.entries, since, now.date()))
        waiting |= {RunId(name, one) for one in asked}
        needed = asked | _named(view, since)
        needed |= {str(one["inputs"].get("run_id")) for one in locks[name]}
        written = {one.run_id: _written(files) for one, files in found.items() if one.use_case == name}
        needed |= set(_recent(written, settings.keep_runs, since))
        kept |= {RunId(name, one) for one in needed}
    return Survey(found=found, kept=frozenset(kept), open=frozenset(waiting), locks=locks)


def grouped(objects: Iterable[Stored]) -> dict[RunId, tuple[Stored, ...]]:
    """Return the objects of each run; what is none of a run's files is left out."""
    found: dict[RunId, list[Stored]] = defaultdict(list)
    for one in objects:
        if (name := RUN_FILE.fullmatch(one.key)) and is_run_id(name["run"]):
            found[RunId(name["use_case"], name["run"])].append(one)
    return {run: tuple(files) for run, files in found.items()}


def _written(files: Iterable[Stored]) -> datetime:
    return max(one.modified for one in files)


def _recent(written: Mapping[str, datetime], newest: int, since: datetime) -> list[str]:
    """Return the runs that are young, and the newest ones."""
    ordered = sorted(written, key=lambda run: written[run], reverse=True)
    return [run for place, run in enumerate(ordered) if place < newest or written[run] >= since]


def _named(view: Ledger, since: datetime) -> set[str]:
    """Return the runs that an entry of the kept days names, and those whose versions are live."""
    recent = {entry.run_id for entry in view.entries if datetime.fromisoformat(entry.when) >= since}
    live = {found.run_id for name in view.channels if (found := view.live(name))}
    live |= {view.run_of(found.digest) for name in view.channels if (found := view.live(name))}
    return {run for run in recent | live if run is not None}


def _open(entries: Sequence[Entry], since: datetime, today: date) -> Iterator[str]:
    """Yield the runs whose question nobody has answered yet, and those of decisions that are in force."""
    asked: set[str | None] = set()
    for entry in entries:
        if entry.action == "ask" and datetime.fromisoformat(entry.when) >= since:
            asked.add(entry.run_id)
        elif entry.action in (*ANSWERS, "promote"):
            asked.discard(entry.run_id)
    decided = {entries[one["entry"] - 1].run_id for one in in_force(entries, today)}
    yield from (run for run in asked | decided if run is not None)


def _locks(settings: Settings, use_case: str) -> Iterator[JsonObject]:
    shelf = Shelf.open(settings, use_case)
    for digest in sorted(shelf.versions()):
        if not shelf.holds(digest):
            continue  # a collection that was killed removed its name
        try:
            for files in fetch_locks(settings, use_case, digest):
                yield {"version": digest, "inputs": json.loads(files[INPUTS]), "lock": files["dvc.lock"].decode()}
        except ModelNotFound:
            if shelf.holds(digest):
                raise
