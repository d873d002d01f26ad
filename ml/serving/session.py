"""Sessions of people in a browser, kept on the server: signing out ends them there, and so does doing nothing for a while.

A cookie holds a random name; the file holds keyed digests of names and of customers' tokens: its reader can sign in as nobody.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ml.serving.private_file import PrivateFile

LIFETIME_S = 8 * 3600.0  # of a session, whatever is done in it
TOKEN_S = 3700.0  # longest life of a customer's token, with the leeway for clocks that differ
TOUCH_SHARE = 20  # the last use is noted once in so many parts of the idle time
NAME_BYTES = 32
LAYOUT = """
CREATE TABLE IF NOT EXISTS session (name TEXT PRIMARY KEY, began REAL NOT NULL, seen REAL NOT NULL, customer TEXT)
WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ended (token TEXT PRIMARY KEY, until REAL NOT NULL) WITHOUT ROWID;
"""


@dataclass(frozen=True, kw_only=True)
class Session:
    """A session that holds now."""

    name: str
    """Digest of the cookie."""
    customer: str | None
    """Digest of the customer's token that was given in it."""


class SessionStore:
    """The sessions of the servers of one home; safe to use from many threads and processes.

    Args:
        path: The file.
        key: Of the digests: the server's token, so that a new one ends all sessions.
        idle_s: How long a session lasts without a request [s].
        clock: Returns now [s since 1970].
    """

    def __init__(self, path: Path, key: bytes, idle_s: float, clock: Callable[[], float] = time.time) -> None:
        self._key = hmac.digest(key, b"tradewind page session v2", hashlib.sha256)
        self._idle_s = idle_s
        self._clock = clock
        self._file = PrivateFile(path, LAYOUT, is_logged=True)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def begin(self) -> str:
        """Begin a session; return the name that the browser holds."""
        name, now = secrets.token_urlsafe(NAME_BYTES), self._clock()
        with self._file.changing() as connection:
            connection.execute("INSERT INTO session VALUES (?, ?, ?, NULL)", (self._digest(name), now, now))
            connection.execute("DELETE FROM session WHERE began <= ? OR seen <= ?", self._oldest(now))
            connection.execute("DELETE FROM ended WHERE until <= ?", (now,))
        return name

    def find(self, name: str) -> Session | None:
        """Return the session of that name, and note that it was used; none where it ended, expired, or was idle for too long."""
        now, digest = self._clock(), self._digest(name)
        query = "SELECT seen, customer FROM session WHERE name = ? AND began > ? AND seen > ?"
        with self._file.alone() as connection:
            row = connection.execute(query, (digest, *self._oldest(now))).fetchone()
            if row is None:
                return None
            if now - row[0] > self._idle_s / TOUCH_SHARE:
                connection.execute("UPDATE session SET seen = ? WHERE name = ?", (now, digest))
        return Session(name=digest, customer=row[1])

    def end(self, session: Session) -> None:
        """End a session, and the customer's token that was given in it."""
        with self._file.alone() as connection:
            connection.execute("DELETE FROM session WHERE name = ?", (session.name,))
        self._end_token(session.customer)

    def sign_in(self, session: Session, token: str | None) -> None:
        """Let a session be a customer's, or nobody's; the token that it held before ends."""
        given = self._digest(token) if token else None
        with self._file.alone() as connection:
            connection.execute("UPDATE session SET customer = ? WHERE name = ?", (given, session.name))
        if session.customer != given:
            self._end_token(session.customer)

    def is_of(self, session: Session, token: str) -> bool:
        """Tell whether a customer's token is the one that was given in this session."""
        return session.customer is not None and hmac.compare_digest(session.customer, self._digest(token))

    def has_ended(self, token: str) -> bool:
        """Tell whether a customer's token was signed out."""
        query = "SELECT 1 FROM ended WHERE token = ? AND until > ?"
        with self._file.alone() as connection:
            return connection.execute(query, (self._digest(token), self._clock())).fetchone() is not None

    def _end_token(self, digest: str | None) -> None:
        if digest is not None:
            with self._file.alone() as connection:
                row = (digest, self._clock() + TOKEN_S)
                connection.execute("INSERT OR REPLACE INTO ended VALUES (?, ?)", row)

    def _oldest(self, now: float) -> tuple[float, float]:
        return now - LIFETIME_S, now - self._idle_s

    def _digest(self, text: str) -> str:
        return hmac.digest(self._key, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hex()
