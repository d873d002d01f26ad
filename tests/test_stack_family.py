"""Whatever a part of the stack started is found and ended, even when the part was killed and its children left its session."""

import json
import os
import signal
import sys
import time

import psutil
import pytest

from ml.stack.process import Children

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
WAYS = {
    "child": {},
    "group of its own": {"process_group": 0},
    "session of its own": {"start_new_session": True},
    "no mark": {"env": {"PATH": os.defpath}},
}


@pytest.fixture
def children(tmp_path):
    kept = Children(tmp_path / "run")
    yield kept
    for name in kept.names():
        kept.stop(name)
    kept.stop_strays()


def parent(**options):
    """A process that starts a sleeper, tells its PID and sleeps."""
    start = f"subprocess.Popen({SLEEP!r}, **{options!r})"
    return [sys.executable, "-c", f"import subprocess, time; print({start}.pid, flush=True); time.sleep(60)"]


def started(children, name, **options):
    """Start a part with a sleeper of its own: (the part's process, the sleeper's)."""
    children.start(name, parent(**options), {})
    log = children.logs / f"{name}.log"
    children.wait(name, lambda: log.read_text().strip().isdigit(), 20)
    return children.find(name), psutil.Process(int(log.read_text()))


def is_gone(process):
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize("way", WAYS)
def test_what_a_killed_part_started_is_ended(children, way):
    part, sleeper = started(children, "part", **WAYS[way])
    os.kill(part.pid, signal.SIGKILL)
    part.wait(10)
    assert children.find("part") is None
    assert not is_gone(sleeper)
    assert children.stop("part")
    assert is_gone(sleeper)
    assert not children.stop("part")


def test_a_new_start_ends_what_the_dead_one_left(children):
    part, sleeper = started(children, "part", start_new_session=True)
    os.kill(part.pid, signal.SIGKILL)
    part.wait(10)
    children.start("part", SLEEP, {})
    assert is_gone(sleeper)
    assert children.find("part") is not None


def test_another_part_and_another_stack_are_left_alone(children, tmp_path):
    other = Children(tmp_path / "other")
    try:
        _, neighbour = started(children, "neighbour")
        _, stranger = started(other, "part")
        started(children, "part")
        children.stop("part")
        assert not is_gone(neighbour)
        assert not is_gone(stranger)
    finally:
        other.stop("part")


def test_a_part_whose_record_is_lost_is_found_by_its_mark(children, tmp_path):
    part, sleeper = started(children, "part", start_new_session=True)
    (tmp_path / "run" / "part.pid.json").unlink()
    assert children.names() == []
    assert children.stop_strays() == 2
    assert is_gone(part)
    assert is_gone(sleeper)


def test_a_stopped_process_is_ended_at_once(children):
    children.start("part", SLEEP, {})
    part = children.find("part")
    os.kill(part.pid, signal.SIGSTOP)
    began = time.monotonic()
    assert children.stop("part")
    assert time.monotonic() - began < 10
    assert is_gone(part)


def test_a_session_of_somebody_elses_pid_is_left_alone(children, tmp_path):
    """The record names a PID that another process has by now, a session's leader like ours."""
    children.start("somebody", SLEEP, {})
    children.start("part", SLEEP, {})
    somebody = children.find("somebody")
    children.stop("part")
    stale = {"name": "part", "pid": somebody.pid, "created": somebody.create_time() - 3600}
    (tmp_path / "run" / "part.pid.json").write_text(json.dumps(stale))
    assert not children.stop("part")
    assert not is_gone(somebody)
