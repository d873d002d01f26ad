"""A landing zone: a folder or `s3://bucket/prefix` into which the shop puts CSV and Parquet files, day by day.

`<table>/2026-11-23/*.csv`, `<table>/day=2026-11-23/*.parquet` and `<table>/2026-11-23.csv` are day partitions;
`<table>.csv` and `<table>/*.csv` hold all days. Of a table that is replaced whole the newest day counts. A Markdown file is one
row: its `path` below the table's folder, and its `content`.
"""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import PurePosixPath

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ml.config import Settings
from ml.contract import Table
from ml.errors import ConfigInvalid, SourceInvalid
from ml.files import canonical, sha256
from ml.sources import stray
from ml.sources.conform import conform, missing_table, up_to
from ml.sources.csv_file import CsvText
from ml.sources.describe import column_names
from ml.sources.encoding import decode
from ml.sources.form import ensure_named_right
from ml.sources.mapping import NO_VALUE, SourceMapping, parse_mapping
from ml.sources.place import Content, Place, mapping_text, open_place
from ml.sources.source import LATER, Clock, SourceSpec, SourceState, ended, replay

DAY = re.compile(r"^(?:day=|date=)?(\d{4}-\d{2}-\d{2})(?:$|\.)")
KINDS = (".csv", ".csv.gz", ".parquet", ".md")
KINDS_PLAIN = (".csv", ".md")


@dataclass(frozen=True)
class LandedFile:
    """One file of a table."""

    day: date | None
    """The partition's day; none for a file that holds all days."""
    name: str
    content: Content
    """Tells the content's digest, as its place knows it."""


@dataclass(frozen=True)
class LandingZone:
    """The shop's own files."""

    place: Place
    mapping: SourceMapping
    clock: Clock
    shift_days: int

    @classmethod
    def open(cls, spec: SourceSpec, settings: Settings) -> LandingZone:
        """Open the zone and read its mapping."""
        if spec.location is None:
            raise ConfigInvalid(
                "source.location: a folder or s3://bucket/prefix", "none", "Set it; see docs/sources.md."
            )
        place = open_place(spec.location, settings)
        text = mapping_text(spec.mapping, place, settings) if isinstance(spec.mapping, str) else spec.mapping
        return cls(place, parse_mapping(text), spec.clock or "wall", spec.replay_shift_days)

    def freeze(self, tables: Sequence[Table], as_of_requested: date, now: datetime | None = None) -> SourceState:
        """Return what has landed up to the date."""
        self.mapping.check({table.name: table for table in tables})
        landed = self._landed(tables)
        as_of = as_of_requested
        if self.clock == "replay":
            first, last = self._day(tables, landed, date.min, first=True), self._day(tables, landed, date.max)
            as_of = replay(as_of_requested, self.shift_days, first, last)
        elif self._has_days(tables, landed):
            as_of = ended(as_of_requested, self.mapping.zone(tables), now)
        last_day = self._day(tables, landed, as_of)
        return SourceState(
            clock=self.clock,
            as_of_data=as_of,
            last_day=last_day,
            digest=self._digest(landed, tables, last_day),
            time_zone=self.mapping.zone(tables),
        )

    def digest(self, tables: Sequence[Table], last_day: date) -> str:
        """Return the digest of the files that count on that day and of the mapping."""
        return self._digest(self._landed(tables), tables, last_day)

    def read(self, table: Table, last_day: date) -> Iterator[pa.Table]:
        """Yield the table file by file.

        Raises:
            SourceInvalid: As the protocol says, or a file lacks a column that another one has, and has one of another name instead.
        """
        names: dict[str, str] = {}
        files, n_rows = _counting(self._landed([table])[table.name], table, last_day), 0
        for file in files:
            raw, convert = self._raw(table, file)
            n_rows += len(raw)
            self._check_renamed(table, raw.column_names, file.name, names)
            rows = convert(raw)
            yield up_to(rows, table, last_day) if file.day is None else rows
        if files and not n_rows and not table.optional:
            raise self._no_rows([table], files)

    def _no_rows(self, tables: Sequence[Table], files: Sequence[LandedFile]) -> SourceInvalid:
        names = ", ".join(table.name for table in tables)
        return SourceInvalid(
            f"rows of {names} in {self.place.name}",
            f"headers alone, in {len(files)} files such as {files[0].name}",
            "Deliver the rows; a day without any may have such a file, a table may not.",
            table=tables[0].name,
        )

    def _rows(self, table: Table, file: LandedFile) -> pa.Table:
        raw, convert = self._raw(table, file)
        return convert(raw)

    def _raw(self, table: Table, file: LandedFile) -> tuple[pa.Table, Callable[[pa.Table], pa.Table]]:
        """Return a file's own columns, and what turns them into the contract's."""
        mapped = self.mapping.of(table)
        origin = f"{self.place.name}/{file.name}"
        data, folder = self.place.read(file.name), mapped.source or table.name
        ensure_named_right(data, file.name, origin)
        if file.name.endswith(".parquet"):
            return _parquet(data, origin), lambda raw: conform(raw, table, mapped, origin)
        text = decode(data if file.name.endswith(KINDS_PLAIN) else _unzipped(data, origin), mapped.encoding, origin)
        if file.name.endswith(".md"):
            path = PurePosixPath(file.name).relative_to(folder).as_posix()
            page = pa.table({"path": [path], "content": [text]})
            return page, lambda raw: conform(raw, table, mapped, origin)
        lines = CsvText(text, mapped.delimiter, origin)
        own = mapped.model_copy(update={"missing": NO_VALUE if mapped.missing is None else mapped.missing})
        return lines.read(), lambda raw: conform(raw, table, own, origin, lines.line_of)

    def _check_renamed(self, table: Table, found: list[str], file: str, names: dict[str, str]) -> None:
        """Refuse a column that went missing while another one appeared: it would be empty in silence.

        Args:
            table: The table.
            found: The file's own columns.
            file: Its name.
            names: By column, the file read before that had it; this file's are added.
        """
        lost = [c.name for c in table.columns if c.name in names and c.name not in found]
        new = [name for name in found if name and name not in names]
        if lost and new:
            raise SourceInvalid(
                f"column {lost[0]} for {table.name}.{lost[0]}, which {names[lost[0]]} has, in {self.place.name}/{file}",
                f"none, and instead {column_names(new)}",
                "Give the column one name in all files.",
                table=table.name,
                column=lost[0],
            )
        names.update((name, file) for name in found if name not in names)

    def _landed(self, tables: Sequence[Table]) -> dict[str, list[LandedFile]]:
        """Return the files of each table; raise where a required one has none."""
        entries = self.place.entries()
        wanted = [self.mapping.of(table).source or table.name for table in tables]
        stray.ensure_none(wanted, [told.source or name for name, told in self.mapping.tables.items()], entries, KINDS)
        landed = {table.name: _files_of(self.mapping.of(table).source or table.name, entries) for table in tables}
        for table in tables:
            if not landed[table.name] and not table.optional:
                raise missing_table(table, sorted({PurePosixPath(name).parts[0] for name in entries}), self.place.name)
        return landed

    def _day(
        self, tables: Sequence[Table], landed: dict[str, list[LandedFile]], limit: date, first: bool = False
    ) -> date:
        """Return the newest day with data not later than a limit, or the first day of all."""
        days = {file.day for files in landed.values() for file in files if file.day is not None}
        for table in tables:
            if table.time_column is not None:
                days |= self._days_inside(table, landed[table.name])
        if not self._has_days(tables, landed):
            return limit
        if first and days:
            return min(days)
        reached = [day for day in days if day <= limit]
        if not days:
            timed = [table for table in tables if table.time_column is not None]
            raise self._no_rows(timed, [file for table in timed for file in landed[table.name]])
        if not reached:
            raise SourceInvalid(
                f"data up to {limit} in {self.place.name}",
                f"{len(days)} days, all later",
                LATER,
            )
        return max(reached)

    def _has_days(self, tables: Sequence[Table], landed: dict[str, list[LandedFile]]) -> bool:
        """Tell whether anything in the zone bears a date: tables without a time may lie in files without a day."""
        dated_files = any(file.day is not None for files in landed.values() for file in files)
        return dated_files or any(table.time_column is not None for table in tables)

    def _days_inside(self, table: Table, files: list[LandedFile]) -> set[date]:
        whole = [self._rows(table, file)[table.time_column] for file in files if file.day is None]
        days = (pc.unique(times.cast(pa.date32(), safe=False)).to_pylist() for times in whole)
        return {day for some in days for day in some if day is not None}

    def _digest(self, landed: dict[str, list[LandedFile]], tables: Sequence[Table], last_day: date) -> str:
        files = {
            table.name: [[file.name, file.content()] for file in _counting(landed[table.name], table, last_day)]
            for table in tables
        }
        mapping = self.mapping.model_dump(mode="json")
        day = last_day.isoformat() if self._has_days(tables, landed) else None
        return sha256(canonical({"files": files, "mapping": mapping, "last_day": day}))


