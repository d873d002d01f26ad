"""Runs the stages of one role for Airflow's tasks, in a container that holds the secrets of this role alone.

A task sends one line of JSON through a Unix socket: stage, use case, request. It is answered with the output of the stage's
process as it comes, and with its exit code. There is no port and no token: who may open the socket may call, and the folder
that holds it is mounted by the scheduler and by this worker. A caller that hangs up ends its stage.
"""

from __future__ import annotations

import codecs
import json
import logging
import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingUnixStreamServer
from typing import Any, cast

from ml.config import Role
from ml.contract import JsonObject
from ml.errors import ConfigInvalid
from ml.pipeline import UPKEEP
from ml.stack.role_secrets import ROLE_OF, read, stage_command, stage_environment
from ml.use_cases import NAMES

SOCKET = "worker.sock"
SOCKET_MODE = 0o660  # the scheduler runs as another user of the same group
LONGEST = 64 * 1024
"""Of a request, which becomes an argument of a process [bytes]."""
CHUNK = 64 * 1024
"""Read at once: as much as a pipe holds, so that one look after a process ended finds all it said [bytes]."""
PATIENCE_S = 30.0
"""A caller has so long to say what it wants."""

log = logging.getLogger(__name__)


class Worker(ThreadingUnixStreamServer):
    """A server on one socket, with a process for each stage that it is asked for."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, role: Role, folder: Path, secrets: Path) -> None:
        """Begin to listen.

        Args:
            role: Whose stages are run; a request for another is refused.
            folder: Gets the socket.
            secrets: As in `ml.stack.role_secrets.read`.

        Raises:
            ConfigInvalid: No stage runs as this role, or its secrets or the folder are missing.
        """
        if role not in ROLE_OF.values():
            raise ConfigInvalid(
                f"a role of {', '.join(sorted(set(filter(None, ROLE_OF.values()))))}", role, "Correct the name."
            )
        read(secrets, role)
        self.role, self.secrets = role, secrets
        self.running: set[subprocess.Popen[bytes]] = set()
        path = folder / SOCKET
        try:
            path.unlink(missing_ok=True)
            super().__init__(str(path), _Call)
            path.chmod(SOCKET_MODE)
        except OSError as error:
            wanted = f"a folder for the worker's socket in {folder}"
            raise ConfigInvalid(wanted, type(error).__name__, "Name a folder of this user's.") from error

    def serve(self) -> None:
        """Answer calls until this process is told to end; stages under way end with it."""
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        log.info("worker ready role=%s", self.role)
        try:
            self.serve_forever()
        finally:
            for process in list(self.running):
                _end(process)

    @contextmanager
    def process(self, asked: JsonObject) -> Iterator[subprocess.Popen[bytes]]:
        """Give the process that runs a stage; afterwards neither it nor any of its children lives."""
        command = stage_command(asked["stage"], asked["use_case"], asked["request"])
        environment = stage_environment(asked["stage"], self.secrets, os.environ)
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        ) as process:
            self.running.add(process)
            try:
                yield process
            finally:
                _end(process)
                self.running.discard(process)


class _Call(StreamRequestHandler):
    """One call: a line of JSON, then the stage's output, then its exit code."""

    timeout = PATIENCE_S

    def handle(self) -> None:
        worker = cast(Worker, self.server)
        with suppress(ConnectionError, TimeoutError):
            asked = _asked(self.rfile.readline(LONGEST + 1), worker.role)
            if "stage" not in asked:
                self._tell(asked)
                return
            self.connection.settimeout(None)
            named = f"stage={asked['stage']} use_case={asked['use_case']} run_id={asked['request'].get('run_id')!r}"
            log.info("stage begins %s", named)
            with worker.process(asked) as process:
                is_whole = self._pass_on(process)
            log.info("stage ended %s code=%s", named, process.returncode if is_whole else "none: the caller hung up")
            if is_whole:
                self._tell({"code": process.returncode})

    def _pass_on(self, process: subprocess.Popen[bytes]) -> bool:
        """Send the output as it comes until the process ends; return false as soon as the caller hangs up."""
        output, decoder = cast(Any, process.stdout), codecs.getincrementaldecoder("utf-8")("replace")
        with os.fdopen(os.pidfd_open(process.pid), "rb", 0) as ended, selectors.DefaultSelector() as selector:
            for one in (output, self.connection, ended):
                selector.register(one, selectors.EVENT_READ)
            while True:
                ready = [key.fileobj for key, _ in selector.select()]
                data = os.read(output.fileno(), CHUNK) if output in ready else b""
                if data:
                    self._tell({"text": decoder.decode(data)})
                if ended in ready:
                    return True  # not the end of the output: a child that stays behind may hold it open for ever
                if output in ready and not data:
                    selector.unregister(output)
                elif output not in ready:
                    return False  # a caller says nothing more: it can only have gone

    def _tell(self, message: JsonObject) -> None:
        self.wfile.write(json.dumps(message).encode() + b"\n")


def _asked(line: bytes, role: Role) -> JsonObject:
    """Return what a caller wants, or what it is answered at once: the role, or why it is refused."""
    try:
        asked = json.loads(line) if len(line) <= LONGEST else None
    except (ValueError, RecursionError):
        asked = None
    if asked == {}:
        return {"role": role}
    if not isinstance(asked, dict) or set(asked) != {"stage", "use_case", "request"}:
        return {"refused": f"a line of JSON below {LONGEST} bytes with stage, use_case and request is expected"}
    if not isinstance(asked["stage"], str) or ROLE_OF.get(asked["stage"]) != role:
        return {"refused": f"this worker runs the stages of role {role}, not {str(asked['stage'])[:40]!r}"}
    names = ("",) if asked["stage"] in UPKEEP else NAMES
    if asked["use_case"] not in names or not isinstance(asked["request"], dict):
        return {"refused": "a known use case and a request as an object are expected"}
    if len(json.dumps(asked["request"])) > LONGEST:  # as an argument each letter beyond ASCII takes six
        return {"refused": f"a request below {LONGEST} bytes as ASCII is expected"}
    return asked


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill a stage's process with all its children, and take note of their ends: nobody else does in a container."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    with suppress(ChildProcessError):
        while os.waitpid(-process.pid, 0)[0]:
            pass
