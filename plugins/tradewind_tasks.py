"""How Airflow runs a stage: one process with that stage's rights alone; errors become retries or final failures."""

from __future__ import annotations

import json
import logging
import os
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, get_current_context, task
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

if TYPE_CHECKING:
    from airflow.sdk import XComArg

    from ml.stack.call import Output

RETRIES = 3
RETRY_DELAY = timedelta(seconds=5)  # doubled after each try
RETRY_LIMIT = timedelta(minutes=5)
TIME_LIMIT = timedelta(minutes=60)
AS_SET = "as in params.yaml"  # a choice of the form that overrides nothing
SOURCE_FIELDS = {"kind": "source", "location": "source_location", "mapping": "source_mapping"}
PATIENCE: dict[str, Any] = {
    "retries": RETRIES,
    "retry_delay": RETRY_DELAY,
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": RETRY_LIMIT,
    "execution_timeout": TIME_LIMIT,
}
REPORT_STEP, OUTCOME = "summary", "outcome"
APPROVAL_TASK = "approve"
REVIEW_TASK = "review"
TARGET_FIELDS = ("digest", "reason", "action", "channel", "kind", "run", "verdict", "rule", "until", "rows")
AUTOMATIC = ("scheduled", "asset_triggered")  # kinds of Airflow's runs that nobody starts by hand

log = logging.getLogger(__name__)


def production_asset(use_case: str) -> Asset:
    """Return the asset that is updated when a retraining or a release moved a channel; follow it to act on promotions."""
    return Asset(name=f"{use_case}_production", uri=f"tradewind://{use_case}/production")


def drift_asset(use_case: str) -> Asset:
    """Return the asset that is updated when monitoring asks for a retraining."""
    return Asset(name=f"{use_case}_drift", uri=f"tradewind://{use_case}/drift")


def stage_task(stage: str, use_case: str, **options: Any) -> XComArg:
    """Return the task that runs one stage of one use case.

    Args:
        stage: Name of the stage; the task bears it.
        use_case: Name of the use case.
        options: Further task options, such as `outlets`.
    """
    return task(task_id=stage, **{**PATIENCE, **options})(_run)(stage, use_case)


def upkeep_task(step: str, **options: Any) -> XComArg:
    """Return the task that runs one step of maintenance.

    Args:
        step: Its name; the task bears it.
        options: Further task options, such as `trigger_rule`.
    """
    return task(task_id=step, **{**PATIENCE, **options})(_keep_up)(step)


def _run(stage: str, use_case: str) -> Any:
    return run_stage(stage, use_case, request_of(get_current_context()))


def _keep_up(step: str) -> None:
    """Run a step in a process that holds its own role's secrets alone, and leave its outcome to the report.

    Raises:
        AirflowFailException: It found a fault, or failed, and trying again cannot help.
        AirflowException: It failed otherwise.
    """
    from ml.pipeline import UPKEEP

    context = get_current_context()
    instance = context["ti"]
    request: dict[str, Any] = {"is_trial": bool(context["params"].get("dry_run"))}
    if step == REPORT_STEP:
        found = {name: instance.xcom_pull(task_ids=name, key=OUTCOME) for name in UPKEEP if name != step}
        request["outcomes"] = {name: outcome for name, outcome in found.items() if outcome}
    outcome = run_stage(step, "", request)
    instance.xcom_push(key=OUTCOME, value=outcome)
    for kind in ("removed", "notes", "warnings", "faults"):
        for one in outcome[kind]:
            log.info("%s: %s", kind, one)
    if outcome["faults"]:
        raise AirflowFailException(f"{step}: {len(outcome['faults'])} faults; the lines above say which.")


def run_stage(stage: str, use_case: str, request: dict[str, Any]) -> Any:
    """Run one stage in a process that holds its own role's secrets alone, and return what it says.

    Raises:
        AirflowSkipException: It had nothing to do.
        AirflowFailException: It failed, and trying again cannot help.
        AirflowException: It failed otherwise.
    """
    from ml.errors import TradewindError
    from ml.stack import call

    try:
        result, code = _heard(call.run(stage, use_case, request, os.environ))
    except TradewindError as error:
        raise AirflowException(f"{stage}: {error}") from error
    if code == 0 and result == {"skipped": True}:
        raise AirflowSkipException(f"{stage} had nothing to do")
    if code != 0:
        _fail(stage, code)
    return result


def request_of(context: Any) -> dict[str, Any]:
    """Return what the run was asked for: its id, its as-of date, the form's overrides, and who asked."""
    from ml.pipeline import storage_id

    run, params = context["dag_run"], context["params"]
    moment = run.logical_date or run.run_after
    source = {key: params[name] for key, name in SOURCE_FIELDS.items() if params.get(name) not in (None, AS_SET)}
    return {
        "run_id": storage_id(run.run_id),
        "as_of": params.get("as_of") or moment.date().isoformat(),
        "at": moment.isoformat(),
        "source": source,
        "train": {
            name.removeprefix("train_"): value
            for name, value in params.items()
            if name.startswith("train_") and value is not None
        },
        "target": {name: params[name] for name in TARGET_FIELDS if params.get(name)},
        "request": f"{run.dag_id} {run.run_id}",
        "is_automatic": run.run_type in AUTOMATIC,
        "asks_person": params.get("approval") == "required",
        "who": getattr(run, "triggering_user_name", None) or f"airflow:{run.run_type}",
        "why": f"{run.dag_id} {run.run_id}",
        "asked_at": run.run_after.isoformat(),
    }


def _heard(output: Output) -> tuple[Any, int]:
    """Log the lines of a stage as they come, and return its result and exit code."""
    from ml.pipeline import RESULT

    result = None
    with closing(output):
        while True:
            try:
                line = next(output)
            except StopIteration as ended:
                return result, ended.value
            if line.startswith(RESULT):
                result = json.loads(line.removeprefix(RESULT))
            else:
                log.info(line.rstrip())


def _fail(stage: str, code: int) -> None:
    """Raise so that Airflow tries again only where that can help."""
    from ml import errors

    kinds = {kind.exit_code: kind for kind in errors.TradewindError.__subclasses__()}
    kind = kinds.get(code)
    if kind is not None and not kind.can_retry:
        raise AirflowFailException(f"{stage}: {kind.__name__}; a retry cannot help. The lines above say why.")
    raise AirflowException(f"{stage}: {kind.__name__ if kind else f'ended with code {code}'}; trying again may help.")
