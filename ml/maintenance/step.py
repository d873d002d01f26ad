"""Runs one step of maintenance in this process, which holds the secrets of the step's role alone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from ml.config import Settings, load_settings
from ml.contract import JsonObject
from ml.errors import ConfigInvalid, IntegrityBroken
from ml.maintenance import aged, airflow, ledgers, machine, objects, runs, summary
from ml.maintenance.outcome import Outcome
from ml.pipeline import UPKEEP

STEPS: dict[str, Callable[..., Outcome]] = {
    "audit": ledgers.audit,
    "versions": ledgers.versions,
    "runs": runs.run,
    "objects": objects.run,
    "reports": aged.reports,
    "requests": aged.requests,
    "airflow": airflow.run,
    "machine": machine.run,
}


def run_step(name: str, request: JsonObject) -> JsonObject:
    """Run a step and return its outcome.

    Args:
        name: One of `ml.pipeline.UPKEEP`.
        request: `is_trial`; of the step `summary` also `outcomes`, by step.

    Raises:
        ConfigInvalid: There is no such step.
        StorageUnavailable: The store did not answer; running the step again goes on.
    """
    if name not in UPKEEP:
        raise ConfigInvalid(f"one of the steps {', '.join(UPKEEP)}", repr(name), "Correct the name.")
    settings, now, is_trial = load_settings(), datetime.now(UTC), bool(request.get("is_trial"))
    if name == summary.STEP:
        return _summary(settings, now, request, is_trial=is_trial)
    try:
        return STEPS[name](settings, now, is_trial=is_trial).to_json()
    except IntegrityBroken as error:
        return Outcome(step=name, faults=[str(error)]).to_json()


def _summary(settings: Settings, now: datetime, request: JsonObject, *, is_trial: bool) -> JsonObject:
    report = summary.compose(request.get("outcomes", {}), now, is_trial=is_trial)
    if not is_trial:
        summary.publish(settings, report, now)
    return report
