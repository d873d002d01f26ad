"""What the server knows of each customer: the last snapshot, plus the events that are newer than it.

One SQLite file, keyed by pseudonyms. A snapshot is written beside the one in use and taken over in one
step; events on or before its as-of time are in it, later ones are applied again. Events stay for some days after they were
covered: an operator may go back to an earlier snapshot. Who was erased is noted
here as well: nothing of them is taken in again, whatever is published or sent.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import TypeAlias

from ml.contract import JsonObject
from ml.errors import StorageUnavailable
from ml.serving.private_file import PrivateFile, transaction

EVENTS_STAY = timedelta(days=35)
CHUNK_ROWS = 500  # histories a transaction of an import holds: events get in between
LAYOUT = """
CREATE TABLE IF NOT EXISTS snapshot (
    use_case TEXT PRIMARY KEY, generation INTEGER NOT NULL, mark TEXT NOT NULL, as_of TEXT NOT NULL,
    units INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS base (
    use_case TEXT, generation INTEGER, unit TEXT, history TEXT NOT NULL, PRIMARY KEY (use_case, generation, unit)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS current (
    use_case TEXT, unit TEXT, history TEXT NOT NULL, PRIMARY KEY (use_case, unit)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS event (
    number INTEGER PRIMARY KEY, use_case TEXT NOT NULL, unit TEXT NOT NULL, time TEXT NOT NULL, id TEXT,
    event TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS publication (use_case TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS erased (
    use_case TEXT, unit TEXT, since TEXT NOT NULL, PRIMARY KEY (use_case, unit)
) WITHOUT ROWID;
CREATE UNIQUE INDEX IF NOT EXISTS event_id ON event (use_case, unit, id) WHERE id IS NOT NULL;
CREATE INDEX IF NOT EXISTS event_unit ON event (use_case, unit, time, number);
"""

LAYOUT_VERSION = 1
"""From it on events have schemas, and ids are keyed digests."""
Note: TypeAlias = Callable[[], Callable[[], object]]
Renew: TypeAlias = Callable[[JsonObject, str | None], tuple[JsonObject, str | None]]
Observe: TypeAlias = Callable[[str, JsonObject | None, JsonObject], JsonObject]
"""(unit, stored history or none, event) -> new history."""


def _no_note() -> Callable[[], object]:
    return lambda: None


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """What identifies an imported snapshot."""

    mark: str
    """Digest of the snapshot's bytes."""
    as_of: str
    """Last moment it covers, on the data's own clock [ISO 8601]."""
    units: int = 0
    table: str = ""
    """Key of the table in the `state` bucket; empty of one that is in use."""
    number: int = 0
    """Of its publication: a later one has a larger number; 0 where it was published by a version that gave none."""
    back: int = 0
    """Number of the newest publication by which an operator went back to an earlier day; 0 where none did."""


@dataclass(frozen=True, kw_only=True)
class Event:
    """One thing a customer did."""

    units: tuple[str, ...]
    """Whose histories it changes."""
    time: str
    """On the data's own clock [ISO 8601]."""
    body: JsonObject
    id: str | None = None
    """Chosen by the sender: an event that is sent again counts once."""


class StateStore:
    """The histories of all use cases in one file; safe to use from many threads."""

    def __init__(self, path: Path) -> None:
        self._file = PrivateFile(path, LAYOUT, is_logged=True, survives="process")

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def history(self, use_case: str, unit: str) -> JsonObject | None:
        """Return what is known of a customer now; none for a stranger."""
        with self._file.alone() as connection:
            return _known(connection, use_case, unit)

    def snapshot(self, use_case: str) -> Snapshot | None:
        """Return the snapshot in use; none before the first."""
        query = """
            SELECT mark, as_of, units, coalesce(number, 0) FROM snapshot LEFT JOIN publication USING (use_case)
            WHERE use_case = ?
        """
        with self._file.alone() as connection:
            row = connection.execute(query, (use_case,)).fetchone()
        return None if row is None else Snapshot(mark=row[0], as_of=row[1], units=row[2], number=row[3])

    def number(self, use_case: str, number: int) -> None:
        """Note that the histories in use were published again under a larger number."""
        with self._file.alone() as connection:
            _number(connection, use_case, number)

    def record(self, use_case: str, event: Event, observe: Observe, note: Note = _no_note) -> bool:
        """Apply an event to the histories of its units and keep it for the next snapshot: to all of them or to none.

        Args:
            use_case: Name of the use case.
            event: What happened.
            observe: Applies it to a history.
            note: Writes it down elsewhere, unless its id was seen before; where it fails, nothing has happened. What it
                returns is called where the event is not kept after all.

        Returns:
            Whether it counted: not if its id was seen before, if the snapshot in use already covers its time, or if one of
            its units was erased.
        """
        undo: Callable[[], object] = _no_note
        try:
            with self._file.changing() as connection:
                if any(_is_erased(connection, use_case, unit) for unit in event.units):
                    return False
                if _is_covered(connection, use_case, event):
                    undo = note()
                    return False
                kept = [unit for unit in event.units if _keep(connection, use_case, unit, event)]
                for unit in kept:
                    history = observe(unit, _known(connection, use_case, unit), event.body)
                    _set_current(connection, use_case, unit, history)
                undo = note() if kept or not event.units else undo
                return bool(kept)
        except sqlite3.Error as error:
            undo()
            raise StorageUnavailable(
                "room and a whole file for what the server keeps",
                type(error).__name__,
                "Try again; the operators have to look at the server's disk.",
            ) from error
        except BaseException:
            undo()
            raise

    def renew(self, rules: Mapping[str, Renew]) -> int:
        """Write events from before `LAYOUT_VERSION` again by the rules of today, once; return how many were changed.

        Args:
            rules: By use case: (event, its id) -> both as they would be stored now.
        """
        with self._file.changing() as connection:
            if connection.execute("PRAGMA user_version").fetchone()[0] >= LAYOUT_VERSION:
                return 0
            rows = connection.execute("SELECT number, use_case, event, id FROM event ORDER BY number").fetchall()
            changed = sum(_renew(connection, row, rules[row[1]]) for row in rows if row[1] in rules)
            connection.execute(f"PRAGMA user_version = {LAYOUT_VERSION}")
        self._file.empty_log()
        return changed

    def is_erased(self, use_case: str, unit: str) -> bool:
        """Tell whether a customer was erased, as far as `erase` was told."""
        with self._file.alone() as connection:
            return _is_erased(connection, use_case, unit)

    def erased(self, use_case: str) -> dict[str, str]:
        """Return the moment of each erasure by unit [UTC, ISO 8601]."""
        with self._file.alone() as connection:
            return dict(connection.execute("SELECT unit, since FROM erased WHERE use_case = ?", (use_case,)).fetchall())

    def erase(self, use_case: str, since: Mapping[str, str]) -> int:
        """Drop all that is known of customers, and take in nothing of them from now on; return how many are new.

        Args:
            use_case: Name of the use case.
            since: The moment of each erasure by unit [UTC, ISO 8601].
        """
        with self._file.changing() as connection:
            rows = [(use_case, unit, moment) for unit, moment in since.items()]
            new = connection.executemany("INSERT OR IGNORE INTO erased VALUES (?, ?, ?)", rows).rowcount
            if new > 0:
                _forget_erased(connection, use_case)
                _unname(connection, use_case, since)
        if new > 0:
            self._file.empty_log()
        return max(new, 0)

    def adopt(
        self, use_case: str, snapshot: Snapshot, histories: Iterable[tuple[str, str]], observe: Observe
    ) -> Snapshot:
        """Take over a new snapshot without losing later events; readers see the old one until the last step.

        Args:
            use_case: Name of the use case.
            snapshot: Its mark and as-of time.
            histories: (unit, history as JSON) of every customer.
            observe: Applies an event to a history.
        """
        with closing(self._file.another()) as connection:
            generation = _next_generation(connection, use_case)
            units = sum(
                _write_chunk(connection, use_case, generation, chunk) for chunk in _chunks(histories, CHUNK_ROWS)
            )
            row = (use_case, generation, snapshot.mark, snapshot.as_of, units)
            with self._file.finishing(connection):
                connection.execute("INSERT OR REPLACE INTO snapshot VALUES (?, ?, ?, ?, ?)", row)
                _number(connection, use_case, snapshot.number)
                _forget_covered(connection, use_case, snapshot.as_of)
                _forget_erased(connection, use_case)
                _reapply(connection, use_case, snapshot.as_of, observe)
            _drop_other_generations(connection, use_case, generation)
        return Snapshot(mark=snapshot.mark, as_of=snapshot.as_of, units=units, number=snapshot.number)


def _number(connection: sqlite3.Connection, use_case: str, number: int) -> None:
    command = """
        INSERT INTO publication VALUES (?, ?)
        ON CONFLICT (use_case) DO UPDATE SET number = excluded.number WHERE excluded.number > number
    """
    connection.execute(command, (use_case, number))


def _is_covered(connection: sqlite3.Connection, use_case: str, event: Event) -> bool:
    row = connection.execute("SELECT as_of FROM snapshot WHERE use_case = ?", (use_case,)).fetchone()
    return row is not None and event.time <= row[0]


def _renew(connection: sqlite3.Connection, row: tuple[int, str, str, str | None], rule: Renew) -> bool:
    number, _, text, event_id = row
    body, name = rule(json.loads(text), event_id)
    written = (json.dumps(body), name)
    if written == (text, event_id):
        return False
    connection.execute("UPDATE OR IGNORE event SET event = ?, id = ? WHERE number = ?", (*written, number))
    return True


def _known(connection: sqlite3.Connection, use_case: str, unit: str) -> JsonObject | None:
    query = """
        SELECT coalesce(
            (SELECT history FROM current WHERE use_case = :use_case AND unit = :unit),
            (SELECT base.history FROM base JOIN snapshot USING (use_case, generation)
             WHERE use_case = :use_case AND unit = :unit)
        )
    """
    row = connection.execute(query, {"use_case": use_case, "unit": unit}).fetchone()
    if row[0] is None:
        return None
    history: JsonObject = json.loads(row[0])
    return history


def _keep(connection: sqlite3.Connection, use_case: str, unit: str, event: Event) -> bool:
    command = "INSERT OR IGNORE INTO event (use_case, unit, time, id, event) VALUES (?, ?, ?, ?, ?)"
    row = (use_case, unit, event.time, event.id, json.dumps(event.body))
    return connection.execute(command, row).rowcount == 1


def _set_current(connection: sqlite3.Connection, use_case: str, unit: str, history: JsonObject) -> None:
    connection.execute("INSERT OR REPLACE INTO current VALUES (?, ?, ?)", (use_case, unit, json.dumps(history)))


def _next_generation(connection: sqlite3.Connection, use_case: str) -> int:
    """Return a number no row bears, not even those of an import that was cut off."""
    query = "SELECT coalesce(max(generation), 0) + 1 FROM base WHERE use_case = ?"
    number: int = connection.execute(query, (use_case,)).fetchone()[0]
    return number


def _chunks(rows: Iterable[tuple[str, str]], size: int) -> Iterator[list[tuple[str, str]]]:
    rows = iter(rows)
    while chunk := list(islice(rows, size)):
        yield chunk


def _write_chunk(connection: sqlite3.Connection, use_case: str, generation: int, chunk: list[tuple[str, str]]) -> int:
    with transaction(connection):
        connection.executemany(
            "INSERT INTO base VALUES (?, ?, ?, ?)", ((use_case, generation, unit, history) for unit, history in chunk)
        )
    return len(chunk)


def _unname(connection: sqlite3.Connection, use_case: str, units: Iterable[str]) -> None:
    """Take names out of what stays: the event of a terminal counts on, and tells no more whose it was."""
    command = "UPDATE event SET event = replace(event, ?, ?) WHERE use_case = ? AND instr(event, ?) > 0"
    connection.executemany(command, [(unit, secrets.token_hex(16), use_case, unit) for unit in units])


def _forget_covered(connection: sqlite3.Connection, use_case: str, as_of: str) -> None:
    until = (datetime.fromisoformat(as_of) - EVENTS_STAY).isoformat()
    connection.execute("DELETE FROM event WHERE use_case = ? AND time <= ?", (use_case, until))
    connection.execute("DELETE FROM current WHERE use_case = ?", (use_case,))


def _is_erased(connection: sqlite3.Connection, use_case: str, unit: str) -> bool:
    found = connection.execute("SELECT 1 FROM erased WHERE use_case = ? AND unit = ?", (use_case, unit)).fetchone()
    return found is not None


def _forget_erased(connection: sqlite3.Connection, use_case: str) -> None:
    """Delete what is kept of the erased, of every generation: one that is being imported too."""
    for name in ("base", "current", "event"):
        command = (
            f"DELETE FROM {name} WHERE use_case = :name AND unit IN (SELECT unit FROM erased WHERE use_case = :name)"  # noqa: S608 - names of our own tables
        )
        connection.execute(command, {"name": use_case})


def _reapply(connection: sqlite3.Connection, use_case: str, as_of: str, observe: Observe) -> None:
    """Apply the events the snapshot does not cover, each customer's in order of time, then of arrival."""
    query = "SELECT unit, event FROM event WHERE use_case = ? AND time > ? ORDER BY unit, time, number"
    for unit, body in connection.execute(query, (use_case, as_of)).fetchall():
        history = observe(unit, _known(connection, use_case, unit), json.loads(body))
        _set_current(connection, use_case, unit, history)


def _drop_other_generations(connection: sqlite3.Connection, use_case: str, generation: int) -> None:
    """Delete in small steps: each lets waiting writers in."""
    command = """
        DELETE FROM base WHERE use_case = :use_case AND (generation, unit) IN
        (SELECT generation, unit FROM base WHERE use_case = :use_case AND generation <> :generation LIMIT :rows)
    """
    values = {"use_case": use_case, "generation": generation, "rows": CHUNK_ROWS * 10}
    while connection.execute(command, values).rowcount:
        continue
