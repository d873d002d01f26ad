"""l-diversity: how many values of a sensitive column a group of people who look alike holds, where k alone says nothing.

Machanavajjhala et al. 2007, doi:10.1145/1217299.1217302.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ml.contract import JsonObject

DIGITS = 6  # so that the last bit of a sum cannot change the report


@dataclass(frozen=True, kw_only=True)
class Diversity:
    """Of the group that is worst; 0 where there is no group."""

    distinct: int
    """Values in it; 1 means that to know the group is to know the value."""
    entropy: float
    """exp(−Σ p ln p) over the shares p of its values: as telling as that many values equally often."""

    def to_json(self) -> JsonObject:
        """Return it as JSON."""
        return {"distinct": self.distinct, "entropy": round(self.entropy, DIGITS)}


def diversity_of(rows: pd.DataFrame, columns: Sequence[str], sensitive: str) -> Diversity:
    """Return the l-diversity of a column.

    Args:
        rows: Generalised rows; those that were suppressed are one group. A missing value is a value of its own.
        columns: The generalised columns, by which rows look alike.
        sensitive: The column nobody should learn.
    """
    if rows.empty:
        return Diversity(distinct=0, entropy=0.0)
    counts = rows.groupby([*columns, sensitive], dropna=False).size()
    groups = counts.groupby(level=list(range(len(columns))), dropna=False)
    shares = counts / groups.transform("sum")
    entropy = (-shares * np.log(shares)).groupby(level=list(range(len(columns))), dropna=False).sum()
    return Diversity(distinct=int(groups.size().min()), entropy=float(np.exp(entropy.min())))