def _files_of(name: str, entries: dict[str, Content]) -> list[LandedFile]:
    own = (path for path in entries if path.startswith(f"{name}/") or path in {f"{name}{kind}" for kind in KINDS})
    visible = (path for path in own if not any(part[0] in "._" for part in PurePosixPath(path).parts))
    return sorted((_landed_file(path, entries[path]) for path in visible), key=lambda file: file.name)


def _landed_file(path: str, content: Content) -> LandedFile:
    if not path.endswith(KINDS):
        raise SourceInvalid(
            f"files that end in {', '.join(KINDS)}",
            path,
            "Convert, rename or remove it (`.CSV` is another ending than `.csv`); names that begin with _ or . are skipped.",
        )
    named = {match.group(1) for part in PurePosixPath(path).parts[1:] if (match := DAY.match(part))}
    days = {_day_of(name, path) for name in named}
    if len(days) > 1:
        raise SourceInvalid(f"one day in the path {path}", f"{' and '.join(sorted(named))}", "Move the file.")
    return LandedFile(next(iter(days), None), path, content)


def _day_of(name: str, path: str) -> date:
    try:
        return date.fromisoformat(name)
    except ValueError:
        raise SourceInvalid(
            f"a day of the calendar in the path {path}", name, "Rename the folder or file to the day of its rows."
        ) from None


def _counting(files: list[LandedFile], table: Table, last_day: date) -> list[LandedFile]:
    """Return the files that make up the table on a day."""
    reached = [file for file in files if file.day is None or file.day <= last_day]
    days = [file.day for file in reached if file.day is not None]
    if table.time_column is not None or not days:
        return reached
    return [file for file in reached if file.day == max(days)]


def _parquet(data: bytes, origin: str) -> pa.Table:
    try:
        return pq.ParquetFile(io.BytesIO(data)).read()
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(origin, error) from None


def _unzipped(data: bytes, origin: str) -> bytes:
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(origin, error) from None


def _unreadable(origin: str, error: Exception) -> SourceInvalid:
    """Return the error for a file whose form is broken; the library's message may quote what the file holds."""
    return SourceInvalid(f"a readable file {origin}", f"{type(error).__name__}: unreadable", "Deliver the file again.")
