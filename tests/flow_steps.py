"""What tests do to a running stack: kill its tasks, call Airflow's API as one of its people, wait for a step or an end."""

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import psutil

from ml.pipeline import STAGES
from ml.stack import up as stack
from ml.stack.airflow import USER, passwords
from ml.stack.orchestrator import ENDED, Orchestrator

RUN_SECONDS = 420


class Killer(threading.Thread):
    """Kills the first try of every stage of one home, each with SIGKILL, task and stage process together."""

    def __init__(self, home: Path) -> None:
        super().__init__(daemon=True)
        self._home = str(home)
        self.killed: dict[str, int] = {}
        self.stop = threading.Event()

    def run(self) -> None:
        while not self.stop.is_set():
            for process in psutil.process_iter():
                self._maybe_kill(process)
            time.sleep(0.1)

    def _maybe_kill(self, process: psutil.Process) -> None:
        try:
            line = process.cmdline()
            stage = line[4] if line[1:4] == ["-m", "ml", "task"] else None
            if stage not in STAGES or stage in self.killed or process.environ().get("TRADEWIND_HOME") != self._home:
                return
            # Later stages are let further: half are killed while they compute, half while they hand over.
            time.sleep(0.4 if len(self.killed) % 2 else 1.5)
            family = [process, *process.children(recursive=True)]
            for member in family:
                os.kill(member.pid, signal.SIGKILL)
            self.killed[stage] = process.pid
        except (psutil.NoSuchProcess, ProcessLookupError):
            return


def steering(running: stack.Stack) -> Orchestrator:
    """Return what starts and watches a stack's runs."""
    return Orchestrator(running.airflow_url, running.secrets["airflow_password"])


def api(running: stack.Stack, login: str = USER) -> httpx.Client:
    """Return a client of Airflow's API as one of the embedded logins."""
    held = {"username": login, "password": passwords(running.secrets)[login]}
    token = httpx.post(f"{running.airflow_url}/auth/token", json=held, timeout=30).json()["access_token"]
    return httpx.Client(
        base_url=f"{running.airflow_url}/api/v2", headers={"Authorization": f"Bearer {token}"}, timeout=30
    )


def place_of(run_id: str, task: str, dag_id: str = "retrain_recommend") -> str:
    """Return where a task of a run lies in Airflow's API."""
    return f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task}"


HEARD_SECONDS = 5.0
"""Until Airflow's scheduler has heard that a task sleeps (1.2 s on busy cores); an answer before marks the task as failed."""


def await_question(http: httpx.Client, place: str) -> dict[str, Any]:
    """Return what a step shows once it waits for a person."""
    deadline = time.monotonic() + RUN_SECONDS
    while (state := http.get(place).json()["state"]) != "awaiting_input" and time.monotonic() < deadline:
        assert state not in ("failed", "upstream_failed", "skipped")
        time.sleep(0.5)
    assert state == "awaiting_input", f"{place} is {state} after {RUN_SECONDS} s"
    time.sleep(HEARD_SECONDS)
    details: dict[str, Any] = http.get(f"{place}/-1/hitlDetails").json()
    return details


def say(http: httpx.Client, place: str, choice: str, **given: str | None) -> int:
    """Answer a step that waits; return the status."""
    return http.patch(f"{place}/-1/hitlDetails", json={"chosen_options": [choice], "params_input": given}).status_code


def clear(http: httpx.Client, run_id: str, task: str, dag_id: str = "retrain_recommend", **changes: bool) -> None:
    """Let a task and what follows it run again."""
    body = {"dry_run": False, "dag_run_id": run_id, "task_ids": [task], "include_downstream": True, **changes}
    cleared = {**body, "only_failed": False, "reset_dag_runs": True}
    assert http.post(f"/dags/{dag_id}/clearTaskInstances", json=cleared).status_code == 200


def await_state(http: httpx.Client, place: str, *states: str) -> str:
    """Wait until a task is in one of some states, and return it."""
    deadline = time.monotonic() + RUN_SECONDS
    while (state := str(http.get(place).json()["state"])) not in states and time.monotonic() < deadline:
        time.sleep(0.5)
    return state


def await_end(orchestrator: Orchestrator, run_id: str, dag_id: str = "retrain_recommend") -> str:
    deadline = time.monotonic() + RUN_SECONDS
    while (state := orchestrator.state(dag_id, run_id)) not in ENDED and time.monotonic() < deadline:
        time.sleep(0.5)
    return state
