"""The shop's own database, read through SQLAlchemy in chunks with the same mapping as files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import sqlalchemy as sa

from ml.config import Settings
from ml.contract import Table
from ml.errors import ConfigInvalid, SourceInvalid, StorageUnavailable
from ml.files import canonical, sha256
from ml.sources.conform import conform, missing_table, newest_day, up_to
from ml.sources.mapping import SourceMapping, parse_mapping
from ml.sources.place import open_place
from ml.sources.source import Clock, SourceSpec, SourceState, replay

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
        except sa.exc.ArgumentError as error:
            raise ConfigInvalid("a SQLAlchemy URL as source.location", "another text", "Correct it.") from error
        if url.password is not None:
            raise ConfigInvalid("source.location without a password", "one", "Put it into TRADEWIND_SOURCE_PASSWORD.")
        if settings.source_password is not None:
            url = url.set(password=settings.source_password.get_secret_value())
        engine = _engine(url)
        text = open_place(".", settings).text(spec.mapping) if isinstance(spec.mapping, str) else spec.mapping
        return cls(engine, parse_mapping(text), spec.clock or "wall", spec.replay_shift_days)

    def freeze(self, tables: Sequence[Table], as_of_requested: date) -> SourceState:
        """Return what the database holds up to the date; reads the tables once."""
        self.mapping.check({table.name: table for table in tables})
        as_of = as_of_requested
        if self.clock == "replay":
            as_of = replay(as_of_requested, self.shift_days, *self._recorded(tables))
        last_day = self._last_day(tables, as_of)
        return SourceState(clock=self.clock, as_of_data=as_of, last_day=last_day, digest=self.digest(tables, last_day))

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
        mapped = self.mapping.of(table)
        origin = f"table {reflected.name}"
        for raw in self._chunks(self._query(table, reflected, last_day), origin):
            yield up_to(conform(raw, table, mapped, origin), table, last_day)

    def _reflect(self, table: Table) -> sa.Table | None:
        schema, _, name = (self.mapping.of(table).source or table.name).rpartition(".")
        try:
            return sa.Table(name, sa.MetaData(), schema=schema or None, autoload_with=self.engine)
        except sa.exc.NoSuchTableError as error:
            if table.optional:
                return None
            found = sa.inspect(self.engine).get_table_names(schema=schema or None)
            raise missing_table(table, found, "the database") from error
        except sa.exc.OperationalError as error:
            raise _unreachable(self.engine) from error

    def _query(self, table: Table, reflected: sa.Table, last_day: date) -> sa.Select[Any]:
        """Select the mapped columns; the database filters by time where its own type allows."""
        mapped = self.mapping.of(table).columns
        theirs = {c.name: mapped[c.name].source if c.name in mapped else c.name for c in table.columns}
        wanted = dict.fromkeys(name for name in theirs.values() if name is not None and name in reflected.c)
        query = sa.select(*(_readable(reflected.c[name]) for name in wanted))
        time_column = reflected.c.get(theirs.get(table.time_column or "") or "")
        if time_column is None or not _is_naive_time(time_column.type):
            return query
        end = datetime.combine(last_day + timedelta(days=1), time())
        return query.where(sa.or_(time_column < end, time_column.is_(None)))

    def _chunks(self, query: sa.Select[Any], origin: str) -> Iterator[pa.Table]:
        try:
            with self.engine.connect().execution_options(stream_results=True) as connection:
                for chunk in pd.read_sql(query, connection, chunksize=CHUNK, dtype_backend="pyarrow"):
                    yield pa.Table.from_pandas(chunk, preserve_index=False)
        except sa.exc.OperationalError as error:
            raise _unreachable(self.engine) from error
        except (TypeError, ValueError, pa.ArrowException) as error:
            raise SourceInvalid(
                f"readable rows in {origin}", "a value that its own column's type does not allow", "Correct the rows."
            ) from error

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
            raise SourceInvalid(f"rows up to {as_of} in the database", "none", "Ask for a later date.")
        return max(reached)


def _readable(column: sa.Column[Any]) -> sa.ColumnElement[Any]:
    """Let the database write out identifiers that Arrow has no type for."""
    return sa.cast(column, sa.String(36)).label(column.name) if isinstance(column.type, sa.Uuid) else column


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


def _unreachable(engine: sa.Engine) -> StorageUnavailable:
    return StorageUnavailable(
        f"an answer from the database {engine.url.render_as_string(hide_password=True)}", "none", "Is it up? Try again."
    )
