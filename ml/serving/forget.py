"""Takes one customer out of what serving keeps by pseudonym: histories, lists, and the log of requests and events."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

from ml.config import Settings
from ml.serving import snapshot
from ml.store import Bucket

log = logging.getLogger(__name__)


def forget(settings: Settings, use_case: str, unit: str) -> int:
    """Remove a customer from the `state` and `requests` buckets; servers follow with the histories.

    Args:
        settings: Role `custodian`.
        use_case: Name of the use case.
        unit: The pseudonym.

    Returns:
        Objects that held something of the customer.
    """
    known = snapshot.forget(settings, use_case, unit)
    logs = _without_lines(Bucket.open(settings, "requests"), (f"requests/{use_case}/", f"events/{use_case}/"), unit)
    lists = _lists_without(Bucket.open(settings, "state"), f"{use_case}/batch/", unit)
    changed = sum(1 for _ in (*known, *logs, *lists))
    log.info("customer forgotten use_case=%s objects=%d", use_case, changed)
    return changed


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
