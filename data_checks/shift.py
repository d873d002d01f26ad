"""How far columns moved from the last accepted run: an effect size, a p-value corrected for many columns, a threshold.

Only comparable days are compared: days that came since, with the four weeks before them; days that were there already, with
the same days then; tables without a time, as a whole. So data that merely grew by a day do not alarm.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd
from scipy import stats

from data_checks.sketch import Counts, DayCounts, Kind, Sketch, aligned
from data_checks.unit_change import UnitChange, recognise
from ml.contract import JsonObject, Table
from ml.monitoring.drift import merged_rare

Window: TypeAlias = Literal["new", "same", "whole"]

ALPHA = 0.01  # largest corrected p-value that counts
LEAST_EFFECT = 0.1  # of the rows elsewhere than before: less is of no consequence
LEAST_SAME = 0.02  # the same, on days that were there already: they should not have changed at all
LEAST_MISSING = 0.05  # of the rows newly without a value
RECENT_DAYS = 28
MOVEMENT_DAYS = 91  # over which the usual movement is learned
FEW_DAYS = 14
SPREADS = 6.0  # scaled median absolute deviations above the median: beyond any usual day
SIGMA = 1.4826  # of a normal distribution over its median absolute deviation


@dataclass(frozen=True, kw_only=True)
class Shift:
    """One column over comparable days of two runs."""

    table: str
    column: str
    kind: Kind
    window: Window
    effect: float
    """Kolmogorov-Smirnov's D of numbers, total variation of categories [0..1]: the share of rows that went elsewhere."""
    p_value: float
    """Corrected for all columns and both tests of each (Benjamini and Hochberg 1995)."""
    limit: float
    """Largest effect that is usual."""
    learned_days: int
    """Days from which the limit was learned; 0 where it is a constant."""
    missing_effect: float
    """Rise or fall of the share of rows without a value."""
    missing_p: float
    before: Sketch
    now: Sketch
    unit: UnitChange | None = None

    @property
    def moved(self) -> bool:
        """Values lie elsewhere: beyond chance, and beyond what is usual."""
        return self.p_value <= ALPHA and self.effect > self.limit

    @property
    def is_lost(self) -> bool:
        """Another share of the rows has no value: beyond chance, and by enough to matter."""
        return self.missing_p <= ALPHA and abs(self.missing_effect) > LEAST_MISSING

    @property
    def strength(self) -> float:
        """How far it is beyond its limit: what a reader wants first."""
        return max(self.effect / self.limit, abs(self.missing_effect) / LEAST_MISSING)


def distance(kind: Kind, before: Counts, now: Counts) -> float:
    """Return the share of rows that went elsewhere [0..1]; 0 where a side is empty."""
    if not before.sum() or not now.sum():
        return 0.0
    change = now / now.sum() - before / before.sum()
    return float(np.abs(np.cumsum(change)).max() if kind == "number" else np.abs(change).sum() / 2)


def movement(counts: DayCounts) -> JsonObject | None:
    """Return how far a day usually lies from the four weeks before it; none where there are too few days."""
    dated = [place for place, day in enumerate(counts.days) if day is not None]
    if counts.kind == "presence" or len(dated) < RECENT_DAYS + FEW_DAYS:
        return None
    summed = np.cumsum(counts.counts, axis=0)
    judged = range(max(RECENT_DAYS + 1, len(counts.days) - MOVEMENT_DAYS), len(counts.days))
    far = [
        distance(counts.kind, summed[day - 1] - summed[day - 1 - RECENT_DAYS], counts.counts[day])
        for day in judged
        if counts.counts[day].any()
    ]
    if len(far) < FEW_DAYS:
        return None
    usual = float(np.median(far))
    spread = float(stats.median_abs_deviation(far))
    return {"usual": round(usual, 6), "spread": round(spread, 6), "days": len(far)}


