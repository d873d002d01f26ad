"""The rules that hold for every table, in one list."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date

from data_checks.arrival import days_present, days_whole, fresh, on_time, volume
from data_checks.check import Basis
from data_checks.message import Message, Values
from data_checks.profile import DIGITS
from data_checks.runner import Outcome
from data_checks.standard import Seen, Standard
from data_checks.steadiness import steady, unit
from ml.contract import Severity

SINCE_FIRST, SINCE_LEARNED = date(2026, 11, 24), date(2026, 11, 25)


@dataclass(frozen=True, kw_only=True)
class Standing:
    """One rule about every table."""

    name: str
    severity: Severity
    reason: str
    since: date
    threshold: str
    basis: Basis
    look: Callable[[Outcome, Standard], Iterator[Seen]]
    owner: str = "data owner"


def _not_empty(outcome: Outcome, _: Standard) -> Iterator[Seen]:
    there = outcome.received > 0
    words = "There are {rows:,} {table}." if there else "There are no {table} at all."
    yield Seen(
        what="not_empty",
        observed=outcome.received,
        limit=1,
        passed=there,
        message=Message(words, {"rows": outcome.received, "table": outcome.table.name}),
        weight=1.0,
        severity="warn" if outcome.table.optional else None,
    )


def _quarantined(outcome: Outcome, standard: Standard) -> Iterator[Seen]:
    share = outcome.quarantined / outcome.received if outcome.received else 0.0
    limit = standard.params.max_quarantined
    values: Values = {"bad": outcome.quarantined, "rows": outcome.received, "share": share, "limit": limit}
    words = "{bad:,} of {rows:,} {table} ({share:.2%}) are set aside; up to {limit:.0%} are tolerated."
    yield Seen(
        what="quarantined_share",
        observed=round(share, DIGITS),
        limit=limit,
        passed=share <= limit,
        message=Message(words, {**values, "table": outcome.table.name}),
        basis="parameter",
        weight=share,
    )


STANDING: tuple[Standing, ...] = (
    Standing(
        name="not_empty",
        severity="block",
        reason="the table holds no row (an optional table only warns)",
        since=SINCE_FIRST,
        threshold="1 row",
        basis="constant",
        look=_not_empty,
    ),
    Standing(
        name="quarantined_share",
        severity="block",
        reason="too many rows are set aside for the rest to be trusted",
        since=SINCE_FIRST,
        threshold="checks.max_quarantined",
        basis="parameter",
        look=_quarantined,
    ),
    Standing(
        name="fresh",
        severity="block",
        reason="the newest row is too old",
        since=SINCE_FIRST,
        threshold="checks.freshness_days",
        basis="parameter",
        look=fresh,
    ),
    Standing(
        name="on_time",
        severity="warn",
        reason="days are later than accepted runs usually were; the sentence names them",
        since=SINCE_LEARNED,
        threshold="median + 1 deviation of the days awaited",
        basis="learned",
        look=on_time,
    ),
    Standing(
        name="days_present",
        severity="warn",
        reason="a day brought no row, though its weekday usually does, or it vanished; the sentence names it",
        since=SINCE_LEARNED,
        threshold="usual rows of the weekday",
        basis="learned",
        look=days_present,
    ),
    Standing(
        name="days_whole",
        severity="warn",
        reason="a day came in part; the sentence names it",
        since=SINCE_FIRST,
        threshold="median − 5 deviations of the weekday's rows, at most half; 20 % of four weeks' median while there are few",
        basis="learned",
        look=days_whole,
    ),
    Standing(
        name="volume",
        severity="block",
        reason="the table is much smaller or larger than the last accepted one",
        since=SINCE_FIRST,
        threshold="usual growth ± 6 deviations, at least 10 %; checks.min_volume_ratio to max_… while runs are few",
        basis="learned",
        look=volume,
    ),
    Standing(
        name="<column>_unit",
        severity="block",
        reason="the values are a known factor of what they were, their spread otherwise unchanged: another unit",
        since=SINCE_LEARNED,
        threshold="2 % of the rows (95 % where the factor is below 5), at most 15 % of the distance unexplained",
        basis="learned",
        look=unit,
    ),
    Standing(
        name="<column>_steady",
        severity="warn",
        reason="the values are spread otherwise than in the last accepted run, or other rows have none",
        since=SINCE_LEARNED,
        threshold="usual movement of a day + 6 deviations, at least 10 % of the rows; 2 % on days seen before",
        basis="learned",
        look=steady,
    ),
)
