"""Airflow DAG `maintain`: verifies ledgers, removes old data by retention, checks room and certificates, reports; daily."""

from __future__ import annotations

from airflow.sdk import DAG, CronTriggerTimetable, Param
from tradewind_form import maintenance_documentation
from tradewind_tasks import upkeep_task

from ml.pipeline import UPKEEP, UPKEEP_AFTER

DAILY = "40 2 * * *"
LAST = "summary"

with DAG(
    dag_id="maintain",
    description="Verify ledgers, remove what no retention keeps, check room and certificates",
    doc_md=maintenance_documentation(),
    schedule=CronTriggerTimetable(DAILY, timezone="UTC", run_immediately=False),
    catchup=False,
    max_active_runs=1,
    tags=["tradewind", "maintain"],
    default_args={"owner": "mlops"},
    params={"dry_run": Param(False, type="boolean", title="Dry run", description="Only log what would be removed.")},
) as maintain:
    steps = {name: upkeep_task(name) for name in UPKEEP if name != LAST}
    for name, before in UPKEEP_AFTER.items():
        steps[name].set_upstream([steps[one] for one in before])
    # The report is written whatever failed before it.
    upkeep_task(LAST, trigger_rule="all_done").set_upstream(list(steps.values()))
