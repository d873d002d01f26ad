"""Serves the reports of maintenance to who may read its DAG."""

from __future__ import annotations

from datetime import UTC, date, datetime

from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from ml.config import Settings
from ml.desk import document
from ml.desk.page import led, sent
from ml.errors import ModelNotFound
from ml.store import Bucket

MAINTAIN = "maintain"
FOLDER = "maintenance"


def maintenance(settings: Settings) -> APIRouter:
    """Return the routes."""

    def permitted(request: Request, user: GetUserDep) -> None:
        requires_access_dag("GET", param_dag_id=MAINTAIN)(request, user)

    router = APIRouter(dependencies=[Depends(permitted)])

    @router.get(f"/{FOLDER}")
    def newest(request: Request) -> Response:
        keys = Bucket.open(settings, "reports").keys(f"{FOLDER}/")
        today = datetime.now(UTC).date()
        days = [day for key in keys if (day := _day(key.split("/")[1])) is not None and day <= today]
        if not days:
            raise ModelNotFound("a report of maintenance", "none", f"Start the DAG `{MAINTAIN}`.")
        return led(request, f"/{FOLDER}/{max(days)}")

    @router.get(f"/{FOLDER}/{{day}}")
    def of_day(day: date) -> Response:
        return sent(document.report(settings, FOLDER, day.isoformat(), "report.html"))

    @router.get(f"/dag/{MAINTAIN}")
    @router.get(f"/dag/{MAINTAIN}/run/{{run_id}}")
    @router.get(f"/dag/{MAINTAIN}/run/{{run_id}}/task/{{task_id}}")
    def dag(request: Request) -> Response:
        return led(request, f"/{FOLDER}")

    return router


def _day(text: str) -> date | None:
    """Return the day of a report; none where the name is another's: what trains may write there."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
