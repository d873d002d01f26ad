"""What the model server wrote about its answers, and what customers did afterwards: JSON lines by day."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

from ml.contract import JsonObject
from ml.files import parse_object
from ml.store import Bucket


def lines(bucket: Bucket, kind: str, use_case: str, last_day: date, days: int) -> Iterator[JsonObject]:
    """Yield the lines of the days up to and including the last one, day by day; an event that bears the id of another once.

    Args:
        bucket: The `requests` bucket.
        kind: `requests` or `events`.
        use_case: Name of the use case.
        last_day: UTC.
        days: How many days, at least 1.
    """
    seen: set[tuple[str, str]] = set()  # a server that was killed may have written an event that was sent again, twice
    for back in reversed(range(days)):
        day = last_day - timedelta(days=back)
        for key in bucket.keys(f"{kind}/{use_case}/{day.isoformat()}/"):
            for line in bucket.get(key).splitlines():  # of bytes: a text may hold what else ends a line of text
                told = parse_object(line, f"a line of {key}", "Find out who wrote it; delete it.")
                name = (str(told.get("unit")), str(told["id"])) if "id" in told else None
                if name not in seen:
                    yield told
                if name is not None:
                    seen.add(name)
