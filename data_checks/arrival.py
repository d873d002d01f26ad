"""Whether a table came whole and in time: its newest day, days that are late, missing or in part, its volume.

Each function says what it saw in one table, or nothing where it does not apply.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import pairwise

import numpy as np
from scipy import stats

from data_checks.calendar import Calendar, Usual
from data_checks.message import Message, Value, Values
from data_checks.profile import DIGITS, days_of
from data_checks.runner import Outcome
from data_checks.standard import Seen, Standard

FEW_RUNS = 5  # accepted runs before their volume or lateness is learned from
TOLERANCE = math.log(1.1)  # least room left around the learned growth
SPREADS = 6.0  # scaled median absolute deviations around the usual growth
FIRST_LOOK_DAYS = 7  # how far back the first run looks for missing days
NAMED = 5  # days named in a sentence


def calendar_of(outcome: Outcome, standard: Standard) -> Calendar:
    """Return the days that are known to be good: the last accepted run's, else those that came now."""
    known = days_of(standard.history.table(outcome.table.name)) or dict(outcome.days)
    return Calendar(known, frozenset(standard.params.closed_days))


def fresh(outcome: Outcome, standard: Standard) -> Iterator[Seen]:
    """Say how old the newest row is."""
    if outcome.table.time_column is None or not outcome.received:
        return
    newest, limit, table = outcome.newest_day, standard.params.freshness_days, outcome.table.name
    age = None if newest is None else (standard.as_of - newest).days
    words = "No {table} are from any day up to the run's date; up to {limit} days are tolerated."
    values: Values = {"table": table, "limit": limit}
    if newest is not None and age is not None:
        words = "The newest {table} are from {day}, {age} days before the run's date; up to {limit} days are tolerated."
        values |= {"day": newest, "age": age}
    passed = age is not None and age <= limit
    message = Message(words, values)
    yield Seen(what="fresh", observed=age, limit=limit, passed=passed, message=message, basis="parameter", weight=1.0)


def on_time(outcome: Outcome, standard: Standard) -> Iterator[Seen]:
    """Name the days that are late by more than accepted runs usually were."""
    calendar = calendar_of(outcome, standard)
    steps = standard.history.steps(outcome.table.name)
    if outcome.newest_day is None or len(steps) < FEW_RUNS:
        return
    usual = [
        _late(calendar, date.fromisoformat(told["newest_day"]), as_of) for as_of, told in steps if told["newest_day"]
    ]
    counts = [len(days) for days in usual]
    limit = math.ceil(np.median(counts) + stats.median_abs_deviation(counts, scale="normal"))
    late = _late(calendar, outcome.newest_day, standard.as_of)
    on_time = len(late) <= limit
    words = (
        "{table} came on time: {late} days are awaited, and {limit} usually are (learned from {runs} accepted runs)."
    )
    if not on_time:
        words = "{table} are late: {days} did not come yet; usually {limit} days are awaited (learned from {runs} accepted runs)."
    values: Values = {
        "table": outcome.table.name,
        "late": len(late),
        "limit": limit,
        "runs": len(counts),
        "days": _named(late),
    }
    yield Seen(
        what="on_time",
        observed=len(late),
        limit=limit,
        passed=on_time,
        message=Message(words, values),
        basis="learned",
        weight=float(len(late)),
    )


def _late(calendar: Calendar, newest: date, as_of: date) -> list[date]:
    return [day for day, _ in calendar.expected(newest + timedelta(days=1), as_of)]


def days_present(outcome: Outcome, standard: Standard) -> Iterator[Seen]:
    """Name the days without a row: new ones on which rows are usual, and known ones that vanished."""
    if outcome.newest_day is None or outcome.table.time_column is None:
        return
    accepted = days_of(standard.history.table(outcome.table.name))
    first = min(outcome.days, default=outcome.newest_day)
    vanished = [day for day, rows in accepted.items() if rows and day >= first and day not in outcome.days]
    awaited = [day for day, _ in _judged(outcome, standard) if day not in outcome.days]
    missing = sorted({*vanished, *awaited})
    words = "No day of {table} is missing."
    if missing:
        words = "No {table} came for {days}, though {rows:,.0f} or so are usual: is a delivery missing, or was the shop closed?"
    typical = calendar_of(outcome, standard).usual(missing[-1]) if missing else None
    rows = typical.middle if typical else max((accepted.get(day, 0) for day in missing), default=0)
    yield Seen(
        what="days_present",
        observed=len(missing),
        limit=0,
        passed=not missing,
        message=Message(words, {"table": outcome.table.name, "days": _named(missing), "rows": rows}),
        basis="learned",
        weight=float(len(missing)),
    )


