"""Takes one customer out of what serving keeps by pseudonym: histories, lists, and every kind of line of the log."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from ml.config import Settings
from ml.errors import IntegrityBroken
from ml.serving import snapshot
from ml.serving.request_log import KINDS
from ml.store import Bucket

MARK_BYTES = 100

log = logging.getLogger(__name__)


def forget(settings: Settings, use_case: str, unit: str) -> int:
    """Remove a customer from the `state` and `requests` buckets; servers follow with histories and with lines that wait there.

    Args:
        settings: Role `custodian`.
        use_case: Name of the use case.
        unit: The pseudonym.

    Returns:
        Objects that held something of the customer.
    """
    state = Bucket.open(settings, "state")
    # First: a server that looks from now on carries no line of before into what is cleaned below.
    state.put(f"{_marks(use_case)}{unit}", datetime.now(UTC).isoformat(timespec="milliseconds").encode())
    known = snapshot.forget(settings, use_case, unit)
    prefixes = tuple(f"{kind}/{use_case}/" for kind in KINDS)
    logs = _without_lines(Bucket.open(settings, "requests"), prefixes, unit)
    lists = _lists_without(state, f"{use_case}/batch/", unit)
    changed = sum(1 for _ in (*known, *logs, *lists))
    log.info("customer forgotten use_case=%s objects=%d", use_case, changed)
    return changed


class Erasures:
    """When customers were erased, as a server has to know before it carries lines away.

    Args:
        bucket: The `state` bucket.
    """

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._read: dict[tuple[str, str], str] = {}

    def __call__(self, use_case: str) -> Mapping[str, str]:
        """Return the moment of each erasure by unit [UTC, ISO 8601]."""
        marks = list(self._bucket.entries(_marks(use_case)))
        self._read |= {mark: _moment(self._bucket, mark[0]) for mark in marks if mark not in self._read}
        return {mark[0].rpartition("/")[2]: self._read[mark] for mark in marks}


def _moment(bucket: Bucket, key: str) -> str:
    try:
        return datetime.fromisoformat(bucket.get(key, MARK_BYTES).decode("ascii")).isoformat(timespec="milliseconds")
    except ValueError as error:
        raise IntegrityBroken(
            f"the moment of an erasure at {key}", "something else", "Erase the customer again."
        ) from error


def _marks(use_case: str) -> str:
    return f"{use_case}/erased/"


def _without_lines(bucket: Bucket, prefixes: tuple[str, ...], unit: str) -> Iterator[str]:
    """Write files of lines again without those that name the unit; yield the keys of these files."""
    for key in [key for prefix in prefixes for key in bucket.keys(prefix)]:
        lines = bucket.get(key).splitlines(keepends=True)
        kept = [line for line in lines if unit.encode() not in line]
        if len(kept) < len(lines):
            bucket.put(key, b"".join(kept)) if kept else bucket.delete(key)
            yield key


def _lists_without(bucket: Bucket, prefix: str, unit: str) -> Iterator[str]:
    """Write tables of all units again without the unit; yield the keys of those that had it."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    for key in [key for key in bucket.keys(prefix) if key.endswith(".parquet")]:
        table = pq.read_table(io.BytesIO(bucket.get(key)))
        if "unit" in table.column_names and (kept := table.filter(pc.not_equal(table["unit"], unit))).num_rows < len(
            table
        ):
            sink = io.BytesIO()
            pq.write_table(kept, sink, compression="zstd")
            bucket.put(key, sink.getvalue(), "application/vnd.apache.parquet")
            yield key
