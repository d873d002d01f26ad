"""The embedded stack: children are found again by PID and start time, ports and secrets are safe."""

import json
import socket
import sys

import pytest

from ml.errors import ConfigInvalid, ServiceUnavailable
from ml.stack import secret
from ml.stack.objectstore import identities
from ml.stack.process import Children, choose_port, free_port

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
