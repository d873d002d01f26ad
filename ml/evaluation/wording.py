"""How the gate's sentences write numbers."""

from __future__ import annotations

import math

from ml.contract import Rule
from ml.evaluation.bootstrap import Estimate


def digits(estimate: Estimate) -> int:
    """Return the decimals that show two digits of an interval's width."""
    width = estimate.high - estimate.low
    return 1 - min(max(math.floor(math.log10(width)), -5), 1) if width else 4


def between(estimate: Estimate) -> str:
    """Return an interval in the figure's unit."""
    shown = digits(estimate)
    return f"{estimate.low:.{shown}f} to {estimate.high:.{shown}f}"


def percent(estimate: Estimate) -> str:
    """Return an interval of a relative change."""
    return f"{signed(estimate.low)} to {signed(estimate.high)}"


def signed(change: float) -> str:
    """Return a relative change with its sign; what rounds to zero has none."""
    told = f"{change:+.1%}"
    return told[1:] if told[1:] == "0.0%" else told


def rule(name: str, seen: Estimate, limit: float, *, passed: bool, sentence: str) -> Rule:
    """Return a rule about an estimate; what is not known never passes."""
    if not seen.is_finite():
        return Rule(name=name, observed=None, limit=limit, passed=False, sentence=sentence)
    return Rule(
        name=name,
        observed=seen.value,
        limit=limit,
        passed=passed,
        sentence=sentence,
        interval=(seen.low, seen.high),
    )
