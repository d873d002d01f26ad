"""The shop's own database, read through SQLAlchemy in chunks with the same mapping as files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import partial
from typing import Any
from urllib.parse import quote

import numpy as np
import pandas as pd
import pyarrow as pa
import sqlalchemy as sa

from ml.config import Settings
from ml.contract import Table
from ml.errors import ConfigInvalid, SourceInvalid
from ml.files import canonical, sha256
from ml.sources.conform import conform, missing_table, newest_day, up_to
from ml.sources.describe import same_but_spelling
from ml.sources.location import folder_of, password
from ml.sources.mapping import SourceMapping, TableMapping, parse_mapping
from ml.sources.place import ensure_not_ours, mapping_text, open_place
from ml.sources.source import LATER, Clock, SourceSpec, SourceState, ended, replay
from ml.sources.sql_faults import told

CHUNK = 100_000  # rows held of one query
END_OF_TIME = date(9998, 12, 31)


@dataclass(frozen=True)
class Database:
    """Tables of a database; nothing is written to it."""

    engine: sa.Engine
    mapping: SourceMapping
    clock: Clock
    shift_days: int

    @classmethod
    def open(cls, spec: SourceSpec, settings: Settings) -> Database:
        """Connect; the password comes from the settings, never from the section, which is kept with the run."""
        if spec.location is None:
            raise ConfigInvalid("source.location: a SQLAlchemy URL", "none", "Set it; see docs/sources.md.")
        try:
            url = sa.make_url(spec.location)
        except (sa.exc.ArgumentError, ValueError):
            raise ConfigInvalid("a SQLAlchemy URL as source.location", "another text", "Correct it.") from None
        if url.password is not None or "password" in url.query:
            raise ConfigInvalid("source.location without a password", "one", "Put it into TRADEWIND_SOURCE_PASSWORD.")
        url = _read_only(url, settings) if url.get_backend_name() == "sqlite" else url
        secret = password(url, settings)
        engine = _engine(url if secret is None else url.set(password=secret))
        place = open_place(".", settings)
        text = mapping_text(spec.mapping, place, settings) if isinstance(spec.mapping, str) else spec.mapping
        return cls(engine, parse_mapping(text), spec.clock or "wall", spec.replay_shift_days)

    def freeze(self, tables: Sequence[Table], as_of_requested: date, now: datetime | None = None) -> SourceState:
        """Return what the database holds up to the date; reads the tables once."""
        self.mapping.check({table.name: table for table in tables})
        as_of = as_of_requested
        if self.clock == "replay":
            as_of = replay(as_of_requested, self.shift_days, *self._recorded(tables))
        elif any(table.time_column is not None for table in tables):
            as_of = ended(as_of_requested, self.mapping.zone(tables), now)
        last_day = self._last_day(tables, as_of)
        digest, zone = self.digest(tables, last_day), self.mapping.zone(tables)
        return SourceState(clock=self.clock, as_of_data=as_of, last_day=last_day, digest=digest, time_zone=zone)

    def digest(self, tables: Sequence[Table], last_day: date) -> str:
        """Return the digest of the rows up to that day, whatever their order, and of the mapping."""
        content = {
            "rows": {table.name: _rows_digest(self.read(table, last_day)) for table in tables},
            "mapping": self.mapping.model_dump(mode="json"),
            "last_day": last_day.isoformat(),
        }
        return sha256(canonical(content))

    def read(self, table: Table, last_day: date) -> Iterator[pa.Table]:
        """Yield the table in chunks."""
        reflected = self._reflect(table)
        if reflected is None:
            return
        mapped, origin = self.mapping.of(table), f"table {reflected.name}"
        before = 0
        with told(self.engine, origin):
            for raw in self._chunks(self._query(table, reflected, last_day)):
                locate = partial(_row_number, before)
                _ensure_zones(raw, table, mapped, origin)
                yield up_to(conform(raw, table, mapped, origin, locate), table, last_day)
                before += len(raw)

    def _reflect(self, table: Table) -> sa.Table | None:
        wanted = self.mapping.of(table).source or table.name
        schema, _, name = wanted.rpartition(".")
        with told(self.engine, f"table {wanted}"):
            inspected = sa.inspect(self.engine)
            if not (
                inspected.has_table(name, schema=schema or None) or name in inspected.get_view_names(schema or None)
            ):
                if table.optional:
                    return None
                found = [*inspected.get_table_names(schema or None), *inspected.get_view_names(schema or None)]
                raise missing_table(table, found, "the database")
            return sa.Table(name, sa.MetaData(), schema=schema or None, autoload_with=self.engine, resolve_fks=False)

    def _query(self, table: Table, reflected: sa.Table, last_day: date) -> sa.Select[Any]:
        """Select the mapped columns; the database filters by time where its own type allows."""
        mapped = self.mapping.of(table)
        theirs = {c.name: mapped.theirs(c.name) for c in table.columns}
        named = dict.fromkeys(name for name in theirs.values() if name is not None)
        similar = [
            other
            for name in named
            if name not in reflected.c
            for other in same_but_spelling(name, [*reflected.c.keys()])
        ]
        wanted = [
            name for name in (*named, *similar) if name in reflected.c
        ]  # the similar ones are there to be told of
        query = sa.select(
            *(_readable(reflected.c[name], self.engine) for name in dict.fromkeys(wanted or reflected.c.keys()))
        )
        time_column = reflected.c.get(theirs.get(table.time_column or "") or "")
        if time_column is None or not _is_naive_time(time_column.type) or self.engine.dialect.name == "sqlite":
            return query  # SQLite compares whatever it holds as text: it would leave out what is written otherwise
        end = datetime.combine(last_day + timedelta(days=1), time())
        return query.where(sa.or_(time_column < end, time_column.is_(None)))

    def _chunks(self, query: sa.Select[Any]) -> Iterator[pa.Table]:
        with self.engine.connect().execution_options(stream_results=True) as connection:
            result = connection.execute(query)
            names = list(result.keys())
            while rows := result.fetchmany(CHUNK):
                yield pa.table([_array([row[place] for row in rows]) for place in range(len(names))], names=names)

    def _recorded(self, tables: Sequence[Table]) -> tuple[date, date]:
        days = [day for table in tables if table.time_column for day in self._days(table)]
        if not days:
            raise SourceInvalid("recorded days in the database", "none", "Deliver data, or use the clock `wall`.")
        return min(days), max(days)

    def _days(self, table: Table) -> set[date]:
        chunks = (rows[table.time_column].cast(pa.date32(), safe=False) for rows in self.read(table, END_OF_TIME))
        return {day for days in chunks for day in days.unique().to_pylist() if day is not None}

    def _last_day(self, tables: Sequence[Table], as_of: date) -> date:
        timed = [table for table in tables if table.time_column is not None]
        days = [newest_day(rows, table, as_of) for table in timed for rows in self.read(table, as_of)]
        reached = [day for day in days if day is not None]
        if not reached:
            raise SourceInvalid(f"rows up to {as_of} in the database", "none", LATER)
        return max(reached)


def _readable(column: sa.Column[Any], engine: sa.Engine) -> sa.ColumnElement[Any]:
    """Let the database write out identifiers that Arrow has no type for, and SQLite tell what it holds as it is."""
    if isinstance(column.type, sa.Uuid):
        return sa.cast(column, sa.String(36)).label(column.name)
    return sa.type_coerce(column, sa.types.NullType()).label(column.name) if engine.dialect.name == "sqlite" else column


def _array(values: list[Any]) -> pa.Array:
    """Return a column's values as Arrow takes them; as text where they are of several kinds or too large."""
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
        return pa.array([None if value is None else _text(value) for value in values], pa.string())


