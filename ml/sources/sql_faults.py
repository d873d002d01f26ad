"""Says what a database's refusal means and what helps, for each driver's own way to tell it; no message of a driver is repeated."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import sqlalchemy as sa

from ml.errors import ConfigInvalid, SourceInvalid, StorageUnavailable, TradewindError


@dataclass(frozen=True)
class Fault:
    """One kind of refusal."""

    kind: type[TradewindError]
    expected: str
    found: str
    remedy: str
    states: tuple[str, ...] = ()
    """SQLSTATE codes, or the first two letters of their class."""
    sqlite: tuple[str, ...] = ()
    """Names of SQLite's result codes."""
    words: str = ""
    """Found in the message of a driver that gives no code, as at connecting [regular expression]."""


ENCODING = Fault(
    SourceInvalid,
    "text in the encoding that the database declares",
    "bytes that are not",
    "Correct the rows, or the client's encoding (`?client_encoding=` of the location).",
    states=("22021", "22P05"),
    words=r"Could not decode|invalid byte sequence|codec can't decode|no equivalent in encoding",
)
FAULTS = (
    Fault(
        ConfigInvalid,
        "the database to accept user and password",
        "a refusal",
        "Check the user in source.location, and TRADEWIND_SOURCE_PASSWORD.",
        states=("28",),
        words=r"authentication failed|password supplied|Access denied|role .* does not exist|pg_hba\.conf",
    ),
    Fault(
        ConfigInvalid,
        "a database of that name",
        "none",
        "Correct the database's name in source.location.",
        states=("3D000", "42000-1049"),
        words=r"database .* does not exist|Unknown database",
    ),
    Fault(
        SourceInvalid,
        "the right to read it",
        "permission denied",
        "Grant SELECT on it, and USAGE on its schema, to the user in source.location.",
        states=("42501",),
        sqlite=("SQLITE_PERM", "SQLITE_AUTH"),
        words=r"permission denied|insufficient privilege|command denied",
    ),
    Fault(
        SourceInvalid,
        "the table, or what its view is made of, to stay",
        "that it is gone, or that a column of it is",
        "Restore it, or correct the mapping, and start a new run.",
        states=("42P01", "42703", "42S02", "42S22"),
        words=r"no such (table|column)|does not exist",
    ),
    Fault(
        StorageUnavailable,
        "an answer in the time that the database allows",
        "a query that it cancelled, or a lock",
        "Try again, raise its time limit for this user, or read a view with less.",
        states=("57014", "55P03", "40"),
        sqlite=("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_INTERRUPT"),
        words=r"database is locked|timeout|timed out",
    ),
    ENCODING,
    Fault(
        SourceInvalid,
        "a database",
        "a file that is none, or is broken",
        "Correct source.location, or restore the file.",
        sqlite=("SQLITE_NOTADB", "SQLITE_CORRUPT"),
        words=r"not a database|malformed",
    ),
    Fault(
        SourceInvalid,
        "a file that can be opened for reading",
        "none",
        "Correct source.location, or let the user of this process read the file.",
        sqlite=("SQLITE_CANTOPEN",),
        words=r"unable to open database file",
    ),
    Fault(
        SourceInvalid,
        "values that the database can tell",
        "one that does not fit its own type",
        "Correct the rows or the view.",
        states=("22",),
    ),
)
UNREACHABLE = Fault(
    StorageUnavailable, "an answer", "none", "Is it up, and host and port right? Try again.", states=("08", "57P", "53")
)
OTHER = Fault(SourceInvalid, "readable rows", "a refusal", "Run a SELECT on it as this user to see why.")


@contextmanager
def told(engine: sa.Engine, what: str) -> Iterator[None]:
    """Turn a database's refusal into an error that names driver, host and table.

    Args:
        engine: Whose.
        what: What was read, for messages.
    """
    try:
        yield
    except sa.exc.DBAPIError as error:
        raise _error(
            engine, what, _kind(error), _code(error)
        ) from None  # its message quotes values, and its chain the query
    except sa.exc.SQLAlchemyError as error:
        raise _error(engine, what, OTHER, type(error).__name__) from None
    except UnicodeError:
        raise _error(engine, what, ENCODING, "") from None


def _error(engine: sa.Engine, what: str, fault: Fault, code: str) -> TradewindError:
    place = (
        f"{engine.dialect.name} ({engine.dialect.driver}) at {engine.url.host or engine.url.database or 'this machine'}"
    )
    told_code = f" ({code})" if code else ""
    return fault.kind(f"{fault.expected}, for {what} of {place}", f"{fault.found}{told_code}", fault.remedy)


def _kind(error: sa.exc.DBAPIError) -> Fault:
    code, message = _code(error), str(error.orig)
    for fault in FAULTS:
        if code.startswith((*fault.sqlite, *fault.states)):
            return fault
    for fault in FAULTS:
        if fault.words and re.search(fault.words, message, re.IGNORECASE):
            return fault
    if code.startswith(UNREACHABLE.states) or (not code and isinstance(error, sa.exc.OperationalError)):
        return UNREACHABLE
    return OTHER


def _code(error: sa.exc.DBAPIError) -> str:
    """Return the driver's code: a SQLSTATE, or SQLite's name."""
    found: Sequence[object] = [getattr(error.orig, name, None) for name in ("sqlstate", "pgcode", "sqlite_errorname")]
    return str(next((code for code in found if code), ""))
