"""Opens what a customer alone may read back, for the customer who has proved who they are."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from typing import Any

from ml.contract import JsonObject
from ml.errors import TradewindError
from ml.privacy.cipher import DataKey
from ml.privacy.share import OWN, Shares, read_own

KEPT_S = 60.0  # how long a key is not asked for again: an erasure is heard of sooner, by its mark
MOST = 10_000  # customers whose keys are in memory
HIDDEN_LENGTH = 8  # characters of what stands for a value that nobody can open

log = logging.getLogger(__name__)


class OwnValues:
    """Opens values in histories; safe to use from many threads."""

    def __init__(self, shares: Shares) -> None:
        self._shares = shares
        self._lock = threading.Lock()
        self._known: dict[tuple[str, str], tuple[float, DataKey | None]] = {}

    def opened(self, use_case: str, unit: str | None, history: JsonObject | None) -> JsonObject | None:
        """Return a history with the customer's own values; what cannot be opened is a short word that says nothing.

        Args:
            use_case: Name of the use case.
            unit: The customer, where they have proved who they are; without one nothing is opened.
            history: What is known of them.
        """
        if history is None or not _has_own(history):
            return history
        key = self._key(use_case, unit) if unit is not None else None
        opened: JsonObject = _opened(history, key)
        return opened

    def _key(self, use_case: str, unit: str) -> DataKey | None:
        with self._lock:
            asked, key = self._known.get((use_case, unit), (float("-inf"), None))
        if time.monotonic() - asked < KEPT_S:
            return key
        try:
            key = self._shares.find(use_case, unit)
        except TradewindError as error:
            log.warning("own values stay hidden use_case=%s kind=%s", use_case, type(error).__name__)
            return None
        with self._lock:
            if len(self._known) >= MOST:
                self._known.clear()
            self._known[use_case, unit] = (time.monotonic(), key)
        return key


def _has_own(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_has_own, value.values()))
    if isinstance(value, list):
        return any(map(_has_own, value))
    return isinstance(value, str) and value.startswith(OWN)


def _opened(value: Any, key: DataKey | None) -> Any:
    if isinstance(value, dict):
        return {name: _opened(item, key) for name, item in value.items()}
    if isinstance(value, list):
        return [_opened(item, key) for item in value]
    return _read(value, key) if isinstance(value, str) and value.startswith(OWN) else value


def _read(text: str, key: DataKey | None) -> str:
    if key is not None:
        try:
            return read_own(text, key)
        except TradewindError:
            log.warning("an own value that its customer's key does not open")
    return hashlib.sha256(text.encode()).hexdigest()[:HIDDEN_LENGTH]
