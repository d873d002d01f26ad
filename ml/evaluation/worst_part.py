"""Looks through the parts of the test rows, and what two have in common, for those in which a candidate loses."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from dataclasses import replace

from ml.evaluation.contender import Contender
from ml.evaluation.evidence import Lost, Search
from ml.evaluation.figures import Figures


def search(figures: Figures, contender: Contender, yardstick: Contender, confidence: float) -> Search:
    """Test the primary metric in every part, one-sided, and correct for their number.

    The paired difference over its bootstrap standard error is held against Student's t with units − 1 degrees of freedom;
    a bootstrap's own p-value could not be smaller than 1/resamples. The correction (Benjamini and Hochberg 1995) keeps the
    chance that an equal candidate is found to lose anywhere below 1 − `confidence`.
    """
    from scipy import stats

    tried = list(_tried(figures, contender, yardstick))
    corrected = stats.false_discovery_control([one.p_value for one in tried]) if tried else []
    known = [replace(one, p_value=float(p)) for one, p in zip(tried, corrected, strict=True)]
    lost = [one for one in known if one.p_value <= 1 - confidence and one.change < 0]
    return Search(
        against=yardstick.name, parts=len(tried), lost=tuple(sorted(lost, key=lambda one: (one.change, one.part)))
    )


def _tried(figures: Figures, contender: Contender, yardstick: Contender) -> Iterator[Lost]:
    """Yield each part in which both have a figure, with its uncorrected p-value."""
    import numpy as np

    for part in figures.parts:
        gain, error, before = figures.part_shift(contender, yardstick, part)
        if math.isfinite(gain) and math.isfinite(error):
            change = gain / abs(before) if before else float(np.sign(gain))  # from nothing, any loss is a whole one
            p_value = _p_value(gain, error, part.units)
            yield Lost(part=f"{part.column}: {part.value}", units=part.units, change=change, p_value=p_value)


def _p_value(gain: float, error: float, units: int) -> float:
    """Return how likely so large a loss is if there is none; where all units agree, the slightest is certain."""
    from scipy import stats

    return float(stats.t.cdf(gain / max(error, sys.float_info.min), df=units - 1))
