"""Airflow DAGs `monitor_<use case>`: drift and quality of what is live, hourly; a verdict "retrain" updates the drift asset."""

from __future__ import annotations

from airflow.sdk import DAG, CronTriggerTimetable
from tradewind_form import monitoring_documentation
from tradewind_notify import TellPeople
from tradewind_tasks import drift_asset, stage_task

from ml.use_cases import NAMES

HOURLY = "15 * * * *"


def monitor(use_case: str) -> DAG:
    """Return the monitoring DAG of one use case; a quiet hour skips, and a skipped task emits no event."""
    with DAG(
        dag_id=f"monitor_{use_case}",
        description=f"Watch drift and quality of {use_case}",
        doc_md=monitoring_documentation(use_case),
        schedule=CronTriggerTimetable(HOURLY, timezone="UTC", run_immediately=False),
        catchup=False,
        max_active_runs=1,
        tags=["tradewind", "monitor", use_case],
        default_args={"owner": "mlops"},
    ) as dag:
        told = TellPeople("drift", use_case)
        callbacks = {"on_success_callback": told, "on_failure_callback": told}
        stage_task("monitor", use_case, outlets=[drift_asset(use_case)], **callbacks)
    return dag


for name in NAMES:
    globals()[f"monitor_{name}"] = monitor(name)
