"""Airflow DAGs `release_<use case>`: roll back to a version or promote one, by hand, with a reason."""

from __future__ import annotations

from airflow.sdk import DAG
from tradewind_form import release_documentation, release_params
from tradewind_notify import TellPeople
from tradewind_tasks import production_asset, stage_task

from ml.use_cases import NAMES


def release(use_case: str) -> DAG:
    """Return the release DAG of one use case."""
    with DAG(
        dag_id=f"release_{use_case}",
        description=f"Roll {use_case} back to a version, or promote one",
        doc_md=release_documentation(use_case),
        schedule=None,
        max_active_runs=1,
        tags=["tradewind", "release", use_case],
        default_args={"owner": "mlops"},
        params=release_params(),
    ) as dag:
        told = TellPeople("move", use_case)
        stage_task("release", use_case, outlets=[production_asset(use_case)], on_success_callback=told)
    return dag


for name in NAMES:
    globals()[f"release_{name}"] = release(name)
