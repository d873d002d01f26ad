"""Judges every table partition by partition, writes what passes, and sets the rest aside with its reasons."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from graphlib import TopologicalSorter
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from data_checks.check import EXAMPLES, Check, Finding, Judged, Mask
from data_checks.derived import across_checks, derived_checks
from data_checks.partition import DAY, packed, read
from data_checks.row_mark import MARK_COLUMN, marks, without_released
from data_checks.sketch import DayCounts, count_days
from data_checks.suite import Suite, new_context, shown_number
from ml.contract import JsonObject, Table
from ml.errors import ConfigInvalid
from ml.files import table_files, write_arrow
from ml.sources.engine import open_tables

TIMES = (pd.Timestamp.min, pd.Timestamp.max)  # what fits into nanoseconds
NULLABLE = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Sealed:
    """How to look at rows some of whose columns are encrypted."""

    words: Path
    """Folder with a folder of packed files a table, opaque words in the place of encrypted values, equal where these are."""
    open: Callable[[Table, pa.Table], pa.Table]
    """Returns rows with their values, in memory."""
    passed: Path
    """Receives the rows that pass as `words` has them."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is judged, where it lies, and where it goes."""

    tables: tuple[Table, ...]
    checks: tuple[Check, ...]
    """The use case's own rules; the contract's are added."""
    source: Path
    """Folder with a folder of day files a table."""
    out: Path
    """Receives `tables/` and `quarantine/`."""
    as_of: date
    released: frozenset[str] = frozenset()
    """Rules whose rows a data owner let pass."""
    released_rows: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Rule to the marks of the very rows that a data owner let pass, with how many of each."""
    row_key: bytes = b""
    """Key of the marks."""
    sealed: Sealed | None = None
    """None where nothing is encrypted."""

    @property
    def whole(self) -> Path:
        """Folder with all rows as rules on whole tables look at them."""
        return self.sealed.words if self.sealed else self.source

    @property
    def passed(self) -> Path:
        """Folder with the rows that passed, looked at likewise."""
        return self.sealed.passed if self.sealed else self.out / "tables"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one table."""

    table: Table
    received: int
    passed: int
    newest_day: date | None
    """Newest day among the rows received that is not later than the run's date."""
    findings: tuple[Finding, ...]
    days: Mapping[date, int] = field(default_factory=dict)
    """Rows received on each day up to the run's date."""
    columns: Mapping[str, DayCounts] = field(default_factory=dict)
    """How the values received are spread, by column of the agreed type."""

    @property
    def quarantined(self) -> int:
        """Rows set aside."""
        return self.received - self.passed


@dataclass
class Documents:
    """Masked Great Expectations results by table and partition, for the Data Docs."""

    context: Any = field(default_factory=new_context)
    suites: dict[str, Suite] = field(default_factory=dict)
    results: dict[tuple[str, str], Any] = field(default_factory=dict)


def checks_of(use_case: str) -> tuple[Check, ...]:
    """Return the rules of a use case, from the module of that name."""
    found: tuple[Check, ...] = import_module(f"data_checks.{use_case}").CHECKS
    return found


def run(job: Job) -> tuple[tuple[Outcome, ...], Documents]:
    """Judge all tables, referenced ones first, so that a reference to a row set aside is seen.

    Raises:
        ConfigInvalid: A rule is about encrypted values that it does not declare.
    """
    _ensure_declared(job)
    documents = Documents()
    outcomes = {name: _table(job, table, documents) for name, table in _in_order(job.tables)}
    return tuple(outcomes[table.name] for table in job.tables), documents


def _in_order(tables: Sequence[Table]) -> Iterator[tuple[str, Table]]:
    by_name = {table.name: table for table in tables}
    needs = {table.name: {parent for parent, _ in table.references.values()} & set(by_name) for table in tables}
    for name in TopologicalSorter(needs).static_order():
        yield name, by_name[name]


