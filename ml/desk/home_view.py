"""What home shows of the object store: read by one thread, at most every few seconds, and nobody waits long for it.

A store that is slow or away must not take home away with it, where people look first: after `WAIT_SECONDS` they get what was
read last, with its time, and what Airflow knows.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Lock

from ml.config import Settings
from ml.contract import JsonObject
from ml.desk.decide_view import is_undecided
from ml.desk.document import judgement
from ml.desk.live_view import Now, look
from ml.desk.run_list import last_runs
from ml.errors import ModelNotFound, StorageUnavailable, TradewindError
from ml.store import Bucket
from ml.use_cases import NAMES

FRESH = timedelta(seconds=3)
"""For how long what was read is shown again without a look."""
WAIT_SECONDS = 4.0
MONITORED_DAYS = 60  # before which no monitoring result is looked for

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Monitored:
    """What monitoring said last."""

    day: str
    report: JsonObject

    @property
    def page(self) -> str:
        """Return where its page lies among the reports of a use case."""
        return f"monitor/{self.day}/report.html"


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What the store holds about one use case."""

    now: Now
    monitored: Monitored | None = None
    candidate: str | None = None
    """A version on the channel `candidate`, or the newest run whose candidate a gate judged and that is not live."""
    undecided: str | None = None
    """The newest run, where its data were refused and nobody has said a word about it."""


@dataclass(frozen=True, kw_only=True)
class Glance:
    """What was read of all use cases, and when."""

    seen: Mapping[str, Seen]
    at: datetime


class Home:
    """Keeps what was read last, and reads again when it is asked for and old."""

    def __init__(self, read: Callable[[], Mapping[str, Seen]]) -> None:
        self._read = read
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="desk-home")
        self._lock = Lock()
        self._last: Glance | None = None
        self._reading: Future[Glance] | None = None

    def glance(self) -> tuple[Glance | None, bool]:
        """Return what is known, none before the first answer, and whether it is as of now."""
        with self._lock:
            if self._last and datetime.now(UTC) - self._last.at < FRESH:
                return self._last, True
            if self._reading is None or self._reading.done():
                self._reading = self._pool.submit(self._look)
            reading = self._reading
        done, _ = wait([reading], WAIT_SECONDS)
        if not done:
            return self._last, False
        try:
            self._last = reading.result()
        except StorageUnavailable as error:
            log.warning("store did not answer for home reason=%s", error.received)
            return self._last, False
        return self._last, True

    def _look(self) -> Glance:
        return Glance(seen=self._read(), at=datetime.now(UTC))


def read_all(settings: Settings) -> dict[str, Seen]:
    """Return what the store holds about every use case; raise `StorageUnavailable` at the first call that it does not answer."""
    seen: dict[str, Seen] = {}
    for name in NAMES:
        try:
            seen[name] = see(settings, name)
        except StorageUnavailable:
            raise
        except TradewindError as error:
            seen[name] = Seen(now=Now(problem=str(error)))
    return seen


def see(settings: Settings, use_case: str) -> Seen:
    """Return what the store holds about one use case; raise `StorageUnavailable` where it does not answer."""
    now, newest = look(settings, use_case), next(iter(last_runs(use_case, 1)), None)
    run = newest.storage_id if newest else None
    return Seen(
        now=now,
        monitored=_monitored(settings, use_case),
        candidate=now.waits.digest if now.waits else _candidate(settings, use_case, now, run),
        undecided=run if run and is_undecided(settings, use_case, run, now.history) else None,
    )


def _candidate(settings: Settings, use_case: str, now: Now, run: str | None) -> str | None:
    """Return a run whose gate judged what the ledger says nothing of and what is no copy of the live version."""
    if run is None or now.live is None or any(entry.run_id == run and entry.to_digest for entry in now.history):
        return None
    try:
        judged = judgement(settings, use_case, run, "evaluate")
    except ModelNotFound:
        return None
    is_live = any(rule["name"] == "already_live" for rule in judged.verdict["rules"])
    return run if judged.metrics is not None and not is_live else None


def _monitored(settings: Settings, use_case: str) -> Monitored | None:
    bucket, prefix = Bucket.open(settings, "reports"), f"{use_case}/monitor/"
    first = f"{prefix}{datetime.now(UTC).date() - timedelta(days=MONITORED_DAYS)}"
    days = sorted({key.split("/")[2] for key in bucket.keys(prefix, after=first)})
    found = bucket.find(f"{prefix}{days[-1]}/report.json") if days else None
    return Monitored(day=days[-1], report=json.loads(found)) if found else None
