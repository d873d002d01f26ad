"""Who may see what: Airflow's own login and its permission to read a use case's retraining DAG."""

from __future__ import annotations

from collections.abc import Iterator

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import GetUserDep, get_user, requires_access_dag
from fastapi import Request
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response

from ml.use_cases import NAMES

__all__ = ["anonymous", "get_user", "may_read", "may_start", "readable"]

RETRAIN = "retrain_"


def may_read(use_case: str, request: Request, user: GetUserDep) -> str:
    """Return the name of a use case that exists and whose DAG this user may read (403 otherwise)."""
    if use_case not in NAMES:
        raise HTTPException(404, f"no use case of that name; there are {', '.join(NAMES)}")
    requires_access_dag("GET", param_dag_id=f"{RETRAIN}{use_case}")(request, user)
    return use_case


def may_start(verb: str, use_case: str, names: frozenset[str], request: Request, user: GetUserDep) -> bool:
    """Tell whether a user may start `<verb>_<use case>`: Airflow allows it, and the list of names, where there is one."""
    if names and user.get_name() not in names:
        return False
    try:
        requires_access_dag("POST", DagAccessEntity.RUN, f"{verb}_{use_case}")(request, user)
    except HTTPException as error:
        if error.status_code != 403:
            raise
        return False
    return True


def readable(request: Request, user: GetUserDep) -> tuple[str, ...]:
    """Return the use cases this user may read."""
    return tuple(_permitted(request, user))


async def anonymous(request: Request, error: Exception) -> Response:
    """Send a person without a login to Airflow's login page and back; tell a program the status."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    detail = error.detail if isinstance(error, HTTPException) else "an internal error"
    if status == 401 and "text/html" in request.headers.get("accept", ""):
        return RedirectResponse(get_auth_manager().get_url_login(next_url=str(request.url)), status_code=302)
    return JSONResponse({"detail": detail}, status_code=status)


def _permitted(request: Request, user: GetUserDep) -> Iterator[str]:
    for name in NAMES:
        try:
            yield may_read(name, request, user)
        except HTTPException as error:
            if error.status_code != 403:
                raise
