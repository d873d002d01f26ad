"""The steps of runs that wait for a person."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from airflow.models.hitl import HITLDetail
from airflow.models.taskinstance import TaskInstance
from airflow.utils.session import create_session
from airflow.utils.state import TaskInstanceState
from sqlalchemy import select

from ml.desk.access import RETRAIN
from ml.desk.orchestrator import place_of
from ml.pipeline import storage_id

REVIEW = "review"


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """One step of a run that waits."""

    use_case: str
    run_id: str
    """Airflow's own id."""
    storage_id: str
    task: str
    """`review` waits for a data owner, `approve` for who may approve a version."""
    subject: str
    since: datetime

    @property
    def place(self) -> str:
        """Return where it lies in Airflow's API."""
        return place_of(f"{RETRAIN}{self.use_case}", self.run_id, self.task)

    @property
    def url(self) -> str:
        """Return its page in the Airflow UI."""
        run = quote(self.run_id, safe="")
        return f"/dags/{RETRAIN}{self.use_case}/runs/{run}/tasks/{self.task}/required_actions"


def waiting(use_cases: Iterable[str]) -> list[Waiting]:
    """Return what waits in the retraining runs of these use cases, the longest first."""
    query = (
        select(
            TaskInstance.dag_id, TaskInstance.run_id, TaskInstance.task_id, HITLDetail.subject, HITLDetail.created_at
        )
        .join(HITLDetail, HITLDetail.ti_id == TaskInstance.id)
        .where(TaskInstance.state == TaskInstanceState.AWAITING_INPUT)
        .where(TaskInstance.dag_id.in_([f"{RETRAIN}{name}" for name in use_cases]))
        .order_by(HITLDetail.created_at)
    )
    with create_session() as session:
        return [_waiting(*row) for row in session.execute(query)]


def _waiting(dag_id: str, run_id: str, task: str, subject: str, since: datetime) -> Waiting:
    use_case = dag_id.removeprefix(RETRAIN)
    return Waiting(
        use_case=use_case, run_id=run_id, storage_id=storage_id(run_id), task=task, subject=subject, since=since
    )