def _table(job: Job, table: Table, documents: Documents) -> Outcome:
    checks = _severities(_checks(job, table), job.released)
    suite = documents.suites[table.name] = Suite(documents.context, table, checks)
    findings = {check.name: Finding(check=check) for check in checks}
    received = passed = 0
    newest: date | None = None
    aside: list[pa.Table] = []
    for partition, files in packed(table_files(job.source / table.name)):
        kept, place = read(files), f"{table.name}/{partition}.parquet"
        rows = read([job.sealed.words / place]) if job.sealed else kept
        shown = _shown(job, table, checks, kept, rows)
        found, documents.results[table.name, partition] = _judge(suite, checks, rows, shown)
        judged = _let_pass(job, kept, found)
        findings = {
            name: finding.add(partition, judged[name], _examples(suite, rows, judged[name], partition))
            for name, finding in findings.items()
        }
        passes, bad = _split(kept, checks, judged, job.row_key)
        good = kept.filter(passes)
        _write(job.out / "tables" / place, good, whole=partition == "all")
        if job.sealed:
            _write(job.passed / place, rows.filter(passes), whole=partition == "all")
        aside.append(bad)
        received, passed = received + len(rows), passed + len(good)
        newest = _newest(rows, table, job.as_of, newest)
    _write_aside(job.out, table, aside)
    log.info("table validated table=%s received=%d passed=%d", table.name, received, passed)
    return Outcome(
        table=table,
        received=received,
        passed=passed,
        newest_day=newest,
        findings=tuple(findings.values()),
        days=_days(job, table),
        columns=_columns(job, table),
    )


def _checks(job: Job, table: Table) -> tuple[Check, ...]:
    own = tuple(_with_rows(job, check) for check in job.checks if check.table == table.name)
    optional = {other.name for other in job.tables if other.optional}
    done = {folder.name: table_files(folder) for folder in job.passed.glob("*")}
    filled = {name for name, files in done.items() if any(pq.read_metadata(file).num_rows for file in files)}
    parents = {name: job.passed / name for name in done if name in filled or name not in optional}
    return (*derived_checks(table, job.as_of), *across_checks(table, job.whole, parents), *own)


def _with_rows(job: Job, check: Check) -> Check:
    """Let a rule that looks at the whole table do so, once, where there are rows."""
    if check.whole is None or not table_files(job.source / check.table):
        return check
    return replace(check, rows=check.whole(job.whole), whole=None)


def _ensure_declared(job: Job) -> None:
    """Refuse a use case's own rule about encrypted values that it does not open: it would judge words in their place."""
    for table in job.tables:
        for check in (check for check in job.checks if check.table == table.name):
            if hidden := sorted(check.columns & set(table.sealed) - set(check.opens)):
                raise ConfigInvalid(
                    f"the encrypted columns that the rule {check.name} is about in its `opens`",
                    f"{', '.join(map(repr, check.opens)) or 'none'} and an expectation about {', '.join(hidden)}",
                    "Add them; presence, type and uniqueness are judged without.",
                )


def _shown(job: Job, table: Table, checks: Sequence[Check], kept: pa.Table, rows: pa.Table) -> pa.Table:
    """Return rows with the values of the columns that rules declare to open; the others hold words."""
    opens = {name for check in checks for name in check.opens}
    asked = [name for name in table.sealed if name in opens]
    if job.sealed is None or not asked:
        return rows
    opened = job.sealed.open(table, kept.select(asked))
    for name in asked:
        rows = rows.set_column(rows.column_names.index(name), name, opened[name])
    return rows


def _severities(checks: Sequence[Check], released: frozenset[str]) -> tuple[Check, ...]:
    """Turn released rules into warnings: their rows pass."""
    return tuple(replace(check, severity="warn") if check.name in released else check for check in checks)


def _judge(suite: Suite, checks: Sequence[Check], rows: pa.Table, shown: pa.Table) -> tuple[dict[str, Judged], Any]:
    frame, opened = _frame(rows), _frame(shown)
    judged, result = suite.judge(opened)
    for check in checks:
        if check.rows is not None:
            failing = check.rows(opened if check.opens else frame)
            judged[check.name] = Judged(passed=not failing.any(), evaluated=len(frame), failing=failing)
    return judged, result


