"""Airflow DAGs `retrain_<use case>`: from the shop's data to a served version, daily, on drift, or by hand with a form."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, AssetOrTimeSchedule, CronTriggerTimetable, chain
from tradewind_form import approval, documentation, params
from tradewind_notify import TellPeople
from tradewind_review import review, run_again
from tradewind_tasks import drift_asset, production_asset, stage_task

from ml.pipeline import STAGES
from ml.use_cases import NAMES

DAILY = "30 4 * * *"


def _with_people(tasks: list[Any], review: Any, approve: Any) -> list[Any]:
    """Return the tasks in order, with the two steps at which a person may be asked."""
    data, version = STAGES.index("anonymise"), STAGES.index("promote")
    return [*tasks[:data], review, *tasks[data:version], approve, *tasks[version:]]


def retrain(use_case: str) -> DAG:
    """Return the retraining DAG of one use case."""
    with DAG(
        dag_id=f"retrain_{use_case}",
        description=f"Retrain, gate and promote {use_case}",
        doc_md=documentation(use_case),
        schedule=AssetOrTimeSchedule(
            timetable=CronTriggerTimetable(DAILY, timezone="UTC", run_immediately=False),
            assets=[drift_asset(use_case)],
        ),
        catchup=False,
        max_active_runs=1,
        tags=["tradewind", "retrain", use_case],
        default_args={"owner": "mlops"},
        params=params(use_case),
    ) as dag:
        options: dict[str, dict[str, Any]] = {
            "validate": {"on_failure_callback": TellPeople("block", use_case)},
            "evaluate": {"on_failure_callback": TellPeople("refuse", use_case)},
            "promote": {
                "outlets": [production_asset(use_case)],
                "on_success_callback": TellPeople("move", use_case),
            },
            "serve": {"trigger_rule": "none_failed_min_one_success"},  # also where promotion had nothing to move
        }
        tasks = {stage: stage_task(stage, use_case, **options.get(stage, {})) for stage in STAGES}
        asked = review(use_case)
        chain(*_with_people([tasks[stage] for stage in STAGES], asked, approval(use_case)))
        tasks["package"] >> tasks["serve"]
        asked >> run_again(use_case, trigger_rule="one_failed")
    return dag


for name in NAMES:
    globals()[f"retrain_{name}"] = retrain(name)
