"""The embedded stack: children are found again by PID and start time, ports and secrets are safe."""

import json
import socket
import subprocess
import sys

import pytest

from ml.errors import ConfigInvalid, ServiceUnavailable
from ml.stack import family, keep, secret
from ml.stack.objectstore import identities
from ml.stack.process import Children, choose_port, free_port
from tests.served_shop import wait

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


@pytest.fixture
def children(tmp_path):
    kept = Children(tmp_path)
    yield kept
    for name in kept.names():
        kept.stop(name)


def test_a_child_is_reused_while_it_lives_and_ended_with_its_own_children(children):
    nested = f"import subprocess, sys; subprocess.run({SLEEP!r})"
    children.start("parent", [sys.executable, "-c", nested], {})
    parent = children.find("parent")
    children.wait("parent", lambda: bool(parent.children()), 10)
    grandchild = parent.children()[0]
    children.start("parent", SLEEP, {})
    assert children.find("parent").pid == parent.pid
    assert children.stop("parent")
    assert not parent.is_running()
    assert not grandchild.is_running()
    assert not children.stop("parent")


def test_a_reused_pid_is_somebody_else(children, tmp_path):
    children.start("sleeper", SLEEP, {})
    record = tmp_path / "sleeper.pid.json"
    known = json.loads(record.read_text())
    record.write_text(json.dumps({**known, "created": known["created"] - 3600}))
    assert children.find("sleeper") is None
    record.write_text(json.dumps(known))


def test_a_child_that_ends_is_reported_with_the_end_of_its_log(children):
    children.start("broken", [sys.executable, "-c", "print('no disk left')"], {})
    with pytest.raises(ServiceUnavailable, match="no disk left"):
        children.wait("broken", lambda: False, 20)


def test_who_waits_for_longer_than_a_moment_is_told_for_what_and_how_long(tmp_path, monkeypatch):
    monkeypatch.setattr(family, "STOP_SECONDS", 4)
    told = []
    children = Children(tmp_path / "run", told.append)
    deaf = [
        sys.executable,
        "-c",
        "import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True); time.sleep(60)",
    ]
    children.start("deaf", deaf, {})
    children.wait("deaf", lambda: bool((children.logs / "deaf.log").read_text()), 20)
    told.clear()
    with pytest.raises(ServiceUnavailable, match="deaf to be ready within 4 s"):
        children.wait("deaf", lambda: False, 4)
    assert told == ["waiting for deaf to be ready, at most 4 s"]
    assert children.stop("deaf")
    assert told[1:] == ["waiting for deaf to end, at most 8 s"]


def test_who_waits_for_another_command_is_told_for_whom_and_not_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(keep, "LOCK_SECONDS", 4.0)
    hold = f"from pathlib import Path; from ml.stack.keep import alone; a = alone(Path({str(tmp_path)!r})); a.__enter__(); "
    holder = subprocess.Popen(
        [sys.executable, "-c", f"{hold}print(1, flush=True); import time; time.sleep(60)", "hold"], stdout=-1
    )
    try:
        assert holder.stdout.readline() == b"1\n"
        told = []
        with (
            pytest.raises(ServiceUnavailable, match=rf"within 4 s.*process {holder.pid} \(hold\)"),
            keep.alone(tmp_path, told.append),
        ):
            pass
        assert told == [
            f"waiting for process {holder.pid} (hold), which starts or stops parts of this stack, at most 4 s"
        ]
    finally:
        holder.kill()
        holder.wait()
    with keep.alone(tmp_path, told.append):
        assert len(told) == 1


def test_a_child_that_a_signal_stopped_is_told_apart(children):
    children.start("sleeper", SLEEP, {})
    assert not children.is_stopped("sleeper")
    children.find("sleeper").suspend()
    wait(lambda: children.is_stopped("sleeper"))
    assert not children.is_stopped("nobody")
    assert children.stop("sleeper")


def test_a_taken_default_port_gives_another_and_a_taken_wish_an_error(monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.delenv("SOME_PORT", raising=False)
        assert choose_port("SOME_PORT", port) != port
        monkeypatch.setenv("SOME_PORT", str(port))
        with pytest.raises(ConfigInvalid, match=f"port {port} \\(SOME_PORT\\)"):
            choose_port("SOME_PORT", 1)
    monkeypatch.setenv("SOME_PORT", "http")
    with pytest.raises(ConfigInvalid, match="between 1 and 65535"):
        choose_port("SOME_PORT", 1)
    monkeypatch.setenv("SOME_PORT", str(free_port()))
    assert choose_port("SOME_PORT", 1) > 1


def test_secrets_are_generated_once_and_for_the_owner_alone(tmp_path):
    path = tmp_path / "secrets.json"
    first = secret.load_or_generate(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert secret.load_or_generate(path) == first
    assert len(set(first.values())) == len(first)
    path.chmod(0o644)
    with pytest.raises(ConfigInvalid, match="chmod 600"):
        secret.load_or_generate(path)


def test_only_promote_may_write_models_and_it_and_the_custodian_the_ledger(tmp_path):
    known = secret.load_or_generate(tmp_path / "secrets.json")
    users = identities(known, "shop")["identities"]
    writers = {
        bucket: {user["name"] for user in users if f"Write:shop-{bucket}/*" in user["actions"]}
        for bucket in ("ledger", "models")
    }
    assert writers == {"ledger": {"promote", "custodian"}, "models": {"promote"}}
