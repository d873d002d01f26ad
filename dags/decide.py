"""Airflow DAGs `decide_<use case>`: a data owner accepts, waives, releases or rejects, from the page of a run."""

from __future__ import annotations

from airflow.sdk import DAG
from tradewind_form import decision_documentation, decision_params
from tradewind_review import run_again
from tradewind_tasks import stage_task

from ml.use_cases import NAMES


def decide(use_case: str) -> DAG:
    """Return the deciding DAG of one use case; who may start it is what Airflow and `TRADEWIND_DATA_OWNERS` say."""
    with DAG(
        dag_id=f"decide_{use_case}",
        description=f"Decide about the data of {use_case}",
        doc_md=decision_documentation(use_case),
        schedule=None,
        max_active_runs=1,
        tags=["tradewind", "decide", use_case],
        default_args={"owner": "data"},
        params=decision_params(),
    ) as dag:
        stage_task("decide", use_case) >> run_again(use_case)
    return dag


for name in NAMES:
    globals()[f"decide_{name}"] = decide(name)
