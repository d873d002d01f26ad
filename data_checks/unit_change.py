"""Recognises a change of unit: values are a known factor of what they were, and their spread is the same but for it.

The spread now is held against a mixture of the old spread F and the old spread shifted by the factor, on a logarithmic scale:
(1 − π) F(x) + π F(x / factor). The share π that fits best follows in closed form (least squares over the distribution
functions), so rows of which only a part changed are found as well. A sale or a season fits no known factor that closely.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_checks.sketch import BINS_PER_DECADE, WIDEST, ZERO_BIN, Sketch
from ml.contract import Column

FAR = 5.0  # a factor at which old and new values hardly overlap
LEAST_SHARE_FAR, LEAST_SHARE_NEAR = (
    0.02,
    0.95,
)  # of the rows changed: what a near factor does to some rows proves nothing
FEWEST = 20  # rows changed
LARGEST_RESIDUAL = 0.15  # of the distance that the mixture leaves unexplained
SLACK = 1.0  # bins: whole numbers do not fall where the shifted bins do; a near factor could not be told from its neighbours
NARROWEST = 0.05  # decades from the 10th to the 90th percentile: a spread without width has no shape to compare

MONEY = {100.0: ("cents", "euros or dollars"), 1000.0: ("thousandths", "units")}
TIME = {7.0: ("days", "weeks"), 24.0: ("hours", "days"), 60.0: ("minutes", "hours"), 3600.0: ("seconds", "hours")}
SHARE = {100.0: ("per cent", "shares")}
PIECES = {12.0: ("pieces", "dozens"), 100.0: ("hundredths", "units"), 1000.0: ("thousandths", "units")}
SIZE = {
    1.609344: ("kilometres", "miles"),
    2.20462: ("pounds", "kilograms"),
    2.54: ("centimetres", "inches"),
    3.78541: ("litres", "gallons"),
    10.0: ("millimetres", "centimetres"),
    28.3495: ("grams", "ounces"),
    100.0: ("hundredths", "units"),
    1000.0: ("thousandths", "units"),
}
BY_UNIT = {r"currency|eur|usd|gbp": MONEY, r"week|day|hour|minute|second": TIME, r"0\s*\.\.": SHARE, r"piece": PIECES}
"""Which factors are thinkable, by what the column's description says in brackets; else any of them."""

Curve = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class UnitChange:
    """What the values look like."""

    factor: float
    """Values now over values before."""
    seems: str
    instead_of: str
    share: float
    """Of the rows with a value [0..1]."""
    residual: float
    """Largest distance of the distribution functions once the change is undone [0..1]."""


def recognise(before: Sketch, now: Sketch, column: Column) -> UnitChange | None:
    """Return the change of unit that explains how the spread differs, if one does."""
    old, new = _curve(before), _curve(now)
    if old is None or new is None or _width(old) < NARROWEST:
        return None
    noise = 2 / math.sqrt(min(before.present, now.present))
    found = [change for change in _fits(old, new, column) if _convinces(change, old, new, now.present, noise)]
    return min(found, key=lambda change: change.residual, default=None)


def factors(column: Column) -> dict[float, tuple[str, str]]:
    """Return the thinkable factors, each with the unit that values would seem to be in and the one expected."""
    told = " ".join(re.findall(r"[\[(](.*?)[\])]", column.description)).lower()
    known: Mapping[float, tuple[str, str]] = next(
        (known for unit, known in BY_UNIT.items() if re.search(unit, told)), TIME | SIZE
    )
    return {**known, **{1 / factor: (expected, seems) for factor, (seems, expected) in known.items()}}


def _fits(old: Curve, new: Curve, column: Column) -> Iterator[UnitChange]:
    for factor, (seems, instead_of) in factors(column).items():
        bins, slack = math.log10(factor) * BINS_PER_DECADE, SLACK if _is_far(factor) else 0.0
        moved = _shifted(old, bins) - old
        share = float(np.clip(moved @ (new - old) / (moved @ moved), 0, 1))
        kept = (1 - share) * old
        above = new - (kept + share * _shifted(old, bins - slack))
        below = kept + share * _shifted(old, bins + slack) - new
        residual = float(np.maximum(above, below).max())
        yield UnitChange(factor=factor, seems=seems, instead_of=instead_of, share=share, residual=residual)


def _is_far(factor: float) -> bool:
    return abs(math.log(factor)) >= math.log(FAR)


def _convinces(change: UnitChange, old: Curve, new: Curve, rows: int, noise: float) -> bool:
    least = LEAST_SHARE_FAR if _is_far(change.factor) else LEAST_SHARE_NEAR
    distance = float(np.abs(new - old).max())
    is_large = change.share >= least and change.share * rows >= FEWEST and distance > noise
    return is_large and change.residual <= LARGEST_RESIDUAL * distance


def _curve(sketch: Sketch) -> Curve | None:
    """Return the distribution function of the positive values at the upper edges of the bins; none without any."""
    density = np.zeros(2 * WIDEST + 1)
    for name, rows in sketch.bins.items():
        if int(name) > 0:
            density[int(name) - ZERO_BIN + WIDEST] += rows
    total = density.sum()
    return np.cumsum(density) / total if total else None


def _shifted(curve: Curve, bins: float) -> Curve:
    """Return the distribution function of values times a factor of so many bins."""
    edges = np.arange(len(curve), dtype=np.float64)
    return np.interp(edges - bins, edges, curve, left=0.0, right=1.0)


def _width(curve: Curve) -> float:
    low, high = np.searchsorted(curve, (0.1, 0.9))
    return float(high - low) / BINS_PER_DECADE
