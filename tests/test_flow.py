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

import numpy as np
import pandas as pd
import psutil
import pytest
import yaml
from rich.console import Console

from ml.config import Settings
from ml.packaging import artifact
from ml.pipeline import FILE_STAGES, ROLES, SECRETS, STAGES, storage_id
from ml.pipeline.workspace import FROZEN, run_key
from ml.registry import ledger
from ml.registry.fetch import fetch_document
from ml.stack import summary
from ml.stack import up as stack
from ml.stack.orchestrator import ENDED, Orchestrator
from ml.stack.process import free_port
from ml.store import Bucket
from ml.use_cases import load
from tests.sample_shop import land

pytestmark = [pytest.mark.airflow, pytest.mark.filterwarnings("ignore")]

AS_OF = "2026-06-30"
RUN_SECONDS = 420


@pytest.fixture(scope="module")
def landing_zone(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("landing")
    land(folder, load("recommend").data.sample(np.random.default_rng(11), 260))
    return folder


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for part in ("S3", "AIRFLOW", "SERVER"):
            patch.setenv(f"TRADEWIND_{part}_PORT", str(free_port()))
        patch.setenv("TRADEWIND_POLL_SECONDS", "0.5")
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


def locked(settings: Settings, run_id: str) -> dict[str, str]:
    """Return the DVC hash of each hashed output; `package` holds documents and is compared by its version's digest."""
    document = yaml.safe_load(Bucket.open(settings, "runs").get(run_key("recommend", run_id, "dvc.lock")))
    outs = [out for stage in document["stages"].values() for out in stage["outs"]]
    return {out["path"]: out["md5"] for out in outs if out["path"].startswith("data/") and "package" not in out["path"]}


def rebuild(running: stack.Stack, run_id: str, home: Path) -> str:
    """Run the same frozen inputs once more, task by task on an empty disk, undisturbed; return the new run's id."""
    runs, again = Bucket.open(running.settings("promote"), "runs"), f"again-{run_id}"
    for name in FROZEN:
        runs.put(run_key("recommend", again, name), runs.get(run_key("recommend", run_id, name)))
    for stage in (*FILE_STAGES, "promote"):
        held = [name for name in SECRETS.get(stage, ()) if name in running.secrets]
        environment = {**os.environ, **running.acting_as(ROLES[stage], *held), "TRADEWIND_HOME": str(home)}
        request = json.dumps({"run_id": again, "as_of": AS_OF, "who": "test", "why": "rebuilt"})
        command = [sys.executable, "-m", "ml", "task", stage, "recommend", "--request", request]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines()[-1] == 'RESULT {"skipped": true}', "the rebuilt version is the one that is live"
    return again


def test_killed_in_every_stage_the_run_ends_in_the_same_digests_and_is_served(running, landing_zone, capsys, tmp_path):
    killer = Killer(running.home)
    killer.start()
    orchestrator = Orchestrator(running.airflow_url, running.secrets["airflow_password"])
    conf = {"source": "files", "source_location": str(landing_zone), "as_of": AS_OF, "train_epochs": 2}
    run_id = orchestrator.trigger("retrain_recommend", conf)
    deadline = time.monotonic() + RUN_SECONDS
    while (state := orchestrator.state("retrain_recommend", run_id)) not in ENDED and time.monotonic() < deadline:
        time.sleep(1)
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

    summary.show(Console(), running, "recommend", run_id)
    shown = capsys.readouterr().out
    assert now.digest in shown
    assert "POST" in shown

    frozen = storage_id(run_id)
    assert locked(reader, rebuild(running, frozen, tmp_path)) == locked(reader, frozen)


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
