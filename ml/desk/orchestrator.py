"""Airflow's own API, called within its process as the person who sent a form: with that login's rights and no other."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import httpx
from airflow.api_fastapi.auth.managers.base_auth_manager import COOKIE_NAME_JWT_TOKEN
from fastapi import Request
from starlette.exceptions import HTTPException

from ml.desk.form import LOOK_AGAIN

AIRFLOW = "tradewind.airflow"
"""Where the plugin leaves Airflow's application in a request's scope."""


async def start(request: Request, dag_id: str, run_id: str, conf: dict[str, Any]) -> None:
    """Start a run of a DAG under an id that is used once.

    Raises:
        HTTPException: Airflow refuses; 409 where there is such a run.
    """
    body = {"dag_run_id": run_id, "logical_date": None, "conf": conf}
    await _call(request, "POST", f"/dags/{dag_id}/dagRuns", body)


async def answer(request: Request, place: str, choice: str, given: dict[str, Any]) -> None:
    """Answer a step that waits for a person.

    Args:
        request: Of the person who answers.
        place: `/dags/…/dagRuns/…/taskInstances/…` of the step.
        choice: One of its options.
        given: Its fields.

    Raises:
        HTTPException: Airflow refuses; 409 where somebody answered before.
    """
    await _call(request, "PATCH", f"{place}/-1/hitlDetails", {"chosen_options": [choice], "params_input": given})


def place_of(dag_id: str, run_id: str, task_id: str) -> str:
    """Return where a task lies in Airflow's API."""
    return f"/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}/taskInstances/{task_id}"


async def _call(request: Request, method: str, path: str, body: dict[str, Any]) -> None:
    token = request.headers.get("authorization") or f"Bearer {request.cookies.get(COOKIE_NAME_JWT_TOKEN)}"
    transport = httpx.ASGITransport(app=request.scope[AIRFLOW])
    async with httpx.AsyncClient(transport=transport, base_url="http://airflow/api/v2") as client:
        answered = await client.request(method, path, json=body, headers={"Authorization": token})
    if answered.is_error:
        raise HTTPException(answered.status_code, f"Airflow refused: {_detail(answered)} {LOOK_AGAIN}")


def _detail(answered: httpx.Response) -> str:
    if answered.status_code == 409:
        return "this was decided already."
    try:
        return str(answered.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return f"status {answered.status_code}."
