"""How far recent requests are from what a version was trained on, feature by feature.

An effect size decides together with a p-value corrected for many features: with thousands of
requests every p-value is small, with ten none means anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from scipy import stats
from scipy.spatial import distance

Kind = Literal["numeric", "categorical"]
EXPECTED = 5  # fewest of a category that either side must expect for it to count alone
RARE = "(rare)"


@dataclass(frozen=True, kw_only=True)
class Drift:
    """The distance of one feature from its reference."""

    feature: str
    kind: Kind
    effect: float
    """0 (same) to 1 (disjoint): Kolmogorov-Smirnov's D for numbers, Jensen-Shannon distance (base 2) for categories."""
    p_value: float
    """Corrected for the number of features (Benjamini and Hochberg 1995)."""
    missing: float
    """Share of recent values that are missing [0..1]."""
    reference: str
    current: str
    """Medians, or the most frequent value: what a reader wants to see first."""
    missing_before: float = 0.0
    """Share of the reference's values that are missing [0..1]: some features are optional."""

    @property
    def lost(self) -> float:
        """Share of the values that used to be there and no longer are [0..1]."""
        present = 1 - self.missing_before
        return max(0.0, 1 - (1 - self.missing) / present) if present else 0.0


def compare(reference: pd.DataFrame | Mapping[str, pd.Series], current: pd.DataFrame) -> tuple[Drift, ...]:
    """Compare each column of the reference with the same column of recent requests, largest effect first.

    Args:
        reference: By feature, what the training period held; features may differ in length.
        current: `(m, …)`; a column that it lacks counts as missing throughout.
    """
    found = [_compare(str(name), known, _column(current, str(name))) for name, known in reference.items()]
    if not found:
        return ()
    corrected = stats.false_discovery_control([drift.p_value for drift in found])
    adjusted = [replace(drift, p_value=float(p)) for drift, p in zip(found, corrected, strict=True)]
    return tuple(sorted(adjusted, key=lambda drift: (-drift.effect, drift.feature)))


def numeric_distance(reference: np.ndarray, current: np.ndarray) -> tuple[float, float]:
    """Return Kolmogorov-Smirnov's D and its p-value; 1 and 0 where one side is empty."""
    if len(reference) == 0 or len(current) == 0:
        return (0.0, 1.0) if len(reference) == len(current) else (1.0, 0.0)
    result = stats.ks_2samp(reference, current, method="asymp")
    return float(result.statistic), float(result.pvalue)


def categorical_distance(reference: Sequence[str], current: Sequence[str]) -> tuple[float, float]:
    """Return the Jensen-Shannon distance (base 2) and the p-value of a chi-squared test of homogeneity.

    Rare categories count as one: of a thousand products, two samples of 200 would seem far apart by chance alone.
    """
    if len(reference) == 0 or len(current) == 0:
        return (0.0, 1.0) if len(reference) == len(current) else (1.0, 0.0)
    table = merged_rare(
        pd.crosstab(
            np.repeat(["reference", "current"], [len(reference), len(current)]), np.concatenate([reference, current])
        )
    )
    shares = table.div(table.sum(axis=1), axis=0)
    effect = float(distance.jensenshannon(shares.loc["reference"], shares.loc["current"], base=2))
    p_value = 1.0 if table.shape[1] == 1 else float(stats.chi2_contingency(table).pvalue)
    return effect, p_value


def _compare(name: str, reference: pd.Series, current: pd.Series) -> Drift:
    missing = float(current.isna().mean()) if len(current) else 1.0
    before, now = reference.dropna(), current.dropna()
    if pd.api.types.is_numeric_dtype(reference):
        now = pd.to_numeric(now, errors="coerce").dropna()
        effect, p_value = numeric_distance(before.to_numpy(dtype=float), now.to_numpy(dtype=float))
        kind: Kind = "numeric"
    else:
        effect, p_value = categorical_distance(before.astype(str).tolist(), now.astype(str).tolist())
        kind = "categorical"
    return Drift(
        feature=name,
        kind=kind,
        effect=effect,
        p_value=p_value,
        missing=missing,
        reference=_typical(before, kind),
        current=_typical(now, kind),
        missing_before=float(reference.isna().mean()) if len(reference) else 1.0,
    )


def merged_rare(table: pd.DataFrame) -> pd.DataFrame:
    """Merge the categories of which either side expects fewer than `EXPECTED` (Cochran 1954)."""
    expected = table.sum() * table.sum(axis=1).min() / table.to_numpy().sum()
    is_rare = expected < EXPECTED
    kept: pd.DataFrame = table.loc[:, ~is_rare]
    return kept if not is_rare.any() else kept.assign(**{RARE: table.loc[:, is_rare].sum(axis=1)})


def _column(frame: pd.DataFrame, name: str) -> pd.Series:
    return frame[name] if name in frame.columns else pd.Series([None] * len(frame), dtype=object)


def _typical(values: pd.Series, kind: Kind) -> str:
    if values.empty:
        return "none"
    return f"{values.median():.4g}" if kind == "numeric" else str(values.astype(str).mode().iloc[0])
