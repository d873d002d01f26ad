"""Keeps a stage and the removal of old outputs from harming each other.

An output that equals an older one is not pushed again, so its objects can be old while no hand-over names them yet. A sweep
therefore announces itself before it reads hand-overs, and a stage looks for announcements after it left its hand-over: what
a sweep may have missed, the stage puts back. Announcements lie in the `runs` bucket, `maintenance/sweeps/<id>.json`.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeAlias

from ml.config import Settings
from ml.pipeline import outputs
from ml.store import Bucket

PREFIX = "maintenance/sweeps/"
UNDER_WAY, ENDED = b'{"state":"under way"}', b'{"state":"ended"}'
LIMIT = timedelta(minutes=10)
"""A sweep removes nothing after it."""
KILLED = timedelta(minutes=15)
"""A sweep that did not end within it was killed: clocks may differ by the rest."""
FORGOTTEN = timedelta(days=2)
"""An announcement is removed after it: no task lasts so long."""
LOOK_SECONDS = 2.0

Seen: TypeAlias = dict[str, str]
"""Announcements with their entity tags."""

log = logging.getLogger(__name__)


@contextmanager
def announced(settings: Settings) -> Iterator[datetime]:
    """Announce a sweep until the block ends; give the moment [UTC] after which it may remove nothing.

    Args:
        settings: A role that may write `runs`.
    """
    runs, key = Bucket.open(settings, "runs"), f"{PREFIX}{uuid.uuid4().hex}.json"
    for old in list(runs.listed(PREFIX)):
        if datetime.now(UTC) - old.modified > FORGOTTEN:
            runs.delete(old.key)
    end = datetime.now(UTC) + LIMIT
    runs.put(key, UNDER_WAY, "application/json")
    yield end
    # Not where the block raised: what it removed last is unknown, so stages wait as for one that was killed.
    runs.put(key, ENDED, "application/json")


def seen(settings: Settings) -> Seen:
    """Return the announcements there are: to be asked before a stage pushes what it made."""
    return dict(Bucket.open(settings, "runs").entries(PREFIX))


def settle(settings: Settings, before: Seen, cache: Path, made: list[tuple[Bucket, outputs.Output]]) -> None:
    """Put back what a sweep removed that began before a stage's hand-over was left; wait while one is under way.

    Args:
        settings: A role that may read `runs`.
        before: What `seen` returned before the push.
        cache: DVC's cache folder, which holds the outputs.
        made: The outputs, each with the bucket of its remote.

    Raises:
        StorageUnavailable: Something is missing, and the cache no longer holds it; the stage has to run again.
    """
    waited = _wait(Bucket.open(settings, "runs"))
    if not waited and seen(settings) == before:
        return
    for bucket, output in made:
        restored = outputs.restore(bucket, cache, output)
        if restored:
            log.warning("outputs pushed again path=%s objects=%d", output.path, restored)


def _wait(runs: Bucket) -> bool:
    """Wait until no sweep is under way; tell whether one was."""
    waited = False
    while any(
        runs.find(one.key) == UNDER_WAY for one in runs.listed(PREFIX) if datetime.now(UTC) - one.modified < KILLED
    ):
        waited = True
        time.sleep(LOOK_SECONDS)
    return waited
