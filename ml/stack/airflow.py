"""Airflow as the embedded orchestrator: api-server, scheduler and dag-processor on SQLite, on loopback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx

from ml.environment import inherited
from ml.errors import ServiceUnavailable
from ml.files import write_private
from ml.pipeline.place import PROJECT
from ml.private import UMASK
from ml.stack.family import KEEP_ENVIRONMENT
from ml.stack.process import Children
from ml.stack.secret import derived

API, SCHEDULER, DAG_PROCESSOR = "airflow-api", "airflow-scheduler", "airflow-dag-processor"
USER = "admin"
USERS = {USER: "admin", "owner": "user", "operator": "op", "viewer": "viewer"}
"""Logins with Airflow's roles: who sets up, who decides about data, who moves versions, who looks."""
PEOPLE = {
    "TRADEWIND_DATA_OWNERS": ",".join(name for name, role in USERS.items() if role in ("user", "admin")),
    "TRADEWIND_OPERATORS": ",".join(name for name, role in USERS.items() if role in ("op", "admin")),
}
"""What Tradewind lets them do. Airflow's roles contain each other; these do not: an operator is no data owner."""
PASSWORD_LENGTH = 20  # hexadecimal digits: 80 bits
READY_SECONDS = 120
MIGRATE_SECONDS = 300  # of a large database on a busy machine


def environment(home: Path, port: int, secrets: Mapping[str, str]) -> dict[str, str]:
    """Return Airflow's configuration as environment variables."""
    folder = (home / "airflow").absolute()
    url = f"http://127.0.0.1:{port}"
    options = {
        "CORE__DAGS_FOLDER": PROJECT / "dags",
        "CORE__PLUGINS_FOLDER": PROJECT / "plugins",
        "CORE__LOAD_EXAMPLES": False,
        "CORE__EXECUTOR": "LocalExecutor",
        "CORE__PARALLELISM": 8,
        "CORE__FERNET_KEY": secrets["airflow_fernet"],
        "CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "CORE__DAGS_ARE_PAUSED_AT_CREATION": False,
        "CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{name}:{role}" for name, role in USERS.items()),
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": folder / "passwords.json",
        "API__HOST": "127.0.0.1",
        "API__PORT": port,
        "API__BASE_URL": url,
        "API__WORKERS": 1,
        "API__SECRET_KEY": secrets["airflow_secret"],
        "API_AUTH__JWT_SECRET": secrets["airflow_jwt"],
        "API__EXPOSE_CONFIG": False,
        "DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{folder / 'airflow.db'}?timeout=30",  # writers wait on a busy machine
        "DAG_PROCESSOR__REFRESH_INTERVAL": 60,
        "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": 60,
        "LOGGING__BASE_LOG_FOLDER": folder / "logs",
        "LOGGING__FILE_TASK_HANDLER_NEW_FOLDER_PERMISSIONS": "0o700",  # it sets them whatever the umask says
        "LOGGING__FILE_TASK_HANDLER_NEW_FILE_PERMISSIONS": "0o600",
        "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": 0.25,
        "SCHEDULER__ENABLE_HEALTH_CHECK": False,
        "SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": 20,  # seconds without a heartbeat, which comes every 5
        "SCHEDULER__TRIGGER_TIMEOUT_CHECK_INTERVAL": 2,  # a question whose time is up is answered soon
        "WORKERS__MIN_HEARTBEAT_INTERVAL": 1,
    }
    return {
        "AIRFLOW_HOME": str(folder),
        **KEEP_ENVIRONMENT,
        **{f"AIRFLOW__{name}": str(value) for name, value in options.items()},
    }


def start(children: Children, home: Path, port: int, secrets: Mapping[str, str], extra: Mapping[str, str]) -> None:
    """Start the three parts unless they run.

    Args:
        children: Where the processes are recorded.
        home: Folder of the stack.
        port: Port of the UI and API.
        secrets: The stack's secrets.
        extra: Tradewind's own settings, for the tasks.

    Raises:
        ServiceUnavailable: A part did not come up.
    """
    variables = {**environment(home, port, secrets), **extra}
    folder = home / "airflow"
    folder.mkdir(parents=True, exist_ok=True)
    write_private(folder / "passwords.json", json.dumps(passwords(secrets)).encode())
    if children.find(API) is None:
        with children.awaited("Airflow's database to migrate", MIGRATE_SECONDS):
            _migrate(variables, children.logs)
    program = [sys.executable, "-m", "airflow"]
    children.start(API, [*program, "api-server"], variables, cwd=folder)
    children.start(SCHEDULER, [*program, "scheduler", "--skip-serve-logs"], variables, cwd=folder)
    children.start(DAG_PROCESSOR, [*program, "dag-processor"], variables, cwd=folder)
    for part in (API, SCHEDULER, DAG_PROCESSOR):
        children.wait(part, lambda: _healthy(port), READY_SECONDS)
    _answers(f"http://127.0.0.1:{port}/execution/health")  # the first task would wait for this app's start


def passwords(secrets: Mapping[str, str]) -> dict[str, str]:
    """Return each user's password: the administrator's was generated, the others' follow from a generated secret."""
    others = {name: derived(secrets["airflow_secret"], f"login {name}")[:PASSWORD_LENGTH] for name in USERS}
    return {**others, USER: secrets["airflow_password"]}


def _migrate(variables: Mapping[str, str], logs: Path) -> None:
    logs.mkdir(parents=True, exist_ok=True)
    with (logs / "airflow-migrate.log").open("wb") as log:
        command = [sys.executable, "-m", "airflow", "db", "migrate"]
        environment = {**inherited(os.environ), **variables}
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, umask=UMASK)
        try:
            code: int | str = process.wait(MIGRATE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            code = f"none within {MIGRATE_SECONDS} s"
    if code:
        raise ServiceUnavailable(
            "Airflow's database to migrate", f"exit code {code}", f"Read {logs / 'airflow-migrate.log'}."
        )


def _healthy(port: int) -> bool:
    answer = _answers(f"http://127.0.0.1:{port}/api/v2/monitor/health")
    parts = ("metadatabase", "scheduler", "dag_processor")
    return answer is not None and all(answer.get(part, {}).get("status") == "healthy" for part in parts)


def _answers(url: str) -> dict[str, dict[str, str]] | None:
    try:
        response = httpx.get(url, timeout=5)
        return response.json() if response.status_code == 200 else None
    except (httpx.HTTPError, ValueError):
        return None
