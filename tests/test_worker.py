"""A worker runs the stages of its own role for who may open its socket, and ends them with their callers or with itself."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

import ml
from ml.errors import ServiceUnavailable
from ml.pipeline import ROLES
from ml.stack import call
from ml.stack.role_secrets import split
from ml.stack.worker import LONGEST, SOCKET, Worker
from tests.other_user import NOBODY, needs_root

PROJECT = Path(ml.__file__).parent.parent
PATIENCE_S = 20
ASKED = {"run_id": "run-1", "as_of": "2026-11-24"}


@contextmanager
def working(role, folder, known, **settings):
    """Run the worker of a role as compose does: its own secrets file, an empty home; give its process and its socket."""
    sockets, home = folder / "sockets" / role, folder / "homes" / role
    for one in (sockets, home):
        one.mkdir(parents=True)
        one.chmod(0o700 if one is home else 0o710)
    secrets = split(known, folder / f"secrets-{role}", [role]) / f"{role}.json"
    given = {
        "PATH": os.environ["PATH"],
        "TRADEWIND_HOME": str(home),
        "TRADEWIND_SECRETS": str(secrets),
        **{f"TRADEWIND_{name.upper()}": str(value) for name, value in settings.items()},
    }
    log = folder / f"{role}.log"
    with log.open("wb") as output:
        command = [sys.executable, "-m", "ml", "worker", role, str(sockets)]
        process = subprocess.Popen(command, env=given, cwd=PROJECT, stderr=output, stdout=output)
    try:
        until(lambda: (sockets / SOCKET).exists() or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        yield process, sockets / SOCKET
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def until(holds):
    """Wait for something; say whether it came about."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.05)
    return holds()


def told(output):
    """Return the lines of a stage and its exit code."""
    lines = []
    while True:
        try:
            lines.append(next(output))
        except StopIteration as ended:
            return lines, ended.value


def answer(path, line):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        connection.sendall(line)
        return [json.loads(one) for one in connection.makefile("rb")]


@pytest.fixture(scope="module")
def reader(tmp_path_factory, object_store):
    with working(
        "read", tmp_path_factory.mktemp("reader"), object_store.secrets, s3_endpoint=object_store.endpoint
    ) as found:
        yield found


def given(path):
    return {call.WORKERS: str(path.parent.parent)}


def test_a_stage_s_result_lines_and_code_are_those_of_its_process(reader, object_store):
    """The same call without workers says the same, word for word; times aside."""
    _, path = reader
    asked = {**ASKED, "request": "retrain_rating nobody"}
    lines, code = told(call.run("rerun", "rating", asked, given(path)))
    assert (lines[-1], code) == ('RESULT {"skipped": true}', 0)
    secrets = split(object_store.secrets, path.parents[2] / "beside")
    beside = {"PATH": os.environ["PATH"], call.SECRETS: str(secrets)}
    beside |= {"TRADEWIND_S3_ENDPOINT": object_store.endpoint, "TRADEWIND_HOME": str(path.parents[2] / "home")}
    assert told(call.run("rerun", "rating", asked, beside)) == (lines, code)


def test_a_step_of_maintenance_is_run_by_its_role_and_belongs_to_no_use_case(reader, object_store):
    lines, code = told(call.run("machine", "", {"is_trial": True}, given(reader[1])))
    assert code == 0
    assert json.loads(lines[-1].removeprefix("RESULT "))["step"] == "machine"
    for stage, use_case in (("machine", "rating"), ("rerun", ""), ("requests", "")):
        asked = {"stage": stage, "use_case": use_case, "request": {}}
        (refused,) = answer(reader[1], json.dumps(asked).encode() + b"\n")
        assert "refused" in refused


def test_an_error_s_exit_code_and_reason_come_back(reader):
    lines, code = told(call.run("rerun", "rating", {"run_id": "../../x"}, given(reader[1])))
    assert code == 2
    assert "a run id of letters" in "\n".join(lines)


