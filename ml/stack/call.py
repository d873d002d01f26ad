"""How a task of Airflow has a stage run: by the worker of the stage's role, or in a process beside it where there are none.

Both give the lines of the stage's output as they come, and in the end its exit code.
"""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from ml.contract import JsonObject
from ml.errors import ServiceUnavailable
from ml.stack.role_secrets import ROLE_OF, stage_command, stage_environment
from ml.stack.worker import CHUNK, SOCKET

WORKERS = "TRADEWIND_WORKERS"
"""Folder with the socket of each role's worker, `<role>/worker.sock`; it goes before `TRADEWIND_SECRETS`."""
SECRETS = "TRADEWIND_SECRETS"
CONNECT_S, PAUSE_S = 60.0, 0.5
"""A worker that starts again is waited for."""
LONGEST_MESSAGE, LONGEST_LINE = 8 * CHUNK, 256 * CHUNK
"""What is taken from a worker: JSON writes a byte as six letters at most. A worker that went bad fills nobody's memory."""

Output: TypeAlias = Generator[str, None, int]


def run(stage: str, use_case: str, request: JsonObject, given: Mapping[str, str]) -> Output:
    """Run one stage; yield the lines of its output and return its exit code. Closed early, it ends the stage.

    Args:
        stage: Its name.
        use_case: Name of the use case; empty for a step of maintenance.
        request: What the run was asked for.
        given: The environment of the task.

    Raises:
        ServiceUnavailable: The worker of the stage's role does not answer, refuses, or ended before the stage did.
    """
    role = ROLE_OF[stage]
    if role is not None and has_workers(given):
        path = Path(given[WORKERS]) / role / SOCKET
        return _there(path, {"stage": stage, "use_case": use_case, "request": request})
    place = Path(given[SECRETS]) if role is not None else None
    return _here(stage_command(stage, use_case, request), stage_environment(stage, place, given))


def has_workers(given: Mapping[str, str]) -> bool:
    """Tell whether stages run in workers of their roles: the task's own environment holds no secret then."""
    return bool(given.get(WORKERS))


def _here(command: Sequence[str], environment: Mapping[str, str]) -> Output:
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        try:
            yield from (line.rstrip("\n") for line in process.stdout or ())
        except BaseException:
            process.kill()
            raise
    return process.returncode


def _there(path: Path, asked: JsonObject) -> Output:
    with _connected(path) as line, line.makefile("rb") as said:
        line.sendall(json.dumps(asked).encode() + b"\n")
        rest = ""
        while message := said.readline(LONGEST_MESSAGE):
            told = _understood(message)
            if "refused" in told:
                raise ServiceUnavailable(
                    "a worker that takes the stage", str(told["refused"]), "Is each role's socket its own?"
                )
            whole, end, part = str(told.get("text", "")).rpartition("\n")
            if end:
                yield from (rest + whole).split("\n")
            rest = part if end else rest + part
            if len(rest) > LONGEST_LINE:
                raise ServiceUnavailable(f"lines below {LONGEST_LINE:,} letters", "a longer one", "Try again.")
            if "code" in told:
                yield from filter(None, [rest])
                return int(told["code"])
    raise ServiceUnavailable(f"the end of stage {asked['stage']}", "a worker that ended before", "Try again.")


def _understood(message: bytes) -> JsonObject:
    try:
        told = json.loads(message) if message.endswith(b"\n") else None
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict) or not isinstance(told.get("code", 0), int):
        raise ServiceUnavailable("whole messages of a worker", "something else", "Try again; look at its log.")
    return told


def _connected(path: Path) -> socket.socket:
    """Return a connection to a worker; one that starts again is waited for."""
    deadline = time.monotonic() + CONNECT_S
    while True:
        line = socket.socket(socket.AF_UNIX)
        try:
            line.connect(str(path))
        except OSError as error:
            line.close()
            if time.monotonic() > deadline:
                told = f"{type(error).__name__} for {CONNECT_S:.0f} s"
                raise ServiceUnavailable(f"a worker at {path}", told, "Is the service of this role up?") from error
            time.sleep(PAUSE_S)
        else:
            return line
