"""A task is stateless: any worker can continue a run, a killed try leaves nothing half-done."""

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial

import pytest

from ml.errors import DataRejected, ModelNotFound, StageFailed
from ml.pipeline import PUBLIC
from ml.pipeline.leftovers import sweep
from ml.pipeline.workspace import bring
from ml.store import Bucket
from tests.shell_stages import REFUSAL, VERDICT, Project, stages


@pytest.fixture
def begin(object_store, tmp_path):
    """Freeze a run of a project with the stages given."""
    return partial(Project, object_store, tmp_path)


def test_a_second_worker_with_an_empty_disk_continues_the_run(object_store, tmp_path, begin):
    first = object_store.settings("ingest", home=tmp_path / "first")
    second = object_store.settings("ingest", home=tmp_path / "second")
    run = begin("two-workers", stages(json.dumps(VERDICT)))
    run.run("ingest", first)
    run.run("validate", second)
    lock = run.locked()
    assert set(lock) == {"ingest@shop", "validate@shop"}
    assert lock["validate@shop"]["deps"][0]["md5"] == lock["ingest@shop"]["outs"][0]["md5"]
    assert Bucket.open(first, "reports").get("shop/two-workers/validate/page.html") == b"seen\n"
    assert not list((tmp_path / "first" / "work").rglob("inputs.json"))


def test_a_worker_that_may_not_read_raw_data_does_not_even_ask_for_them(object_store, tmp_path, caplog, begin):
    raw, work = (object_store.settings(role, home=tmp_path / role) for role in ("ingest", "train"))
    run = begin("least-privilege", stages(json.dumps(VERDICT)))
    for settings, stage in ((raw, "ingest"), (raw, "validate"), (work, "features")):
        run.run(stage, settings)
    assert [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")] == []
    assert set(run.locked()) == {"ingest@shop", "validate@shop", "features@shop"}
    with (
        pytest.raises(ModelNotFound, match="data/shop/ingest"),
        run.open(work) as root,
    ):
        bring(work, root, "data/shop/ingest")


def test_a_refusal_is_raised_after_its_evidence_was_pushed(begin):
    run = begin("refused", stages(json.dumps(REFUSAL)))
    run.run("ingest")
    with pytest.raises(DataRejected, match="9 days old"):
        run.run("validate")
    assert "validate@shop" in run.locked()


def test_a_stage_that_fails_hands_nothing_over(begin):
    run = begin("broken", stages(json.dumps(VERDICT), ingest_command="exit 3"))
    with pytest.raises(StageFailed):
        run.run("ingest")
    assert run.locked() == {}


def test_a_killed_stage_is_run_again_to_the_same_digest(object_store, tmp_path, begin):
    settings = object_store.settings("ingest", home=tmp_path)
    slow = stages(json.dumps(VERDICT), ingest_command="sleep 2; cat inputs.json > data/shop/ingest/rows")
    run = begin("killed", slow)
    script = "import sys; from pathlib import Path; from ml.config import load_settings; "
    script += "from ml.pipeline.workspace import run_stage; "
    script += f"run_stage(load_settings(), 'shop', 'killed', 'ingest', Path({str(run.folder)!r}))"
    secrets = ("s3_secret_key", "freeze_key")
    told = {name: getattr(settings, name) for name in ("s3_endpoint", "s3_access_key", *PUBLIC)}
    told |= {name: getattr(settings, name).get_secret_value() for name in secrets}
    environment = {
        **os.environ,
        "TRADEWIND_HOME": str(tmp_path),
        **{f"TRADEWIND_{k.upper()}": v for k, v in told.items()},
    }
    victim = subprocess.Popen([sys.executable, "-c", script], env=environment, start_new_session=True)
    deadline = time.monotonic() + 30
    while not list(tmp_path.rglob("data/shop/ingest")) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(victim.pid, signal.SIGKILL)
    victim.wait()
    assert run.locked() == {}
    run.run("ingest", settings)
    first = run.locked()["ingest@shop"]["outs"]
    run.run("ingest", object_store.settings("ingest", home=tmp_path / "elsewhere"))
    assert run.locked()["ingest@shop"]["outs"] == first
    with run.open(settings) as root:
        assert [path.name for path in root.parent.iterdir()] == [root.name]


def test_a_stage_runs_in_the_interpreter_of_its_task_whatever_the_shell_finds(
    object_store, tmp_path, monkeypatch, begin
):
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    settings = object_store.settings("ingest", home=tmp_path)
    asked = "python -c 'import sys; print(sys.prefix)' > data/shop/ingest/rows"
    run = begin("interpreter", stages(json.dumps(VERDICT), ingest_command=asked))
    run.run("ingest", settings)
    with run.open(settings) as root:
        bring(settings, root, "data/shop/ingest")
        assert (root / "data/shop/ingest/rows").read_text().strip() == sys.prefix


def test_folders_of_dead_processes_are_removed_whoevers_run_they_served(tmp_path):
    """Of this process it stays; of a dead one, and of one whose PID somebody else has by now, it goes."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    folders = {owner: tmp_path / "work" / "shop" / owner for owner in ("lives", "dead", "reused")}
    pids = {"lives": os.getpid(), "dead": child.pid, "reused": os.getpid()}
    made = {owner: folder / f"train.{pids[owner]}" for owner, folder in folders.items()}
    for folder in made.values():
        folder.mkdir(parents=True)
        (folder / "rows").touch()
    os.utime(made["reused"], (0, 0))
    sweep(tmp_path)
    assert {owner for owner, folder in made.items() if folder.exists()} == {"lives"}
