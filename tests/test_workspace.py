"""A task is stateless: any worker can continue a run, a killed try leaves nothing half-done."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import yaml
from dvc.exceptions import DvcException

from ml.errors import DataRejected, StageFailed
from ml.files import VERDICT_SCHEMA
from ml.pipeline.workspace import bring, run_key, run_stage, workspace
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


def begin(settings, run_id: str, dvc_yaml: bytes) -> Bucket:
    runs = Bucket.open(settings, "runs")
    runs.put(run_key("shop", run_id, "inputs.json"), json.dumps({"source": {"digest": run_id}}).encode())
    runs.put(run_key("shop", run_id, "params.yaml"), b"shop: {}\n")
    runs.put(run_key("shop", run_id, "dvc.yaml"), dvc_yaml)
    return runs


def locked(runs: Bucket, run_id: str) -> dict:
    return yaml.safe_load(runs.get(run_key("shop", run_id, "dvc.lock")))["stages"]


def test_a_second_worker_with_an_empty_disk_continues_the_run(object_store, tmp_path):
    first = object_store.settings("ingest", home=tmp_path / "first")
    second = object_store.settings("ingest", home=tmp_path / "second")
    runs = begin(first, "two-workers", stages(json.dumps(VERDICT)))
    run_stage(first, "shop", "two-workers", "ingest")
    run_stage(second, "shop", "two-workers", "validate")
    lock = locked(runs, "two-workers")
    assert set(lock) == {"ingest@shop", "validate@shop"}
    assert lock["validate@shop"]["deps"][0]["md5"] == lock["ingest@shop"]["outs"][0]["md5"]
    assert Bucket.open(first, "reports").get("shop/two-workers/validate/page.html") == b"seen\n"
    assert not list((tmp_path / "first" / "work").rglob("inputs.json"))


def test_a_worker_that_may_not_read_raw_data_does_not_even_ask_for_them(object_store, tmp_path, caplog):
    raw, work = (object_store.settings(role, home=tmp_path / role) for role in ("ingest", "train"))
    runs = begin(raw, "least-privilege", stages(json.dumps(VERDICT)))
    for settings, stage in ((raw, "ingest"), (raw, "validate"), (work, "features")):
        run_stage(settings, "shop", "least-privilege", stage)
    assert [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")] == []
    assert set(locked(runs, "least-privilege")) == {"ingest@shop", "validate@shop", "features@shop"}
    with (
        pytest.raises(DvcException, match="data/shop/ingest"),
        workspace(work, "shop", "least-privilege", "look") as root,
    ):
        bring(work, root, "data/shop/ingest")


def test_a_refusal_is_raised_after_its_evidence_was_pushed(object_store, tmp_path):
    settings = object_store.settings("ingest", home=tmp_path)
    runs = begin(settings, "refused", stages(json.dumps(REFUSAL)))
    run_stage(settings, "shop", "refused", "ingest")
    with pytest.raises(DataRejected, match="9 days old"):
        run_stage(settings, "shop", "refused", "validate")
    assert "validate@shop" in locked(runs, "refused")


def test_a_stage_that_fails_leaves_no_entry_in_the_lock(object_store, tmp_path):
    settings = object_store.settings("ingest", home=tmp_path)
    runs = begin(settings, "broken", stages(json.dumps(VERDICT), ingest_command="exit 3"))
    with pytest.raises(StageFailed):
        run_stage(settings, "shop", "broken", "ingest")
    assert runs.find(run_key("shop", "broken", "dvc.lock")) is None


def test_a_killed_stage_is_run_again_to_the_same_digest(object_store, tmp_path):
    settings = object_store.settings("ingest", home=tmp_path)
    slow = stages(json.dumps(VERDICT), ingest_command="sleep 2; cat inputs.json > data/shop/ingest/rows")
    runs = begin(settings, "killed", slow)
    script = "import sys; from ml.config import load_settings; from ml.pipeline.workspace import run_stage; "
    script += "run_stage(load_settings(), 'shop', 'killed', 'ingest')"
    environment = {
        **os.environ,
        "TRADEWIND_HOME": str(tmp_path),
        "TRADEWIND_S3_ENDPOINT": settings.s3_endpoint,
        "TRADEWIND_S3_ACCESS_KEY": settings.s3_access_key,
        "TRADEWIND_S3_SECRET_KEY": settings.s3_secret_key.get_secret_value(),
    }
    victim = subprocess.Popen([sys.executable, "-c", script], env=environment, start_new_session=True)
    deadline = time.monotonic() + 30
    while not list(tmp_path.rglob("data/shop/ingest")) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(victim.pid, signal.SIGKILL)
    victim.wait()
    assert runs.find(run_key("shop", "killed", "dvc.lock")) is None
    run_stage(settings, "shop", "killed", "ingest")
    begin(settings, "killed", slow)
    fresh = object_store.settings("ingest", home=tmp_path / "elsewhere")
    first = locked(runs, "killed")["ingest@shop"]["outs"]
    runs.delete(run_key("shop", "killed", "dvc.lock"))
    run_stage(fresh, "shop", "killed", "ingest")
    assert locked(runs, "killed")["ingest@shop"]["outs"] == first
    with workspace(settings, "shop", "killed", "look") as root:
        assert [path.name for path in root.parent.iterdir()] == [root.name]


def test_a_stage_runs_in_the_interpreter_of_its_task_whatever_the_shell_finds(object_store, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    settings = object_store.settings("ingest", home=tmp_path)
    asked = "python -c 'import sys; print(sys.prefix)' > data/shop/ingest/rows"
    begin(settings, "interpreter", stages(json.dumps(VERDICT), ingest_command=asked))
    run_stage(settings, "shop", "interpreter", "ingest")
    with workspace(settings, "shop", "interpreter", "look") as root:
        bring(settings, root, "data/shop/ingest")
        assert (root / "data/shop/ingest/rows").read_text().strip() == sys.prefix
