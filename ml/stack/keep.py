"""The keeper: one process a stack that starts again what died, replaces what is ill for long, and turns logs over."""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from ml.errors import ServiceUnavailable, TradewindError
from ml.stack.awaited import Tell, awaited, untold
from ml.stack.health import Health, ill

KEEPER = "keeper"
LOOK_SECONDS = 10.0
PATIENCE_SECONDS = 60.0  # a part that is ill for so long, at every look, is replaced: a busy machine makes parts late
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 10.0, 60.0  # between tries that fail, doubled each time
LOCK_SECONDS = 300.0  # longer than any start or stop takes
LOG_BYTES = 16 << 20
OLD_LOGS = 3

log = logging.getLogger(__name__)


class Patience:
    """Since when each part is ill without a break."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def spent(self, found: dict[str, Health], now: float) -> list[str]:
        """Return the parts that were ill at every look for longer than we wait."""
        names = ill(found)
        self._since = {name: self._since.get(name, now) for name in names}
        return [name for name in names if now - self._since[name] >= PATIENCE_SECONDS]


def keep(home: Path, mend: Callable[[Path, Patience], object]) -> None:
    """Look after a stack until this process is ended.

    Args:
        home: The stack's.
        mend: Starts and replaces what its health asks for.
    """
    patience, pause = Patience(), 0.0
    while True:
        time.sleep(LOOK_SECONDS + pause)
        try:
            mend(home, patience)
            pause = 0.0
        except (TradewindError, OSError, sqlite3.Error) as error:
            pause = min(LONGEST_PAUSE_SECONDS, max(FIRST_PAUSE_SECONDS, 2 * pause))
            log.warning("stack not mended, next try in %.0f s: %s", pause, error)
        try:
            turn_over(home / "run" / "logs")
        except OSError as error:  # no room for the copy: nothing is cut, and the parts are looked after all the same
            log.warning("logs not turned over: %s", error)


@contextmanager
def alone(home: Path, tell: Tell = untold) -> Iterator[None]:
    """Wait until no other command and no keeper starts or stops parts of this stack.

    Raises:
        ServiceUnavailable: One of them does not end.
    """
    (home / "run").mkdir(exist_ok=True)
    with (home / "run" / "lock").open("ab+", buffering=0) as file:
        if not _locked(file):
            _await_lock(file, tell)
        with suppress(OSError):  # a full disk takes no name, and must not keep anybody from mending
            file.truncate(0)
            file.write(f"{os.getpid()} {' '.join(sys.argv[1:2])}".encode())
        yield


def _locked(file: IO[bytes]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _await_lock(file: IO[bytes], tell: Tell) -> None:
    file.seek(0)
    pid, _, command = (file.read(80).decode(errors="replace") or "unknown").partition(" ")
    holder = f"process {pid} ({command or 'tradewind'}), which starts or stops parts of this stack"
    deadline = time.monotonic() + LOCK_SECONDS
    with awaited(tell, holder, LOCK_SECONDS):
        while not _locked(file):
            if time.monotonic() > deadline:
                raise ServiceUnavailable(
                    f"nobody else to start or stop parts of this stack within {LOCK_SECONDS:.0f} s",
                    holder,
                    "Look what it does; if it hangs, end it and try again.",
                )
            time.sleep(0.1)


def turn_over(logs: Path) -> None:
    """Move each log that grew too long aside, and forget the oldest; the part goes on writing into the same file.

    Lines that come between the copy and the cut are lost: parts hold their file open, so it cannot be renamed.
    """
    for path in sorted(logs.glob("*.log")):
        if path.stat().st_size <= LOG_BYTES:
            continue
        for number in range(OLD_LOGS - 1, 0, -1):
            older = path.with_name(f"{path.name}.{number}")
            if older.exists():
                older.replace(path.with_name(f"{path.name}.{number + 1}"))
        shutil.copyfile(path, path.with_name(f"{path.name}.1"))
        with path.open("r+b") as file:
            file.truncate(0)
