"""When the retraining of each use case runs next by itself, as Airflow has planned it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from airflow.models.dag import DagModel
from airflow.utils.session import create_session
from sqlalchemy import select

from ml.desk.access import RETRAIN

LATE = timedelta(minutes=5)
"""After which a run that has not started needs a word: the scheduler looks every few seconds."""


@dataclass(frozen=True, kw_only=True)
class NextRun:
    """What Airflow plans for one retraining DAG."""

    is_paused: bool
    at: datetime | None
    """UTC; none where the timetable plans none."""

    @property
    def left(self) -> timedelta | None:
        """Return how long it is until then; negative where it should have started."""
        return self.at - datetime.now(UTC) if self.at else None

    @property
    def is_late(self) -> bool:
        """Tell whether it should have started a while ago."""
        return self.left is not None and self.left < -LATE


def next_runs(use_cases: Iterable[str]) -> dict[str, NextRun]:
    """Return what is planned by use case, in one query; those whose DAG Airflow does not know are left out."""
    named = {f"{RETRAIN}{name}": name for name in use_cases}
    query = select(DagModel.dag_id, DagModel.is_paused, DagModel.next_dagrun_create_after)
    with create_session() as session:
        rows = session.execute(query.where(DagModel.dag_id.in_(named)))
        return {named[dag_id]: NextRun(is_paused=is_paused, at=at) for dag_id, is_paused, at in rows}