def _let_pass(job: Job, rows: pa.Table, judged: Mapping[str, Judged]) -> dict[str, Judged]:
    """Return what the checks found without the very rows that a data owner released."""
    released = {name: job.released_rows[name] for name in judged if name in job.released_rows}
    return dict(judged) | {
        name: without_released(judged[name], rows, known, job.row_key) for name, known in released.items()
    }


def _frame(rows: pa.Table) -> pd.DataFrame:
    """Return the rows in the types that Great Expectations compares as arrays; others it compares one by one."""
    frame: pd.DataFrame = rows.to_pandas(types_mapper=NULLABLE.get)
    whole = [name for name, values in frame.items() if values.dtype == pd.Int64Dtype() and not values.hasnans]
    times = [name for name, values in frame.select_dtypes("datetime").items() if values.dropna().between(*TIMES).all()]
    return frame.astype({**dict.fromkeys(whole, "int64"), **dict.fromkeys(times, "datetime64[ns]")})


def _split(
    rows: pa.Table, checks: Sequence[Check], judged: Mapping[str, Judged], key: bytes
) -> tuple[pa.Array, pa.Table]:
    """Return which rows pass, and those set aside with their marks and the rules and reasons that say why."""
    failed = [check for check in checks if not judged[check.name].passed]
    setting_aside = [check for check in failed if check.severity == "quarantine"]
    masks = {check.name: judged[check.name].failing for check in setting_aside}
    fails = np.logical_or.reduce([np.zeros(len(rows), dtype=bool), *masks.values()])
    bad = rows.filter(pa.array(fails))
    names, reasons = _why(setting_aside, masks, np.flatnonzero(fails))
    marked = bad.append_column(MARK_COLUMN, pa.array(marks(bad, key), pa.string()))
    return pa.array(~fails), marked.append_column("_rule", names).append_column("_reason", reasons)


def _why(checks: Sequence[Check], masks: Mapping[str, Mask], rows: Any) -> tuple[pa.Array, pa.Array]:
    failed = [[check for check in checks if masks[check.name][row]] for row in rows]
    names = pa.array(["; ".join(check.name for check in some) for some in failed], pa.string())
    return names, pa.array(["; ".join(str(check.reason) for check in some) for some in failed], pa.string())


def _write(path: Path, rows: pa.Table, whole: bool) -> None:
    """Write the rows that pass; a month without any is left out, a whole table never."""
    if len(rows) or whole:
        write_arrow(path, rows)


def _write_aside(out: Path, table: Table, aside: Sequence[pa.Table]) -> None:
    if aside:
        write_arrow(out / "quarantine" / f"{table.name}.parquet", pa.concat_tables(aside))


def _examples(suite: Suite, rows: pa.Table, judged: Judged, partition: str) -> list[JsonObject]:
    """Return a few failing rows with what may be shown of them; their number finds them in the partition."""
    places = [] if judged.passed else np.flatnonzero(judged.failing)[:EXAMPLES].tolist()
    shown = [name for name in rows.column_names if name in suite.public]
    return [
        {"partition": partition, "row": place + 1, "values": {name: _cell(rows[name][place]) for name in shown}}
        for place in places
    ]


def _cell(value: pa.Scalar) -> str:
    if value.as_py() is None:
        return "–"
    shown = shown_number(value.as_py())
    return shown if isinstance(shown, str) else f"{shown:.10g}"


def _days(job: Job, table: Table) -> dict[date, int]:
    files = table_files(job.source / table.name) if table.time_column else []
    dated = {date.fromisoformat(file.stem): file for file in files if DAY.fullmatch(file.stem)}
    return {day: pq.read_metadata(file).num_rows for day, file in dated.items() if day <= job.as_of}


def _columns(job: Job, table: Table) -> dict[str, DayCounts]:
    if not table_files(job.whole / table.name):
        return {}
    return dict(count_days(table, open_tables(job.whole, only=(table.name,))[table.name], job.as_of))


def _newest(rows: pa.Table, table: Table, as_of: date, newest: date | None) -> date | None:
    if table.time_column is None:
        return None
    days = rows[table.time_column].cast(pa.date32(), safe=False)
    found = pc.max(days.filter(pc.less_equal(days, pa.scalar(as_of, pa.date32())))).as_py()
    return max((day for day in (found, newest) if day is not None), default=None)