def _text(value: object) -> str:
    return value.isoformat() if isinstance(value, date | datetime | time) else str(value)


def _ensure_zones(raw: pa.Table, table: Table, mapped: TableMapping, origin: str) -> None:
    """Refuse times with a zone where the mapping does not say which one the shop's is: theirs is the session's."""
    for column in table.columns:
        told_as = mapped.columns.get(column.name)
        name = mapped.theirs(column.name)
        if column.type != "timestamp" or name not in raw.column_names or (told_as and told_as.time_zone):
            continue
        kind = raw.schema.field(name).type
        if pa.types.is_timestamp(kind) and kind.tz is not None:
            raise SourceInvalid(
                f"time_zone in the mapping of {table.name}.{column.name}, for {origin}",
                "none, and times with a zone, which is the session's",
                f"Set tables.{table.name}.columns.{column.name}.time_zone to the shop's zone.",
                table=table.name,
                column=column.name,
            )


def _row_number(before: int, row: int) -> str:
    return f"row {before + row + 1} of the query"


def _read_only(url: sa.URL, settings: Settings) -> sa.URL:
    """Return SQLite's address such that no file is made or changed.

    Raises:
        ConfigInvalid: The file lies in Tradewind's home, or the address is one of SQLite's own form.
    """
    if not url.database or url.database.startswith(("file:", ":")):
        raise ConfigInvalid("sqlite:///<path of a file> as source.location", "another form", "Correct it.")
    file = folder_of(url.database)
    ensure_not_ours(file, settings)
    return url.set(database=f"file:{quote(str(file))}", query={"mode": "ro", "uri": "true"})


def _engine(url: sa.URL) -> sa.Engine:
    try:
        return sa.create_engine(url)
    except (ImportError, sa.exc.NoSuchModuleError) as error:
        raise ConfigInvalid(
            f"a driver for {url.drivername}", "none", "Install it, or name another (dialect+driver://…)."
        ) from error


def _is_naive_time(kind: sa.types.TypeEngine[Any]) -> bool:
    return isinstance(kind, sa.DateTime) and not kind.timezone


def _rows_digest(chunks: Iterator[pa.Table]) -> str:
    """Return one digest of a set of rows: the sorted 64-bit hashes of the rows, hashed."""
    hashes = [pd.util.hash_pandas_object(chunk.to_pandas(), index=False).to_numpy() for chunk in chunks]
    merged = np.sort(np.concatenate(hashes)) if hashes else np.empty(0, np.uint64)
    return f"sha256:{hashlib.sha256(merged.astype('<u8').tobytes()).hexdigest()}"
