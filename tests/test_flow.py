"""The whole flow through a real Airflow: a task killed in every stage is retried and ends in the same digests."""

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import psutil
import pytest
import yaml
from pydantic import SecretStr
from rich.console import Console

from ml.packaging import artifact
from ml.pipeline import STAGES, promote, storage_id
from ml.pipeline.workspace import bring, workspace
from ml.registry import ledger
from ml.registry.fetch import fetch_document
from ml.stack import summary
from ml.stack import up as stack
from ml.stack.orchestrator import ENDED, Orchestrator
from ml.stack.process import free_port
from ml.store import Bucket
from ml.use_cases import load
from tests.sample_shop import land
from tests.stored_bytes import files, holders, objects

pytestmark = [pytest.mark.airflow, pytest.mark.filterwarnings("ignore")]

AS_OF = "2026-06-30"
NUMBER = "-zx81-planted"
PLANTED = (NUMBER, "anna.k@planted.example, 4111 1111 1111 1111", "Anna Kowalska, +49 171 2345678")
"""Part of every customer's number, and what stands in columns that are dropped."""
RUN_SECONDS = 420


@pytest.fixture(scope="module")
def landing_zone(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("landing")
    tables = load("recommend").data.sample(np.random.default_rng(11), 260)
    for name in ("purchases", "customers"):
        tables[name] = tables[name].assign(customer_id=tables[name].customer_id + NUMBER)
    hidden = tables["customers"].assign(home_ownership=PLANTED[1], marital_status=PLANTED[2])
    land(folder, {**tables, "customers": hidden})
    return folder


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for part in ("S3", "AIRFLOW", "SERVER"):
            patch.setenv(f"TRADEWIND_{part}_PORT", str(free_port()))
        patch.setenv("TRADEWIND_POLL_SECONDS", "0.5")
        patch.setenv("TRADEWIND_APPROVERS", "admin,ada")
        try:
            yield stack.up(home, lambda line: None)
        finally:
            stack.down(home)


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


def api(running: stack.Stack) -> httpx.Client:
    """Return a client of Airflow's API as the administrator."""
    login = {"username": "admin", "password": running.secrets["airflow_password"]}
    token = httpx.post(f"{running.airflow_url}/auth/token", json=login, timeout=30).json()["access_token"]
    return httpx.Client(
        base_url=f"{running.airflow_url}/api/v2", headers={"Authorization": f"Bearer {token}"}, timeout=30
    )


def answer(http: httpx.Client, run_id: str, choice: str, reason: str) -> dict:
    """Answer the approval step of a retraining once it waits; return what it showed."""
    place = f"/dags/retrain_recommend/dagRuns/{run_id}/taskInstances/approve"
    deadline = time.monotonic() + RUN_SECONDS
    while (state := http.get(place).json()["state"]) != "awaiting_input" and time.monotonic() < deadline:
        assert state not in ("failed", "upstream_failed", "skipped")
        time.sleep(0.5)
    time.sleep(1)  # an answer within a moment of the question marks the task as failed
    shown = http.get(f"{place}/-1/hitlDetails").json()
    said = {"chosen_options": [choice], "params_input": {"reason": reason}}
    assert http.patch(f"{place}/-1/hitlDetails", json=said).status_code == 200
    return shown


def await_end(orchestrator: Orchestrator, run_id: str, dag_id: str = "retrain_recommend") -> str:
    deadline = time.monotonic() + RUN_SECONDS
    while (state := orchestrator.state(dag_id, run_id)) not in ENDED and time.monotonic() < deadline:
        time.sleep(0.5)
    return state


def test_killed_in_every_stage_and_approved_the_run_ends_live_and_served(running, landing_zone, capsys):
    killer = Killer(running.home)
    killer.start()
    orchestrator = Orchestrator(running.airflow_url, running.secrets["airflow_password"])
    conf = {"source": "files", "source_location": str(landing_zone), "as_of": AS_OF, "train_epochs": 2}
    run_id = orchestrator.trigger("retrain_recommend", {**conf, "approval": "required"})
    with api(running) as http:
        shown = answer(http, run_id, "Approve", "figures look right")
    state = await_end(orchestrator, run_id)
    killer.stop.set()
    tasks = orchestrator.tasks("retrain_recommend", run_id)
    failed = [task for task in tasks.values() if task.state == "failed"]
    logs = "\n".join("\n".join(orchestrator.log("retrain_recommend", run_id, t.name, t.tries)[-30:]) for t in failed)
    assert state == "success", logs
    assert set(killer.killed) == set(STAGES)
    assert all(tasks[stage].tries >= 2 for stage in STAGES)

    reader = running.settings("read")
    now = ledger.live(reader, "recommend", "production")
    assert now is not None
    assert ledger.verify_ledger(reader, "recommend") == 1

    assert {user["id"] for user in shown["assigned_users"]} == {"admin", "ada"}
    assert f"/tradewind/gate/recommend/{storage_id(run_id)}" in shown["body"]
    (entry,) = ledger.history(reader, "recommend")
    assert (entry.approval["by"], entry.approval["reason"]) == ("admin", "figures look right")

    summary.show(Console(), running, "recommend", run_id)
    shown = capsys.readouterr().out
    assert now.digest in shown
    assert "POST" in shown


def test_a_rejection_is_in_the_ledger_and_moves_nothing(running):
    orchestrator, reader = (
        Orchestrator(running.airflow_url, running.secrets["airflow_password"]),
        running.settings("read"),
    )
    before = ledger.live(reader, "recommend", "production")
    (run_id,) = orchestrator.runs("retrain_recommend")
    again = {"dry_run": False, "dag_run_id": run_id, "task_ids": ["approve"], "include_downstream": True}
    with api(running) as http:
        cleared = {**again, "only_failed": False, "reset_dag_runs": True}
        assert http.post("/dags/retrain_recommend/clearTaskInstances", json=cleared).status_code == 200
        answer(http, run_id, "Reject", "too many teas")
    assert await_end(orchestrator, run_id) == "success"
    states = {name: task.state for name, task in orchestrator.tasks("retrain_recommend", run_id).items()}
    assert (states["promote"], states["serve"]) == ("skipped", "skipped")
    entry = ledger.history(reader, "recommend")[-1]
    assert (entry.action, entry.who, entry.why) == ("reject", "admin", "too many teas")
    assert ledger.live(reader, "recommend", "production") == before


def test_a_version_is_moved_by_the_form_of_the_release_dag(running):
    orchestrator, reader = (
        Orchestrator(running.airflow_url, running.secrets["airflow_password"]),
        running.settings("read"),
    )
    live = ledger.live(reader, "recommend", "production")
    form = {"action": "promote", "digest": live.digest, "channel": "candidate", "reason": "to try it beside"}
    assert await_end(orchestrator, orchestrator.trigger("release_recommend", form), "release_recommend") == "success"
    entry = ledger.history(reader, "recommend")[-1]
    assert (entry.channel, entry.to_digest, entry.who, entry.why) == ("candidate", live.digest, "admin", form["reason"])
    assert ledger.live(reader, "recommend", "production") == live


def verify_rebuilt(running: stack.Stack) -> subprocess.CompletedProcess:
    """Rebuild the live version by the command line, on an empty disk."""
    digest = ledger.live(running.settings("read"), "recommend", "production").digest
    command = [sys.executable, "-m", "ml", "verify", digest, "--rebuild", "--home", str(running.home)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_version_is_rebuilt_from_its_lock_to_the_same_digest(running):
    done = verify_rebuilt(running)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].endswith("was rebuilt from its lock: the same digest")


def test_a_changed_input_is_named(running, landing_zone):
    day = min(landing_zone.rglob("till.csv"))
    kept = day.read_text()
    day.write_text("".join(kept.splitlines(keepends=True)[:-1]))
    done = verify_rebuilt(running)
    day.write_text(kept)
    assert done.returncode == 7
    assert "the first stage that differs is ingest" in done.stdout


def test_a_lock_with_another_seed_is_named_by_its_stage(running):
    promoter = running.settings("promote", "signing_key")
    run_id = ledger.history(promoter, "recommend")[0].run_id
    approved = {"choice": "Approve", "by": "admin", "at": "", "reason": "to see it found out"}
    with workspace(promoter, "recommend", run_id, "another-seed") as root:
        bring(promoter, root, "data/recommend/package")
        params = yaml.safe_load((root / "params.yaml").read_text())
        params["recommend"]["train"]["seed"] += 1
        (root / "params.yaml").write_text(yaml.safe_dump(params))
        promote.run(promoter, load("recommend"), root, {"who": "test", "why": "test", "approval": approved})
    done = verify_rebuilt(running)
    assert done.returncode == 7
    assert "the first stage that differs is train" in done.stdout


def test_no_planted_value_is_stored_anywhere(running, landing_zone):
    """A question is asked in a customer's own name; then every object, cache, log and disk of the stack is searched."""
    customer = pd.read_parquet(landing_zone / "customers.parquet").customer_id[0]
    headers = {"Authorization": f"Bearer {running.secrets['server_token']}"}
    body = {"customer_id": customer, "k": 3}
    asked = httpx.post(f"{running.server_url}/v1/recommend/predict", json=body, headers=headers, timeout=30)
    assert asked.status_code == 200
    time.sleep(6)  # until the log is in the store
    admin = running.settings("read").model_copy(
        update={
            "s3_access_key": running.secrets["s3_admin_access_key"],
            "s3_secret_key": SecretStr(running.secrets["s3_admin_secret_key"]),
        }
    )
    assert holders(objects(admin), PLANTED) == []
    assert holders(files(running.home), PLANTED) == []


def test_an_erased_customer_is_gone_from_the_stored_data_and_the_version_cannot_be_rebuilt(running, landing_zone):
    customer = pd.read_parquet(landing_zone / "customers.parquet").customer_id[1]
    command = [
        sys.executable,
        "-m",
        "ml",
        "erase",
        customer,
        "--reason",
        "asked to",
        "--yes",
        "--home",
        str(running.home),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    live = ledger.live(running.settings("read"), "recommend", "production").digest
    assert f"{live}  live on candidate, production: retrain" in done.stdout
    again = verify_rebuilt(running)
    assert again.returncode == 7
    assert "not rebuildable: 1 customers" in again.stdout


def monitored(orchestrator: Orchestrator) -> str:
    """Run the monitoring DAG and return the state of its task."""
    run_id = orchestrator.trigger("monitor_recommend", {})
    deadline = time.monotonic() + 120
    while orchestrator.state("monitor_recommend", run_id) not in ENDED and time.monotonic() < deadline:
        time.sleep(0.5)
    return orchestrator.tasks("monitor_recommend", run_id)["monitor"].state


def shifted_requests(running: stack.Stack, digest: str, rows: int) -> bytes:
    """Return lines of a request log whose numbers are far from those of training."""
    profile = fetch_document(running.settings("read"), "recommend", digest, artifact.PROFILE)["profile.parquet"]
    frame = pd.read_parquet(io.BytesIO(profile)).sample(rows, replace=True, random_state=1)
    numeric = frame.select_dtypes("number").columns
    frame[numeric] = frame[numeric] * 10 + 100
    now = datetime.now(UTC).isoformat()
    line = {"schema": "tradewind/request/1", "time": now, "use_case": "recommend", "version": digest, "unit": None}
    return "\n".join(
        json.dumps({**line, "features": {**row, "score": 0.0}}) for row in frame.to_dict("records")
    ).encode()


def test_a_quiet_day_skips_and_a_shift_starts_a_retraining(running):
    orchestrator = Orchestrator(running.airflow_url, running.secrets["airflow_password"])
    assert monitored(orchestrator) == "skipped"
    now = ledger.live(running.settings("read"), "recommend", "production")
    day = datetime.now(UTC).date().isoformat()
    requests = Bucket.open(running.settings("serve"), "requests")
    requests.put(f"requests/recommend/{day}/shifted.jsonl", shifted_requests(running, now.digest, 400))
    before = set(orchestrator.runs("retrain_recommend"))
    assert monitored(orchestrator) == "success"
    deadline = time.monotonic() + 60
    while not (started := set(orchestrator.runs("retrain_recommend")) - before) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert [run_id.startswith("asset_triggered") for run_id in started] == [True]