@pytest.mark.parametrize("stage", sorted(name for name, role in ROLES.items() if role != "read"))
def test_a_stage_of_another_role_is_refused(reader, stage):
    request = {"stage": stage, "use_case": "rating", "request": ASKED}
    (said,) = answer(reader[1], json.dumps(request).encode() + b"\n")
    assert said == {"refused": f"this worker runs the stages of role read, not {stage!r}"}


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"no JSON\n",
        b"[]\n",
        b"[" * 5000 + b"\n",
        b"\xff\xfe\n",
        b'{"stage": "rerun"}\n',
        b'{"stage": ["rerun"], "use_case": "rating", "request": {}}\n',
        b'{"stage": "rerun", "use_case": "--help", "request": {}}\n',
        b'{"stage": "rerun", "use_case": ["rating"], "request": {}}\n',
        b'{"stage": "rerun", "use_case": "rating", "request": "x"}\n',
        b'{"stage": "rerun", "use_case": "rating", "request": {}, "role": "promote"}\n',
        b'{"stage": "rerun", "use_case": "rating", "request": {"x": "%s"}}\n' % (b"x" * LONGEST),
        '{{"stage": "rerun", "use_case": "rating", "request": {{"x": "{}"}}}}\n'.format("é" * (LONGEST // 3)).encode(),
    ],
)
def test_whatever_else_is_said_is_refused_and_the_worker_lives(reader, line):
    process, path = reader
    assert [set(said) for said in answer(path, line)] == [{"refused"}]
    assert answer(path, b"{}\n") == [{"role": "read"}]
    assert process.poll() is None


class Running(Worker):
    """A worker of which every stage is one program."""

    program = ""

    @contextmanager
    def process(self, asked):
        command = [sys.executable, "-c", self.program]
        with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as process:
            yield process
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture
def running(tmp_path, object_store):
    folder = tmp_path / "read"
    folder.mkdir()
    server = Running("read", folder, split(object_store.secrets, tmp_path / "secrets", ["read"]))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server, {call.WORKERS: str(tmp_path)}
    server.shutdown()
    server.server_close()


def test_a_stage_has_ended_when_its_process_has_whatever_child_holds_its_output(running):
    server, asked = running
    server.program = (
        "import subprocess; print('x' * 60000); c = subprocess.Popen(['sleep', '60'], start_new_session=True);"
        "print(c.pid, flush=True); raise SystemExit(7)"
    )
    lines, code = told(call.run("rerun", "rating", ASKED, asked))
    os.kill(int(lines[-1]), signal.SIGKILL)
    assert (lines[0], len(lines), code) == ("x" * 60000, 2, 7)


def test_a_stage_that_closed_its_output_still_ends_with_its_caller(running):
    server, asked = running
    server.program = "import os, time; print(os.getpid(), flush=True); os.close(1); time.sleep(60)"
    output = call.run("rerun", "rating", ASKED, asked)
    pid = int(next(output))
    time.sleep(0.5)  # the worker sees the end of the output
    output.close()
    assert until(lambda: not psutil.pid_exists(pid))


@pytest.mark.parametrize(
    "said", [b"x", b'{"text": "%s"}\n' % (b"x" * 60_000), b"[" * 9000 + b"\n", b"[]\n", b'{"code": 1']
)
def test_a_worker_that_went_bad_fills_no_memory_of_the_task(tmp_path, said):
    """It is heard up to a bound, in time that grows with what it says."""
    (tmp_path / "read").mkdir()
    sent = 0

    def speak(listener):
        nonlocal sent
        line, _ = listener.accept()
        line.recv(10_000)
        with line, suppress(ConnectionError):
            while (sent < 100_000_000 and said != b'{"code": 1') or not sent:
                sent += line.send(said * max(1, 60_000 // len(said)))

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "read" / SOCKET))
        listener.listen()
        speaker = threading.Thread(target=speak, args=(listener,))
        speaker.start()
        with pytest.raises(ServiceUnavailable):
            told(call.run("rerun", "rating", ASKED, {call.WORKERS: str(tmp_path)}))
        speaker.join(PATIENCE_S)
    assert sent < 40_000_000


