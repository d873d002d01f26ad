"""Takes customers out of what serving keeps by pseudonym: histories, lists, and every kind of line of the log.

Whoever writes there reads the marks of erasures before and after (`ml/registry/erasure_mark.py`), so a mark comes first. Every
change is written over exactly what was read, so erasures at once, and whoever publishes meanwhile, undo nothing of each other's.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ml.config import Settings
from ml.serving import snapshot
from ml.serving.conversation import Conversations
from ml.serving.request_log import KINDS, without_lines
from ml.serving.snapshot_record import record_key
from ml.serving.state import StateStore
from ml.store import Bucket

UNDER_WAY = timedelta(hours=1)  # no request takes as long, and no two clocks differ by as much

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Place:
    """One object, and what of it names nobody of some units."""

    bucket: Bucket
    key: str
    without: Callable[[bytes, Collection[str]], bytes]

    def names(self, units: Collection[str]) -> bool:
        """Tell whether it holds something of them."""
        data = self.bucket.find(self.key)
        return data is not None and self.without(data, units) != data

    def forget(self, units: Collection[str]) -> bool:
        """Write it again without them, and tell whether it had them."""
        had = False

        def change(data: bytes | None) -> bytes | None:
            nonlocal had
            kept = None if data is None else self.without(data, units)
            had = had or kept != data
            return kept

        # Who erases only takes away, so nobody adds to an object that is empty by now.
        if self.bucket.update(self.key, change) == b"":
            self.bucket.delete(self.key)
        return had


def traces(settings: Settings, use_case: str, units: Collection[str]) -> tuple[str, ...]:
    """Return the objects of the buckets `state` and `requests` that hold something of customers.

    Args:
        settings: Role `custodian`.
        use_case: Name of the use case.
        units: Their pseudonyms.
    """
    return tuple(f"{one.bucket.name}/{one.key}" for one in _places(settings, use_case) if one.names(units))


def forget(settings: Settings, use_case: str, units: Collection[str]) -> int:
    """Remove customers, who are marked as erased, from the buckets `state` and `requests`; servers follow by the marks.

    Args:
        settings: Role `custodian`, with the signing key.
        use_case: Name of the use case.
        units: Their pseudonyms.

    Returns:
        Objects that held something of them.
    """
    tables = snapshot.forget(settings, use_case, units)
    others = (one for one in _places(settings, use_case) if not snapshot.is_table(use_case, one.key))
    changed = len(tables) + sum(one.forget(units) for one in others)
    log.info("customer forgotten use_case=%s objects=%d", use_case, changed)
    return changed


def forget_on_server(use_case: str, erased: Mapping[str, str], store: StateStore, conversations: Conversations) -> None:
    """Remove customers from a server's own disk, and take in nothing of them from now on.

    Args:
        use_case: Name of the use case.
        erased: The moment of each erasure by pseudonym [UTC, ISO 8601].
        store: The server's histories.
        conversations: Its conversations. A request that was under way may have left one after the erasure was heard of.
    """
    new = store.erase(use_case, erased)
    since = (datetime.now(UTC) - UNDER_WAY).isoformat()
    conversations.forget(use_case, [unit for unit, moment in erased.items() if new or moment >= since])
    if new:
        log.info("erased customers forgotten use_case=%s customers=%d", use_case, new)


def _places(settings: Settings, use_case: str) -> Iterator[_Place]:
    requests, state = Bucket.open(settings, "requests"), Bucket.open(settings, "state")
    for kind in KINDS:
        for key in list(requests.keys(f"{kind}/{use_case}/")):
            yield _Place(requests, key, without_lines)
    record = record_key(use_case)
    for key in list(state.keys(f"{use_case}/")):
        if key.endswith(".parquet"):
            yield _Place(state, key, snapshot.without)
        elif key != record:
            yield _Place(state, key, without_lines)
