"""Children that outlive the command that started them, found again by recorded PID and start time."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from ml.environment import inherited, own_home
from ml.errors import ConfigInvalid, IntegrityBroken, ServiceUnavailable
from ml.files import read_json, write_bytes, write_json
from ml.private import UMASK
from ml.stack import family
from ml.stack.awaited import Tell, awaited, untold

LOG_TAIL = 15  # lines of a dead child's log in the error message


@dataclass(frozen=True, kw_only=True)
class Child:
    """A recorded process."""

    name: str
    pid: int
    created: float
    """Start time of the process [s since the epoch]: a reused PID is somebody else."""

    def process(self) -> psutil.Process | None:
        """Return the living process, or none if it ended."""
        try:
            found = psutil.Process(self.pid)
            same = abs(found.create_time() - self.created) < 1 and found.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return None
        return found if same else None


class Children:
    """The processes of one stack, recorded in a folder.

    Args:
        folder: Of the records.
        tell: Receives what is awaited, where that takes longer than a moment.
    """

    def __init__(self, folder: Path, tell: Tell = untold) -> None:
        self._folder = folder
        self._tell = tell
        self.logs = folder / "logs"

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str], cwd: Path | None = None) -> None:
        """Start a child in a session of its own and record it; a living one is kept, and what a dead one left is ended.

        It takes over what `ml.environment` lists of this process's environment, and `environment`; what it creates is
        for its owner alone.
        """
        if self.find(name):
            return
        self.stop(name)
        self.logs.mkdir(parents=True, exist_ok=True)
        mark = {family.MARK: f"{self._mark()}/{name}"}
        with (self.logs / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                list(command),
                env={**inherited(os.environ), **own_home(self._folder.parent / "user"), **environment, **mark},
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                umask=UMASK,
            )
        child = Child(name=name, pid=process.pid, created=psutil.Process(process.pid).create_time())
        write_json(self._record(name), asdict(child))

    def awaited(self, what: str, most_seconds: float) -> AbstractContextManager[None]:
        """Tell whoever waits what else is awaited, where that takes longer than a moment."""
        return awaited(self._tell, what, most_seconds)

    def find(self, name: str) -> psutil.Process | None:
        """Return the living child of that name."""
        record = self._record(name)
        if not record.exists():
            return None
        return self._child(name).process()

    def stop(self, name: str) -> bool:
        """End the child and all that it started, also where it is dead itself; tell whether any of them was alive."""
        found = {one.pid: one for one in (*family.marked(f"{self._mark()}/{name}"), *self._session(name))}
        with awaited(self._tell, f"{name} to end", 2 * family.STOP_SECONDS):
            family.end(list(found.values()))
        self._record(name).unlink(missing_ok=True)
        return bool(found)

    def stop_strays(self) -> int:
        """End what still carries the stack's mark though no record names its part; return how many there were."""
        found = family.marked(self._mark())
        family.end(found)
        return len(found)

    def is_ready(self, name: str) -> bool:
        """Tell whether the living child has ever been ready."""
        return self.find(name) is not None and bool(read_json(self._record(name)).get("ready"))

    def is_stopped(self, name: str) -> bool:
        """Tell whether a signal stopped the living child: it does nothing until another lets it go on."""
        found = self.find(name)
        return found is not None and found.status() in (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP)

    def names(self) -> list[str]:
        """Return the names of all recorded children, newest first."""
        records = sorted(self._folder.glob("*.pid.json"), key=lambda path: path.stat().st_mtime, reverse=True)
        return [path.name.removesuffix(".pid.json") for path in records]

    def wait(self, name: str, ready: Callable[[], bool], seconds: float) -> None:
        """Wait until the child is ready.

        Raises:
            ServiceUnavailable: It ended, or was not ready in time; the message ends with its log's last lines.
        """
        with awaited(self._tell, f"{name} to be ready", seconds):
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline:
                if ready():
                    self._set_ready(name)
                    return
                if self.find(name) is None:
                    break
                time.sleep(0.1)
        state = "not ready" if self.find(name) else "ended"
        raise ServiceUnavailable(
            f"{name} to be ready within {seconds:.0f} s",
            f"{state}; its log ends with:\n{self._tail(name)}",
            f"Read {self.logs / name}.log, mend the cause and try again.",
        )

    def _child(self, name: str) -> Child:
        record = self._record(name)
        try:
            known = read_json(record)
            return Child(name=str(known["name"]), pid=int(known["pid"]), created=float(known["created"]))
        except (IntegrityBroken, KeyError, TypeError, ValueError) as error:
            remedy = f"Look for {name} with `ps`, end it, and remove {record}."
            raise ConfigInvalid(f"the process of {name} in {record}", "something else", remedy) from error

    def _set_ready(self, name: str) -> None:
        if self._record(name).exists():
            write_json(self._record(name), {**read_json(self._record(name)), "ready": True})

    def _session(self, name: str) -> list[psutil.Process]:
        if not self._record(name).exists():
            return []
        child = self._child(name)
        return family.session(child.pid, child.created)

    def _mark(self) -> str:
        """Return what tells this stack's processes from another's; made once."""
        place = self._folder / "mark"
        if not place.exists():
            write_bytes(place, secrets.token_hex(16).encode())
        return place.read_text(encoding="ascii", errors="replace")

    def _record(self, name: str) -> Path:
        return self._folder / f"{name}.pid.json"

    def _tail(self, name: str) -> str:
        log = self.logs / f"{name}.log"
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        return "\n".join(lines[-LOG_TAIL:])


def choose_port(variable: str, default: int) -> int:
    """Return the port that the environment asks for, else the default, else any free one.

    Raises:
        ConfigInvalid: The port that was asked for is taken or is no port.
    """
    asked = os.environ.get(variable)
    if asked is None:
        return default if _is_free(default) else free_port()
    if not asked.isdigit() or not 0 < int(asked) < 65536:
        raise ConfigInvalid(f"{variable} between 1 and 65535", repr(asked), "Correct it.")
    if not _is_free(int(asked)):
        raise ConfigInvalid(
            f"port {asked} ({variable}) to be free", "a port in use", "Stop its owner or choose another."
        )
    return int(asked)


def free_port() -> int:
    """Return a loopback port that nobody listens on, below the ephemeral range's usual start."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        if _is_free(port):
            return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