def compare(
    tables: Mapping[str, tuple[Table, Mapping[str, DayCounts]]], accepted: JsonObject | None
) -> tuple[Shift, ...]:
    """Compare every column with the last accepted run's, p-values corrected over all of them.

    Args:
        tables: By name, the declaration and what came, by column.
        accepted: Profile of the last accepted run; none gives no shifts.
    """
    known = (accepted or {}).get("tables", {})
    found = [
        shift
        for name, (table, columns) in tables.items()
        if name in known
        for shift in _of_table(table, columns, known[name])
    ]
    if not found:
        return ()
    raw = [p for shift in found for p in (shift.p_value, shift.missing_p)]
    corrected = iter(stats.false_discovery_control(raw))
    return tuple(replace(shift, p_value=float(next(corrected)), missing_p=float(next(corrected))) for shift in found)


def _of_table(table: Table, columns: Mapping[str, DayCounts], known: JsonObject) -> Iterator[Shift]:
    newest = date.fromisoformat(known["newest_day"]) if known["newest_day"] else None
    for name, counts in columns.items():
        before = known["columns"].get(name)
        if before is not None and before["all"]["kind"] == counts.kind:
            yield from _of_column(table, name, counts, before, newest)


def _of_column(table: Table, name: str, counts: DayCounts, before: JsonObject, newest: date | None) -> Iterator[Shift]:
    windows: tuple[tuple[Window, Sketch, Sketch], ...] = (("whole", Sketch.load(before["all"]), counts.between()),)
    if table.time_column is not None and newest is not None:
        windows = (
            ("new", Sketch.load(before["recent"]), counts.between(first=newest + timedelta(days=1))),
            ("same", Sketch.load(before["all"]), counts.between(last=newest)),
        )
    for window, then, now in windows:
        if then.rows and now.rows:
            yield _shift(table, name, window, then, now, before["movement"])


def _shift(table: Table, name: str, window: Window, then: Sketch, now: Sketch, usual: JsonObject | None) -> Shift:
    limit, days = _limit(window, usual)
    missing = np.array([[then.missing, then.present], [now.missing, now.present]])
    return Shift(
        table=table.name,
        column=name,
        kind=then.kind,
        window=window,
        effect=distance(then.kind, *aligned(then, now)),
        p_value=_p_value(then, now),
        limit=limit,
        learned_days=days,
        missing_effect=now.missing / now.rows - then.missing / then.rows,
        missing_p=float(stats.chi2_contingency(missing).pvalue) if missing.sum(axis=0).all() else 1.0,
        before=then,
        now=now,
        unit=recognise(then, now, table.column(name)) if then.kind == "number" else None,
    )


def _limit(window: Window, usual: JsonObject | None) -> tuple[float, int]:
    if window == "same":
        return LEAST_SAME, 0
    if window == "whole" or usual is None:
        return LEAST_EFFECT if window == "whole" else 2 * LEAST_EFFECT, 0
    return max(LEAST_EFFECT, usual["usual"] + SPREADS * SIGMA * usual["spread"]), usual["days"]


def _p_value(then: Sketch, now: Sketch) -> float:
    """Return the chance of such a distance among equal spreads: Kolmogorov's, or a chi-squared test of homogeneity."""
    before, after = aligned(then, now)
    if then.kind == "presence" or not before.sum() or not after.sum():
        return 1.0
    if then.kind == "number":
        size = before.sum() * after.sum() / (before.sum() + after.sum())
        return float(stats.kstwobign.sf(distance("number", before, after) * np.sqrt(size)))
    table = merged_rare(pd.DataFrame([before, after]))
    return 1.0 if table.shape[1] == 1 else float(stats.chi2_contingency(table).pvalue)


def worst(shifts: Sequence[Shift]) -> dict[tuple[str, str], Shift]:
    """Return of each column the comparison a reader should see."""
    found: dict[tuple[str, str], Shift] = {}
    for shift in sorted(shifts, key=lambda one: (one.unit is None, -one.strength)):
        found.setdefault((shift.table, shift.column), shift)
    return found
