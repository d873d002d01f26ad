"""The queue of matters that a person has to see to: lines below `handovers/` in the `requests` bucket, without personal values."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

from ml.config import Settings
from ml.contract import JsonObject
from ml.files import parse_object
from ml.store import Bucket

PREFIX = "handovers"


def handovers(settings: Settings, use_case: str, until: date, days: int) -> Iterator[JsonObject]:
    """Yield the matters of the last days, oldest first; one that was handed over twice once.

    Args:
        settings: A role that may read the `requests` bucket.
        use_case: Name of the use case.
        until: The last day, UTC.
        days: How many days.
    """
    bucket, seen = Bucket.open(settings, "requests"), set()
    for back in reversed(range(days)):
        for key in sorted(bucket.keys(f"{PREFIX}/{use_case}/{until - timedelta(days=back)}/")):
            for line in (parse_object(text, f"a line of {key}", "Delete it.") for text in bucket.get(key).splitlines()):
                if line["handover"]["id"] not in seen:
                    seen.add(line["handover"]["id"])
                    yield line
