"""Limits how often monitoring starts a retraining: a cool-down after each one, and a budget over some days."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from ml.parameter import MonitorParams


def refusal(earlier: Sequence[datetime], now: datetime, params: MonitorParams) -> str | None:
    """Return why no retraining is requested now; none if one may be.

    Args:
        earlier: When retrainings were requested before [UTC]; one at `now` itself is this request, tried again.
        now: The moment that the verdict is about [UTC].
        params: `cooldown_hours`, `max_retrains` and `retrain_days`.
    """
    if now in earlier:
        return None
    before = sorted(moment for moment in earlier if moment < now)
    if before and now - before[-1] < timedelta(hours=params.cooldown_hours):
        return (
            f"No retraining is requested: the last request was at {_said(before[-1])}, "
            f"and monitor.cooldown_hours is {params.cooldown_hours:g}."
        )
    recent = [moment for moment in before if now - moment < timedelta(days=params.retrain_days)]
    if len(recent) >= params.max_retrains:
        return (
            f"No retraining is requested: there were {len(recent)} requests in {params.retrain_days} days, "
            f"and monitor.max_retrains is {params.max_retrains}."
        )
    return None


def _said(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
