"""The whole embedded stack, started by a careless person: what others on the machine can reach, read and plant."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import psutil
import pytest

import ml
from ml.pipeline import ROLES, SECRETS
from ml.stack import up as stack
from ml.stack.airflow import DAG_PROCESSOR, SCHEDULER
from ml.stack.certificate import private_authority
from ml.stack.health import SERVER
from ml.stack.keep import KEEPER
from ml.stack.process import Children, free_port
from ml.store import Bucket
from tests.flow_steps import steering
from tests.other_user import as_nobody, needs_root, too_open
from tests.port_probe import addresses, answers, listening, opens_for_nobody

PROJECT = Path(ml.__file__).parent.parent
PLANTED = b"what nobody else may see"
OPEN = {"/", "/openapi.json", "/health", "/status", "/metrics"}
RUN = {"run_id": "private", "as_of": "2024-06-30", "who": "test", "why": "test"}


@pytest.fixture(scope="module")
def running():
    """A stack started with umask 000 in a folder that everybody may enter; pytest's own folders are closed."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        home = Path(folder) / "Läden und 店" / "mein heim"  # nothing may mind such a path
        home.parent.mkdir()
        home.parent.chmod(0o755)
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
    ingest = running.acting_as(ROLES["ingest"], *(name for name in SECRETS["ingest"] if name in running.secrets))
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
        f"ls '{home}'/.",
        *(f"cat '{home}'/{name}" for name in secret),
        *(f"touch '{home}'/{p}/planted" for p in places),
    ]
    for attempt in (*attempts, f"mv '{home}' '{home}'.away", f"rm -r '{home}'/cache"):
        done = as_nobody(attempt)
        assert (done.returncode != 0, done.stdout) == (True, b""), attempt
    assert not list(home.rglob("planted"))


def processes_of(home):
    """Return all processes of the stack."""
    children = Children(home / "run")
    leaders = [found for name in children.names() if (found := children.find(name))]
    return [one for leader in leaders for one in (leader, *leader.children(recursive=True))]


def store_ports(home):
    return set(json.loads((home / "store" / "ports.json").read_text()).values())


def test_no_port_of_the_stack_tells_a_stranger_anything(running, tmp_path):
    """Each listening port, with HTTP, TLS and TLS with somebody else's certificate; what answers holds no secret and no key."""
    work = Bucket.open(running.settings("ingest"), "work")
    for key in ("planted/key", "planted/other"):  # the first is asked for, so that an error may repeat it
        work.put(key, PLANTED)
    processes = processes_of(running.home)
    ports, _ = listening(processes)
    front = {value for name, value in asdict(running).items() if name.endswith("_port")}
    inner = store_ports(running.home)
    assert set(ports) == front | inner
    assert addresses(processes) == {"127.0.0.1"}
    hidden = [PLANTED, b"planted/other", *(value.encode() for value in running.secrets.values())]
    for port in ports:
        found = answers(port, tmp_path)
        for asked, (status, body) in found.items():
            assert not [value for value in hidden if value in body], (port, asked)
            assert port in front or (asked[0], status) == ("http", 400), (port, asked, body)  # "an HTTPS server"
            assert status >= 400 or asked[2].partition("?")[0] in OPEN or b"<html" in body, (port, asked, body)
    assert work.get("planted/key") == PLANTED


@needs_root
def test_no_socket_of_the_stack_opens_for_another_user(running):
    _, sockets = listening(processes_of(running.home))
    assert any(path.endswith("s3.sock") for path in sockets)
    assert [path for path in sockets if opens_for_nobody(path, running.home / "store")] == []


def weed_shell(running, folder, say, seconds):
    """Ask the store's master through SeaweedFS's own shell, with the security file of a folder."""
    ports = json.loads((running.home / "store" / "ports.json").read_text())
    master = f"127.0.0.1:{ports['master.port']}.{ports['master.port.grpc']}"
    program = Path(sys.executable).parent / "weed"
    try:
        shell = [program, "shell", f"-master={master}"]
        return subprocess.run(shell, input=say, cwd=folder, capture_output=True, timeout=seconds, check=False).stdout
    except subprocess.TimeoutExpired as waited:
        return waited.stdout or b""


def test_seaweedfs_own_shell_opens_with_the_stores_certificate_and_no_other(running, tmp_path):
    say = b"fs.ls /buckets\nvolume.list\n"
    assert b"tradewind-work" in weed_shell(running, running.home / "store", say, 30)
    bare, foreign = tmp_path / "bare", tmp_path / "foreign"
    for folder in (bare, foreign):
        folder.mkdir()
    (foreign / "security.toml").write_text((running.home / "store" / "security.toml").read_text())
    (foreign / "tls.pem").write_text(private_authority("store"))
    for folder in (bare, foreign):
        assert b"tradewind" not in weed_shell(running, folder, say, 4)


def test_what_lives_and_does_nothing_is_shown_and_replaced(running):
    """A scheduler and a server that are stopped, as if they hung: `status` says so, and `up` starts them anew."""
    children = Children(running.home / "run")
    children.stop(KEEPER)  # it would do the same, later
    hung = {name: children.find(name) for name in (SCHEDULER, SERVER)}
    assert all(one.is_healthy for one in stack.health(running.home).values())
    for process in hung.values():
        process.send_signal(signal.SIGSTOP)
    await_that(lambda: not any(stack.health(running.home)[name].is_healthy for name in hung), 90)
    found = stack.health(running.home)
    assert found[SERVER].is_alive
    assert "last heartbeat" in found[SCHEDULER].reason
    assert f"unhealthy  {SERVER}" in command("status", running.home)
    began = time.monotonic()
    told = command("up", running.home)
    assert time.monotonic() - began < 110
    assert "a signal stopped its process" in told
    assert all(f"{name} is replaced" in told for name in hung)
    assert all(children.find(name).pid != process.pid for name, process in hung.items())
    assert all(one.is_healthy for one in stack.health(running.home).values())


def test_what_dies_is_started_again_without_anybody(running):
    children = Children(running.home / "run")
    dead = {name: children.find(name) for name in (DAG_PROCESSOR, SERVER)}
    for process in dead.values():
        process.kill()
    await_that(lambda: all(children.is_ready(name) for name in dead), 120)
    assert all(children.find(name).pid != process.pid for name, process in dead.items())
    assert "parts started again" in (children.logs / f"{KEEPER}.log").read_text()


def test_a_killed_scheduler_leaves_no_process_behind(running):
    """Its workers and the task that runs are ended by `down`, though nothing but their variables tells whose they are."""
    steering(running).trigger("retrain_rating", {})
    await_that(lambda: stage_processes(running.home), 120)
    Children(running.home / "run").find(SCHEDULER).kill()
    time.sleep(0.5)
    assert stage_processes(running.home)
    assert SCHEDULER in command("down", running.home)
    assert [one.cmdline() for one in psutil.process_iter() if of_home(one, running.home)] == []


def stage_processes(home):
    return [one for one in psutil.process_iter() if of_home(one, home) and "task" in one.cmdline()[3:4]]


def of_home(process, home):
    try:
        return process.environ().get("TRADEWIND_HOME") == str(home) and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, OSError):
        return False


def await_that(holds, seconds):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.2)
