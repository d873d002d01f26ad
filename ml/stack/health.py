"""How each part of a running stack is: asked of the part itself, for a process that lives may do nothing."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx

from ml.stack import airflow, objectstore
from ml.stack.process import Children

SERVER = "model-server"
PARTS = (objectstore.CHILD, SERVER, airflow.API, airflow.SCHEDULER, airflow.DAG_PROCESSOR)
ASK_SECONDS = 5


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """Where a stack's parts are asked, and with which secrets."""

    s3_port: int
    airflow_url: str
    server_url: str
    secrets: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Health:
    """How one part is."""

    is_alive: bool
    """Its process runs."""
    reason: str
    """Why it does not do its work; empty where it does."""

    @property
    def is_healthy(self) -> bool:
        """Tell whether it does its work."""
        return self.is_alive and not self.reason


def look(children: Children, where: Addresses) -> dict[str, Health]:
    """Ask every part how it is; a part that is down is not asked."""
    alive = {name: children.find(name) is not None for name in PARTS}
    said = _airflow(where.airflow_url) if alive[airflow.API] else "the API, which knows, is down"
    asked = {
        objectstore.CHILD: lambda: objectstore.complaint(where.s3_port, where.secrets, ASK_SECONDS),
        SERVER: lambda: _server(where.server_url),
        airflow.API: lambda: said if isinstance(said, str) else _of(said, "metadatabase"),
        airflow.SCHEDULER: lambda: said if isinstance(said, str) else _of(said, "scheduler"),
        airflow.DAG_PROCESSOR: lambda: said if isinstance(said, str) else _of(said, "dag_processor"),
    }
    with ThreadPoolExecutor(len(PARTS)) as pool:  # several that hang cost no more time than one
        said_of = {name: pool.submit(asked[name]) for name in PARTS if alive[name]}
    reasons = {name: one.result() for name, one in said_of.items()}
    return {name: Health(is_alive=alive[name], reason=reasons.get(name, "not running")) for name in PARTS}


def ill(found: Mapping[str, Health]) -> list[str]:
    """Return the parts that live and do not do their work: those that should be replaced.

    Of Airflow's parts only the API knows, so while it is ill itself the others are taken to be well.
    """
    names = [name for name, health in found.items() if health.is_alive and not health.is_healthy]
    if not found[airflow.API].is_healthy:
        names = [name for name in names if name not in (airflow.SCHEDULER, airflow.DAG_PROCESSOR)]
    return names


def _airflow(url: str) -> dict[str, Any] | str:
    """Return what Airflow's API tells of all parts, or why it tells nothing."""
    try:
        answer = httpx.get(f"{url}/api/v2/monitor/health", timeout=ASK_SECONDS)
        told = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        return f"no answer of Airflow's API ({type(error).__name__})"
    return (
        told if answer.status_code == 200 and isinstance(told, dict) else f"Airflow's API answers {answer.status_code}"
    )


def _of(told: Mapping[str, Any], part: str) -> str:
    state = told.get(part) or {}
    if state.get("status") == "healthy":
        return ""
    beat = next((value for name, value in state.items() if name.startswith("latest_") and value), None)
    return f"{state.get('status')}; last heartbeat {beat}" if beat else str(state.get("status"))


def _server(url: str) -> str:
    """Return what is wrong with the model server; without any version yet it is well."""
    try:
        answer = httpx.get(f"{url}/health", timeout=ASK_SECONDS)
        threads = answer.json().get("threads", {})
    except (httpx.HTTPError, ValueError) as error:
        return f"no answer ({type(error).__name__})"
    dead = [name for name, pulse in threads.items() if not pulse.get("alive", True)]
    return "" if answer.status_code == 200 else f"answers {answer.status_code}; dead: {', '.join(dead) or 'nothing'}"