def days_whole(outcome: Outcome, standard: Standard) -> Iterator[Seen]:
    """Name the days that came in part: the whole table's volume would not show them."""
    judged = [(day, usual, outcome.days[day]) for day, usual in _judged(outcome, standard) if day in outcome.days]
    if outcome.table.time_column is None or not judged:
        return
    part = [one for one in judged if one[2] < one[1].low]
    day, usual, rows = min(part or judged, key=lambda one: one[2] / one[1].middle)
    words = "{day} brought {rows:,} {table}, where {usual:,.0f} are usual; "
    words += "fewer than {low:,.0f} would look like a day that came in part" if not part else "it came in part"
    words += " (learned from {days} such weekdays)." if usual.is_learned else " (a fifth of the {days} days before)."
    values: Values = {
        "day": _weekday(day),
        "rows": rows,
        "table": outcome.table.name,
        "usual": usual.middle,
        "low": usual.low,
    }
    message = Message(words, {**values, "days": usual.days})
    if len(part) > 1:
        others = _named([one[0] for one in part if one[0] != day])
        message = Message("{sentence} So did {others}.", {"sentence": message, "others": others})
    yield Seen(
        what="days_whole",
        observed=rows,
        limit=round(usual.low, DIGITS),
        passed=not part,
        message=message,
        basis="learned" if usual.is_learned else "constant",
        weight=1 - rows / usual.middle,
    )


def _judged(outcome: Outcome, standard: Standard) -> list[tuple[date, Usual]]:
    """Return the days that no accepted run has vouched for and that should have brought rows."""
    if outcome.newest_day is None:
        return []
    accepted = standard.history.table(outcome.table.name).get("newest_day")
    first = outcome.newest_day - timedelta(days=FIRST_LOOK_DAYS - 1)
    if accepted is not None:
        first = date.fromisoformat(accepted) + timedelta(days=1)
    return calendar_of(outcome, standard).expected(max(first, min(outcome.days)), outcome.newest_day)


def _named(days: list[date]) -> Message:
    listed: list[Value] = [_weekday(day) for day in days[-NAMED:]]
    if len(days) > NAMED:
        return Message("{days} and {more} earlier days", {"days": listed, "more": len(days) - NAMED})
    return Message("{days}", {"days": listed})


def _weekday(day: date) -> Message:
    return Message("{weekday} {day}", {"weekday": Message(day.strftime("%A")), "day": day})


def volume(outcome: Outcome, standard: Standard) -> Iterator[Seen]:
    """Hold the number of rows against the last accepted run's, grown as usual."""
    before = standard.history.table(outcome.table.name).get("rows", 0)
    if not before:
        return
    ratio, runs = outcome.received / before, 0
    low, high = standard.params.min_volume_ratio, standard.params.max_volume_ratio
    learned = _growth(outcome.table.name, standard)
    words = "{rows:,} {table} came, {ratio:.2f} times the {before:,} of the last accepted run; {low:.2f} to {high:.2f} times "
    if learned is not None:
        low, high, runs = learned
        words += "are usual (learned from {runs} accepted runs)."
    else:
        words += "are tolerated."
    values: Values = {"rows": outcome.received, "table": outcome.table.name, "ratio": ratio, "before": before}
    yield Seen(
        what="volume",
        observed=round(ratio, DIGITS),
        limit=f"{low:.4g}..{high:.4g}",
        passed=low <= ratio <= high,
        message=Message(words, {**values, "low": low, "high": high, "runs": runs}),
        basis="learned" if learned else "parameter",
        weight=abs(math.log(ratio)) if ratio else math.inf,
    )


def _growth(table: str, standard: Standard) -> tuple[float, float, int] | None:
    """Return the usual range of rows over the last accepted run's, and from how many runs it was learned.

    Growth is log(rows / rows before) a day: its median over the steps between runs, times the days since, plus or minus
    `SPREADS` scaled median absolute deviations, but never less room than `TOLERANCE`.
    """
    steps = standard.history.steps(table)
    pairs = [(a, b) for a, b in pairwise(steps) if a[1]["rows"] and b[1]["rows"] and b[0] > a[0]]
    if len(pairs) < FEW_RUNS:
        return None
    rates = [math.log(b[1]["rows"] / a[1]["rows"]) / (b[0] - a[0]).days for a, b in pairs]
    days = max((standard.as_of - steps[-1][0]).days, 0)
    middle_rate = float(np.median(rates)) * days
    room = max(SPREADS * float(stats.median_abs_deviation(rates, scale="normal")) * days, TOLERANCE)
    return math.exp(middle_rate - room), math.exp(middle_rate + room), len(steps)
