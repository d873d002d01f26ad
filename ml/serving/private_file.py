"""One SQLite file that its owner alone may read, on the server's own disk: the servers of one home share it."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

BUSY_SECONDS = 10.0  # how long one writer waits for another, be it of another process


class PrivateFile:
    """A file and one connection to it; safe to use from many threads and processes.

    Args:
        path: The file; it and its folder are made for their owner alone.
        layout: Statements that make what is missing of tables and indexes.
        is_logged: Whether writers keep a log beside the file (SQLite's WAL), so that readers and they do not wait for each
            other; who deletes personal values has to empty it then: `empty_log`.
        survives: What a change outlives that was made: `power`, its loss; `process`, the end of the server.
    """

    def __init__(
        self, path: Path, layout: str, *, is_logged: bool, survives: Literal["power", "process"] = "power"
    ) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path = path
        self._is_logged = is_logged
        self._synchronous = "FULL" if survives == "power" else "NORMAL"
        self._lock = threading.Lock()
        path.touch(mode=0o600)
        path.chmod(0o600)  # before the log beside it is made, which takes its mode over
        self._connection = self.another()
        with self.alone() as connection:
            connection.executescript(layout)

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def alone(self) -> Iterator[sqlite3.Connection]:
        """Yield the connection to one thread at a time; each statement is a transaction of its own."""
        with self._lock:
            yield self._connection

    @contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """Yield the connection for one transaction: all of it is kept, or nothing where it fails."""
        with self.alone() as connection, transaction(connection):
            yield connection

    @contextmanager
    def finishing(self, connection: sqlite3.Connection) -> Iterator[None]:
        """Let another connection make one transaction while no thread of this process uses the file."""
        with self._lock, transaction(connection):
            yield

    def empty_log(self) -> None:
        """Empty the log beside the file, which would go on holding what was overwritten."""
        with self.alone() as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def another(self) -> sqlite3.Connection:
        """Return another connection, for long work beside the others; whoever asks for it closes it."""
        connection = sqlite3.connect(self._path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        if self._is_logged:
            connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {self._synchronous}")
        # Without it what was erased would stay readable in the file's free pages.
        connection.execute("PRAGMA secure_delete = ON")
        return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Make one transaction: all of it is kept, or nothing where it fails."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk may have ended it already; a commit that failed has not
            connection.execute("ROLLBACK")
        raise
