"""The whole embedded stack, started by a careless person: what others on the machine can reach, read and plant."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import ml
from ml.stack import up as stack
from ml.stack.process import free_port
from tests.other_user import as_nobody, needs_root, too_open

PROJECT = Path(ml.__file__).parent.parent
RUN = {"run_id": "private", "as_of": "2024-06-30", "who": "test", "why": "test"}


@pytest.fixture(scope="module")
def running():
    """A stack started with umask 000 in a folder that everybody may enter; pytest's own folders are closed."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        home = Path(folder) / "home"
        ports = {f"TRADEWIND_{part}_PORT": str(free_port()) for part in ("S3", "AIRFLOW", "SERVER")}
        try:
            command("up", home, **ports)
            yield stack.load(home)
        finally:
            stack.down(home)


def command(*arguments, **variables):
    """Run the command line with umask 000: what it printed."""
    *verb, home = arguments
    done = subprocess.run(
        [sys.executable, "-m", "ml", *verb],
        env={**os.environ, "TRADEWIND_HOME": str(home), **variables},
        cwd=PROJECT,
        umask=0,
        check=False,
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_neither_the_parts_nor_a_stage_leave_anything_open_whatever_the_operators_umask(running):
    home = running.home
    ingest = running.acting_as("ingest", "master_key", "pseudonym_key")
    command("task", "ingest", "rating", "--request", json.dumps(RUN), home, **ingest)
    assert (home / "cache" / "dvc-site" / "repo").is_dir()
    volume_notes = ".vif"  # SeaweedFS sets their mode itself; they name no object, and the home is closed
    assert [path for path in too_open(home) if not path.endswith(volume_notes)] == []


@needs_root
def test_another_user_reads_and_plants_nothing_below_the_home(running):
    home = running.home
    secret = ("secrets.json", "store/security.toml", "airflow/airflow.db", "airflow/passwords.json", "stack.json")
    places = ("", "cache", "cache/dvc-site/repo", "store", "airflow/logs", "run", "server")
    assert all((home / name).exists() for name in (*secret, *places) if not name.startswith("cache"))
    attempts = [
        f"ls {home}/.",
        *(f"cat {home}/{name}" for name in secret),
        *(f"touch {home}/{p}/planted" for p in places),
    ]
    for attempt in (*attempts, f"mv {home} {home}.away", f"rm -r {home}/cache"):
        done = as_nobody(attempt)
        assert (done.returncode != 0, done.stdout) == (True, b""), attempt
    assert not list(home.rglob("planted"))
