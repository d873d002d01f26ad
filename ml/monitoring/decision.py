"""From distances and outcomes to one of three verdicts: retrain, data incident, wait."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from ml.monitoring.drift import Drift
from ml.monitoring.quality import Quality
from ml.parameter import MonitorParams

Decision: TypeAlias = Literal["retrain", "data incident", "wait"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What monitoring concludes, in sentences, worst first."""

    decision: Decision
    sentences: tuple[str, ...]
    drifted: tuple[str, ...] = ()
    """Names of the drifted features."""


def decide(drifts: Sequence[Drift], n_requests: int, params: MonitorParams, quality: Sequence[Quality] = ()) -> Finding:
    """Return the verdict over one window of requests.

    A feature that no longer arrives is a fault of the data, which a retraining would only learn; a feature that
    moved, or quality that fell further than allowed, is a reason to retrain.
    """
    if n_requests < params.min_requests:
        return Finding(
            decision="wait",
            sentences=(f"{n_requests} requests are fewer than the {params.min_requests} a verdict may rest on.",),
        )
    lost = [drift for drift in drifts if drift.lost > params.max_missing]
    if lost:
        told = tuple(f"{drift.feature} is missing in {drift.missing:.0%} of the requests." for drift in lost)
        return Finding(decision="data incident", sentences=told, drifted=tuple(drift.feature for drift in lost))
    moved = [drift for drift in drifts if drift.effect >= params.effect and drift.p_value <= params.alpha]
    fallen = [one for one in quality if _has_fallen(one, params)]
    if moved or fallen:
        return Finding(
            decision="retrain",
            sentences=(*map(_told, moved), *map(_told_quality, fallen)),
            drifted=tuple(drift.feature for drift in moved),
        )
    largest = max((drift.effect for drift in drifts), default=0.0)
    return Finding(
        decision="wait",
        sentences=(f"No feature moved by {params.effect:.2f} or more; the largest distance is {largest:.2f}.",),
    )


def _has_fallen(quality: Quality, params: MonitorParams) -> bool:
    """Tell whether even the favourable end of the interval is worse than what is allowed."""
    loss = quality.loss()
    if params.max_quality_loss is None or loss is None or quality.n_units < params.min_requests:
        return False
    return loss > params.max_quality_loss


def _told_quality(quality: Quality) -> str:
    low, high = quality.interval
    return (
        f"{quality.name} is {quality.mean:.4g} ({low:.4g} to {high:.4g}) over {quality.n_units:,} customers; "
        f"it was {quality.offline:.4g} at the gate."
    )


def _told(drift: Drift) -> str:
    return (
        f"{drift.feature} moved by {drift.effect:.2f} of 1 (typically {drift.reference} in training, "
        f"{drift.current} now; corrected p = {drift.p_value:.1g})."
    )
