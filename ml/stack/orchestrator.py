"""Airflow's REST API as the command line uses it: trigger a DAG, follow its tasks, read a log."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import httpx
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_exponential

from ml.errors import ServiceUnavailable
from ml.pipeline import storage_id
from ml.stack.airflow import USER

ENDED = ("success", "failed")
PARSE_SECONDS = 120
CALL_SECONDS, CALL_TRIES = 30, 5
LONGEST_CALL_SECONDS = CALL_TRIES * (CALL_SECONDS + 5)


@dataclass(frozen=True, kw_only=True)
class TaskState:
    """One task of a run."""

    name: str
    state: str
    """Airflow's state, `waiting` before it has one."""
    seconds: float | None
    tries: int


class Orchestrator:
    """A session with Airflow."""

    def __init__(self, url: str, password: str) -> None:
        answer = httpx.post(f"{url}/auth/token", json={"username": USER, "password": password}, timeout=30)
        answer.raise_for_status()
        headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        self._http = httpx.Client(base_url=f"{url}/api/v2", headers=headers, timeout=CALL_SECONDS)

    def trigger(self, dag_id: str, conf: dict[str, Any], run_id: str | None = None) -> str:
        """Start a run, under an id or Airflow's own, and return the id, once the DAG is known."""
        self._await_dag(dag_id)
        body = {"logical_date": None, "conf": conf, "dag_run_id": run_id}
        return str(self._call("POST", f"/dags/{dag_id}/dagRuns", json=body)["dag_run_id"])

    def state(self, dag_id: str, run_id: str) -> str:
        """Return the run's state."""
        return str(self._call("GET", f"/dags/{dag_id}/dagRuns/{run_id}")["state"])

    def runs(self, dag_id: str) -> list[str]:
        """Return the ids of a DAG's runs."""
        return [str(run["dag_run_id"]) for run in self._call("GET", f"/dags/{dag_id}/dagRuns")["dag_runs"]]

    def tasks(self, dag_id: str, run_id: str) -> dict[str, TaskState]:
        """Return the run's tasks by name."""
        found = self._call("GET", f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances", params={"limit": 100})
        return {item["task_id"]: _task(item) for item in found["task_instances"]}

    def look_again(self, dag_id: str, run: str, task: str) -> bool:
        """Start a step anew that waits for a person; return whether it waited.

        Args:
            dag_id: Name of the DAG.
            run: As it stands in keys.
            task: Name of the step.
        """
        place, asked = f"/dags/{dag_id}/dagRuns/~/taskInstances", {"state": "awaiting_input", "limit": 100}
        found = self._call("GET", place, params=asked)["task_instances"]
        waiting = {str(item["dag_run_id"]) for item in found if item["task_id"] == task}
        for run_id in (one for one in waiting if storage_id(one) == run):
            cleared = {"dry_run": False, "dag_run_id": run_id, "task_ids": [task], "only_failed": False}
            self._call("POST", f"/dags/{dag_id}/clearTaskInstances", json=cleared)
            return True
        return False

    def log(self, dag_id: str, run_id: str, task: str, tries: int) -> list[str]:
        """Return the lines of a task's log."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task}/logs/{max(tries, 1)}"
        content = self._call("GET", path, params={"full_content": True})["content"]
        return [str(item["event"]) if isinstance(item, dict) else str(item) for item in content]

    def _await_dag(self, dag_id: str) -> None:
        deadline = time.monotonic() + PARSE_SECONDS
        while time.monotonic() < deadline:
            if self._http.get(f"/dags/{dag_id}").status_code == 200:
                return
            time.sleep(0.3)
        faults = self._call("GET", "/importErrors")["import_errors"]
        seen = "; ".join(str(fault["stack_trace"]).strip().splitlines()[-1] for fault in faults) or "no such DAG"
        raise ServiceUnavailable(f"the DAG {dag_id} within {PARSE_SECONDS} s", seen, "Mend the file in dags/.")

    @retry(
        retry=retry_if_exception_type(httpx.TransportError),
        stop=stop_after_attempt(CALL_TRIES),
        wait=wait_exponential(max=5),
        reraise=True,
    )
    def _call(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        answer = self._http.request(method, path, **options)
        if answer.is_error:
            raise ServiceUnavailable(
                f"Airflow to accept {method} {path}", f"{answer.status_code} {answer.text[:300]}", "Read Airflow's log."
            )
        found: dict[str, Any] = answer.json()
        return found


def _task(item: dict[str, Any]) -> TaskState:
    return TaskState(
        name=item["task_id"],
        state=item["state"] or "waiting",
        seconds=item["duration"],
        tries=item["try_number"],
    )
