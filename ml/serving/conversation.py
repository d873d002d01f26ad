"""What conversations keep between two requests, in the server's own file: by use case, customer and name, until it expires.

A name alone opens nothing: another customer, or a stranger, who uses it begins a conversation of their own.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from ml.contract import JsonObject
from ml.serving.private_file import PrivateFile
from ml.serving.steady import Pulse, Steady

STRANGER = ""  # of whoever has proved nothing; no pseudonym is empty
SWEEP_SECONDS = 60.0  # how long an expired conversation may stay on the disk
NAME_BYTES = 24  # of a name the server makes: nobody guesses a stranger's
LAYOUT = """
CREATE TABLE IF NOT EXISTS conversation (
    use_case TEXT, unit TEXT, name TEXT, kept TEXT NOT NULL, expires REAL NOT NULL, PRIMARY KEY (use_case, unit, name)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS conversation_expires ON conversation (expires);
"""


def new_name() -> str:
    """Return a name for a conversation."""
    return secrets.token_urlsafe(NAME_BYTES)


class Conversations:
    """The conversations of all use cases in one file; safe to use from many threads.

    Args:
        path: The file.
        clock: Returns now [s since 1970].
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._file = PrivateFile(path, LAYOUT, is_logged=False)
        self._thread = Steady("conversations", self._sweep, SWEEP_SECONDS)

    def start(self) -> None:
        """Start forgetting what has expired."""
        self._thread.start()

    def pulse(self) -> Pulse:
        """Return how the thread is that forgets."""
        return self._thread.pulse()

    def close(self) -> None:
        """Stop, and close the file."""
        self._thread.stop()
        self._file.close()

    def find(self, use_case: str, unit: str | None, name: str) -> JsonObject | None:
        """Return what a conversation of this customer keeps; none where there is none or it has expired."""
        query = "SELECT kept FROM conversation WHERE use_case = ? AND unit = ? AND name = ? AND expires > ?"
        with self._file.alone() as connection:
            row = connection.execute(query, (use_case, unit or STRANGER, name, self._clock())).fetchone()
        return None if row is None else dict(json.loads(row[0]))

    def keep(self, use_case: str, unit: str | None, name: str, kept: JsonObject, seconds: float) -> None:
        """Keep it until so many seconds from now."""
        row = (use_case, unit or STRANGER, name, json.dumps(kept, ensure_ascii=False), self._clock() + seconds)
        with self._file.alone() as connection:
            connection.execute("INSERT OR REPLACE INTO conversation VALUES (?, ?, ?, ?, ?)", row)

    def forget(self, use_case: str, units: Iterable[str]) -> None:
        """Delete the conversations of customers."""
        rows = [(use_case, unit) for unit in units]
        with self._file.alone() as connection:
            connection.executemany("DELETE FROM conversation WHERE use_case = ? AND unit = ?", rows)

    def sweep(self) -> int:
        """Delete what has expired; return how many."""
        with self._file.alone() as connection:
            gone = connection.execute("DELETE FROM conversation WHERE expires <= ?", (self._clock(),))
            return gone.rowcount

    def _sweep(self) -> None:
        self.sweep()