def test_a_task_is_told_of_a_refusal_and_may_try_again(reader, tmp_path):
    wrong = tmp_path / "promote"
    wrong.mkdir()
    (wrong / SOCKET).symlink_to(reader[1])
    with pytest.raises(ServiceUnavailable, match="not 'promote'"):
        told(call.run("promote", "rating", ASKED, {call.WORKERS: str(tmp_path)}))


def test_a_worker_that_is_not_there_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(call, "CONNECT_S", 0.2)
    with pytest.raises(ServiceUnavailable, match=r"train/worker\.sock"):
        told(call.run("train", "rating", ASKED, {call.WORKERS: str(tmp_path)}))


def test_the_health_check_of_a_worker_asks_it(reader, tmp_path):
    check = [sys.executable, str(PROJECT / "deploy" / "health.py"), "worker"]
    assert subprocess.run([*check, str(reader[1])], check=False).returncode == 0
    gone = subprocess.run([*check, str(tmp_path / "none")], check=False, capture_output=True)
    assert gone.returncode != 0


@pytest.fixture
def silent():
    """A store that takes connections and never answers: a stage waits for it."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(50)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def stages_of(process):
    return [one for one in psutil.Process(process.pid).children(recursive=True) if one.status() != psutil.STATUS_ZOMBIE]


CALLER = """
import signal, sys, time
from ml.stack import call

def late(*_):
    raise TimeoutError

signal.signal(signal.SIGUSR1, late)
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell lets what runs in its background ignore it
try:
    for line in call.run("rerun", "rating", {"run_id": "x", "request": "y"}, {"TRADEWIND_WORKERS": sys.argv[1]}):
        pass
except TimeoutError:
    time.sleep(60)
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL, signal.SIGUSR1])
def test_a_stage_ends_with_its_caller_or_when_that_s_time_is_up(tmp_path, object_store, silent, how):
    """Airflow's limit of a task raises in the middle of the wait for a line, and the process lives on."""
    with working("read", tmp_path, object_store.secrets, s3_endpoint=silent) as (process, path):
        caller = subprocess.Popen([sys.executable, "-c", CALLER, str(path.parent.parent)], cwd=PROJECT)
        assert until(lambda: stages_of(process))
        caller.send_signal(how)
        assert until(lambda: not stages_of(process))
        assert (caller.poll() is None) == (how == signal.SIGUSR1) or until(lambda: caller.poll() is not None)
        caller.kill()
        caller.wait(PATIENCE_S)
        assert answer(path, b"{}\n") == [{"role": "read"}]


def test_a_worker_that_ends_takes_its_stages_along_and_the_task_may_try_again(tmp_path, object_store, silent):
    with working("read", tmp_path, object_store.secrets, s3_endpoint=silent) as (process, path):
        output = call.run("rerun", "rating", {"run_id": "x", "request": "y"}, given(path))
        stopper = subprocess.Popen(["sh", "-c", f"sleep 3; kill -TERM {process.pid}"])
        with pytest.raises(ServiceUnavailable, match="ended before"):
            told(output)
        assert stopper.wait(PATIENCE_S) == 0
        process.wait(PATIENCE_S)
        assert not [one for one in psutil.process_iter() if silent in str(environment(one))]


def environment(process):
    try:
        return process.environ()
    except psutil.Error:
        return {}


@contextmanager
def acting_as(user, group):
    """Open files and sockets as another user for a while."""
    groups = os.getgroups()
    os.setgroups([])
    os.setegid(group)
    os.seteuid(user)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


def can_call(path, user, group):
    with acting_as(user, group), socket.socket(socket.AF_UNIX) as line:
        try:
            line.connect(str(path))
        except PermissionError:
            return False
        return True


@needs_root
def test_nobody_but_the_scheduler_s_group_calls_a_worker(object_store):
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        with working("read", Path(name), object_store.secrets, s3_endpoint=object_store.endpoint) as (_, path):
            path.parent.parent.chmod(0o755)
            assert can_call(path, 10001, 0)
            assert not can_call(path, 10001, 10001)
            assert not can_call(path, NOBODY, NOBODY)
