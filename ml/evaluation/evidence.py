"""What the gate judges by: numbers only, each of them possibly missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from ml.contract import Metric
from ml.evaluation.bootstrap import Estimate


@dataclass(frozen=True, kw_only=True)
class Lost:
    """A part of the test rows in which the primary metric fell beyond chance."""

    part: str
    """`column: value`, or two of them."""
    units: int
    change: float
    """Relative to the yardstick's figure there."""
    p_value: float
    """Corrected for the number of parts tried."""


@dataclass(frozen=True, kw_only=True)
class Search:
    """What looking through all parts of the test rows found."""

    against: str
    """The yardstick: production, or for a first version the naive baseline."""
    parts: int
    """Parts that were tried."""
    lost: tuple[Lost, ...] = ()
    """Largest loss first."""


@dataclass(frozen=True, kw_only=True)
class Parity:
    """How far an exported variant's scores are from the trained network's."""

    difference: float
    """Largest difference of a score, relative to the range of the network's scores."""
    agreement: float
    """Spearman's rank correlation over all scores."""


@dataclass(frozen=True, kw_only=True)
class Footprint:
    """What a variant takes in a process of its own."""

    latency_ms: float
    """95th percentile over requests."""
    memory_bytes: int
    """Peak of resident memory."""


@dataclass(frozen=True, kw_only=True)
class Yardstick:
    """An earlier version that a candidate is held against, on the same rows."""

    digest: str
    last_day: date | None = None
    """The newest day of data of the runs that made it; none where its record says none."""
    fault: str | None = None
    """Why it is none: it could not be measured, or it may have learned from the test rows."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One exported variant and what was measured of it, on the same rows as everything it is compared with."""

    name: str
    size_bytes: int
    figures: Mapping[str, Estimate]
    """By name of metric; the gate wants every metric the use case declares."""
    over_naive: Estimate
    """Gain of the primary metric over the naive baseline, in its unit; positive is better."""
    over_production: Mapping[str, Estimate] = field(default_factory=dict)
    """Gain of each metric over production, relative to it."""
    over_best: Mapping[str, Estimate] = field(default_factory=dict)
    """The same over the best version of the last 90 days."""
    over_reference: Estimate | None
    """Gain of the primary metric over the most faithful variant, relative to it; none for that variant itself."""
    search: Search | None = None
    parity: Parity | None = None
    footprint: Footprint | None = None
    fault: str | None = None
    """Why it could not be measured."""
    is_live: bool = False
    """Its bytes and its state are those in production."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """All the gate judges by."""

    units: int
    """Test units, such as customers."""
    unit: str = "customers"
    """What they are, in the plural."""
    metrics: tuple[Metric, ...]
    primary: str
    naive: str
    """Name of the baseline to beat."""
    production: Yardstick | None
    """The version in production; none where the verified ledger is empty."""
    best: Yardstick | None = None
    """The best version of the last 90 days; none where that is the one in production."""
    last_day: date | None = None
    """The newest day of the candidates' data."""
    candidates: tuple[Candidate, ...]
    """Most faithful first."""
