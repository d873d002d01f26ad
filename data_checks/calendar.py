"""How many rows a day usually brings, by weekday, and which days are late, missing or came in part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property

import numpy as np
from scipy import stats

WEEKS = 26  # of a weekday's newest days: a season, not a year
FEW_WEEKS = 8  # days of a weekday before anything can be learned of it
FEW_DAYS = 7  # days before nothing at all can be called usual
RECENT_DAYS = 28
LAST_DAY_SHARE = 0.2  # of the usual rows, where weekdays cannot be told apart: below any shop's quiet day
HALF = 0.5  # of the usual rows: what is above it is never called a part
SPREADS = 5.0  # scaled median absolute deviations below the median


@dataclass(frozen=True, kw_only=True)
class Usual:
    """What a day usually brings [rows]."""

    low: float
    """Fewer look like a day that came in part; 0 where the day often brings none."""
    middle: float
    days: int
    """Days from which it was learned."""
    is_learned: bool
    """From days of the same weekday; else a fixed share of all recent days' median."""


@dataclass(frozen=True)
class Calendar:
    """Rows of the days that count as known, from the first to the newest."""

    rows: Mapping[date, int]
    closed: frozenset[str] = frozenset()
    """`MM-DD`: days of every year on which nothing is expected."""

    @cached_property
    def newest(self) -> date | None:
        """The newest known day."""
        return max(self.rows, default=None)

    def usual(self, day: date) -> Usual | None:
        """Return what a day should bring; none where too little is known, or where the shop is closed."""
        if self.newest is None or self.is_closed(day):
            return None
        same = self._before(day, step=7, count=WEEKS)
        if len(same) >= FEW_WEEKS:
            middle = float(np.median(same))
            spread = float(stats.median_abs_deviation(same, scale="normal"))
            low = float(np.clip(middle - SPREADS * spread, 0, HALF * middle))
            return Usual(low=low, middle=middle, days=len(same), is_learned=True)
        recent = self._before(day, step=1, count=RECENT_DAYS)
        if len(recent) < FEW_DAYS:
            return None
        middle = float(np.median(recent))
        return Usual(low=LAST_DAY_SHARE * middle, middle=middle, days=len(recent), is_learned=False)

    def is_closed(self, day: date) -> bool:
        """Tell whether nothing is expected on a day."""
        return day.strftime("%m-%d") in self.closed

    def expected(self, first: date, last: date) -> list[tuple[date, Usual]]:
        """Return the days from `first` to `last` on which rows are expected."""
        days = (first + timedelta(days=step) for step in range((last - first).days + 1))
        known = [(day, self.usual(day)) for day in days]
        return [(day, usual) for day, usual in known if usual is not None and usual.low > 0]

    def _before(self, day: date, step: int, count: int) -> list[int]:
        """Return the rows of known days before a day, newest first; a day without rows counts as 0."""
        first, newest = min(self.rows), self.newest or day
        back = -(-max((day - newest).days, 1) // step)  # steps to the newest known day
        days = (day - timedelta(days=step * (back + turn)) for turn in range(count))
        return [self.rows.get(one, 0) for one in days if one >= first and not self.is_closed(one)]
