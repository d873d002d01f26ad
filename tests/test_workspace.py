"""A task is stateless: any worker can continue a run, a killed try leaves nothing half-done."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import yaml

from ml.errors import DataRejected, ModelNotFound, StageFailed
from ml.files import VERDICT_SCHEMA
from ml.pipeline import PUBLIC, frozen
from ml.pipeline.handover import lock_of
from ml.pipeline.workspace import bring, run_stage, single, workspace
from ml.store import Bucket

VERDICT = {
    "schema": VERDICT_SCHEMA,
    "stage": "validate",
    "accepted": True,
    "rules": [],
    "summary": "fine",
    "chosen": None,
    "details": {},
}
REFUSAL = {
    **VERDICT,
    "accepted": False,
    "rules": [
        {
            "name": "fresh",
            "observed": 9,
            "limit": 7,
            "passed": False,
            "severity": "block",
            "sentence": "The newest row is 9 days old.",
            "interval": None,
        }
    ],
}


def stages(validate_text: str, ingest_command: str = "cat inputs.json > data/shop/ingest/rows") -> bytes:
    """Real DVC stages made of shell commands."""
    document = {
        "vars": [{"use_cases": ["shop"]}],
        "stages": {
            "ingest": {
                "foreach": "${use_cases}",
                "do": {
                    "cmd": f"mkdir -p data/${{item}}/ingest && {ingest_command}",
                    "params": [{"inputs.json": ["source"]}],
                    "outs": [{"data/${item}/ingest": {"remote": "raw"}}],
                },
            },
            "validate": {
                "foreach": "${use_cases}",
                "do": {
                    "cmd": "mkdir -p data/${item}/validate reports/${item}/validate && cp data/${item}/ingest/rows "
                    "data/${item}/validate/ && echo seen > reports/${item}/validate/page.html && "
                    f"echo '{validate_text}' > data/${{item}}/validate/verdict.json",
                    "deps": ["data/${item}/ingest"],
                    "outs": [{"data/${item}/validate": {"remote": "raw"}}, "reports/${item}/validate"],
                },
            },
            "features": {
                "foreach": "${use_cases}",
                "do": {
                    "cmd": "mkdir -p data/${item}/features && cp reports/${item}/validate/page.html data/${item}/features/",
                    "deps": ["reports/${item}/validate"],
                    "outs": ["data/${item}/features"],
                },
            },
        },
    }
    return yaml.safe_dump(document).encode()


@pytest.fixture
def begin(object_store, tmp_path):
    """Freeze a run of a project with the stages given; return what runs one of them."""

    def begun(run_id: str, dvc_yaml: bytes):
        project = tmp_path / f"project-{run_id}"
        project.mkdir(exist_ok=True)
        (project / "dvc.yaml").write_bytes(dvc_yaml)
        inputs = json.dumps({"source": {"digest": run_id}}).encode()
        files = {"inputs.json": inputs, "params.yaml": b"shop: {}\n", "dvc.yaml": single("shop", project)}
        frozen.keep(object_store.settings("ingest"), "shop", run_id, files)

        def run(stage: str, settings=None) -> None:
            held = settings or object_store.settings("ingest", home=tmp_path / "home")
            run_stage(held, "shop", run_id, stage, project)

        run.project = project
        return run

    return begun


def locked(object_store, run_id: str) -> dict:
    return lock_of(object_store.settings("promote"), "shop", run_id, ("ingest", "validate", "features"))["stages"]


def test_a_second_worker_with_an_empty_disk_continues_the_run(object_store, tmp_path, begin):
    first = object_store.settings("ingest", home=tmp_path / "first")
    second = object_store.settings("ingest", home=tmp_path / "second")
    run = begin("two-workers", stages(json.dumps(VERDICT)))
    run("ingest", first)
    run("validate", second)
    lock = locked(object_store, "two-workers")
    assert set(lock) == {"ingest@shop", "validate@shop"}
    assert lock["validate@shop"]["deps"][0]["md5"] == lock["ingest@shop"]["outs"][0]["md5"]
    assert Bucket.open(first, "reports").get("shop/two-workers/validate/page.html") == b"seen\n"
    assert not list((tmp_path / "first" / "work").rglob("inputs.json"))


def test_a_worker_that_may_not_read_raw_data_does_not_even_ask_for_them(object_store, tmp_path, caplog, begin):
    raw, work = (object_store.settings(role, home=tmp_path / role) for role in ("ingest", "train"))
    run = begin("least-privilege", stages(json.dumps(VERDICT)))
    for settings, stage in ((raw, "ingest"), (raw, "validate"), (work, "features")):
        run(stage, settings)
    assert [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")] == []
    assert set(locked(object_store, "least-privilege")) == {"ingest@shop", "validate@shop", "features@shop"}
    with (
        pytest.raises(ModelNotFound, match="data/shop/ingest"),
        workspace(work, "shop", "least-privilege", "look", run.project) as root,
    ):
        bring(work, root, "data/shop/ingest")


def test_a_refusal_is_raised_after_its_evidence_was_pushed(object_store, begin):
    run = begin("refused", stages(json.dumps(REFUSAL)))
    run("ingest")
    with pytest.raises(DataRejected, match="9 days old"):
        run("validate")
    assert "validate@shop" in locked(object_store, "refused")


def test_a_stage_that_fails_hands_nothing_over(object_store, begin):
    run = begin("broken", stages(json.dumps(VERDICT), ingest_command="exit 3"))
    with pytest.raises(StageFailed):
        run("ingest")
    assert locked(object_store, "broken") == {}


def test_a_killed_stage_is_run_again_to_the_same_digest(object_store, tmp_path, begin):
    settings = object_store.settings("ingest", home=tmp_path)
    slow = stages(json.dumps(VERDICT), ingest_command="sleep 2; cat inputs.json > data/shop/ingest/rows")
    run = begin("killed", slow)
    script = "import sys; from pathlib import Path; from ml.config import load_settings; "
    script += "from ml.pipeline.workspace import run_stage; "
    script += f"run_stage(load_settings(), 'shop', 'killed', 'ingest', Path({str(run.project)!r}))"
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
    assert locked(object_store, "killed") == {}
    run("ingest", settings)
    first = locked(object_store, "killed")["ingest@shop"]["outs"]
    run("ingest", object_store.settings("ingest", home=tmp_path / "elsewhere"))
    assert locked(object_store, "killed")["ingest@shop"]["outs"] == first
    with workspace(settings, "shop", "killed", "look", run.project) as root:
        assert [path.name for path in root.parent.iterdir()] == [root.name]


def test_a_stage_runs_in_the_interpreter_of_its_task_whatever_the_shell_finds(
    object_store, tmp_path, monkeypatch, begin
):
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    settings = object_store.settings("ingest", home=tmp_path)
    asked = "python -c 'import sys; print(sys.prefix)' > data/shop/ingest/rows"
    run = begin("interpreter", stages(json.dumps(VERDICT), ingest_command=asked))
    run("ingest", settings)
    with workspace(settings, "shop", "interpreter", "look", run.project) as root:
        bring(settings, root, "data/shop/ingest")
        assert (root / "data/shop/ingest/rows").read_text().strip() == sys.prefix
