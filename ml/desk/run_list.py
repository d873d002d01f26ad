"""The runs of a use case as Airflow knows them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from airflow.models.dagrun import DagRun
from airflow.utils.session import create_session
from sqlalchemy import select

from ml.desk.access import RETRAIN
from ml.pipeline import storage_id

SHOWN = 10
SEARCHED = 200


@dataclass(frozen=True, kw_only=True)
class RunLine:
    """One run of a retraining DAG."""

    run_id: str
    """Airflow's own id."""
    storage_id: str
    """The id in keys of the object store."""
    state: str
    started: datetime | None
    seconds: float | None
    who: str
    url: str
    """Its page in the Airflow UI."""


def last_runs(use_case: str, count: int = SHOWN) -> list[RunLine]:
    """Return the newest runs, newest first."""
    query = select(DagRun).where(DagRun.dag_id == f"{RETRAIN}{use_case}").order_by(DagRun.run_after.desc()).limit(count)
    with create_session() as session:
        return [_line(run) for run in session.scalars(query)]


def run_state(dag_id: str, run_id: str) -> str | None:
    """Return the state of one run; none where there is no such run."""
    query = select(DagRun.state).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id)
    with create_session() as session:
        found = session.scalar(query)
    return None if found is None else str(found)


def _line(run: DagRun) -> RunLine:
    seconds = (run.end_date - run.start_date).total_seconds() if run.end_date and run.start_date else None
    return RunLine(
        run_id=run.run_id,
        storage_id=storage_id(run.run_id),
        state=str(run.state),
        started=run.start_date,
        seconds=seconds,
        who=run.triggering_user_name or str(run.run_type),
        url=f"/dags/{run.dag_id}/runs/{quote(run.run_id, safe='')}",
    )


def airflow_page(use_case: str, storage: str) -> str | None:
    """Return the Airflow page of a run by its id in the store, if it is among the newest."""
    return next((run.url for run in last_runs(use_case, SEARCHED) if run.storage_id == storage), None)
