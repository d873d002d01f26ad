"""Finds the best version that was live lately, so that many small losses cannot add up."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from ml.config import Settings
from ml.contract import UseCase
from ml.errors import IntegrityBroken, ModelNotFound
from ml.registry import ledger
from ml.registry.collect import is_removed
from ml.registry.entry import MOVES, Entry
from ml.registry.fetch import fetch_record

DAYS = 90

log = logging.getLogger(__name__)


def best_version(settings: Settings, use_case: UseCase, channel: str, now: datetime) -> str | None:
    """Return the version with the best recorded primary figure of all that were live in the last 90 days; none without one.

    Figures were recorded on test rows of different times: they choose whom the gate measures again, on today's rows. A
    version that a person rolled back is no yardstick, nor one that was judged by another primary metric, nor one of which
    the ledger says that it was collected. Of equals the latest counts.

    Args:
        settings: A role that may read `ledger` and `models`.
        use_case: The record.
        channel: `production`
        now: The moment the 90 days end; ledger entries bear wall-clock times.

    Raises:
        IntegrityBroken: The ledger or a record does not hold.
        ModelNotFound: The store lost a version that was live.
    """
    told = ledger.history(settings, use_case.name)
    entries = [one for one in told if one.action in MOVES and one.channel == channel]
    metric = use_case.judgement.metric(use_case.judgement.primary)
    found: dict[str, float] = {}
    for digest, seq in _live_since(entries, now - timedelta(days=DAYS)):
        try:
            figure = fetch_record(settings, use_case.name, digest).payload["figures"].get(metric.name)
        except (IntegrityBroken, ModelNotFound):
            if not is_removed(told, digest, seq):
                raise
            log.warning("version passed over as a yardstick digest=%s reason=collected", digest)
            continue
        if figure is None or figure["value"] is None:
            log.warning("version passed over as a yardstick digest=%s reason=no %s recorded", digest, metric.name)
            continue
        found[digest] = metric.sign * figure["value"]
    return max(reversed(found), key=found.__getitem__, default=None)


def _live_since(entries: Sequence[Entry], since: datetime) -> Iterator[tuple[str, int]]:
    """Yield the versions that were live at some moment since then, each with the entry that made it live last."""
    spans = [(entry, datetime.fromisoformat(after.when)) for entry, after in pairwise(entries)]
    latest = {entry.to_digest: entry for entry, until in spans if until >= since}
    if entries:
        latest.pop(entries[-1].to_digest, None)
        latest[entries[-1].to_digest] = entries[-1]
    undone = {entry.from_digest: entry.seq for entry in entries if entry.action == "rollback"}
    for digest, entry in latest.items():
        if digest is not None and undone.get(digest, 0) < entry.seq:
            yield digest, entry.seq
