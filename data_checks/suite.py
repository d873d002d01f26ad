"""Judges a partition with Great Expectations and keeps what may be shown of the result."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import great_expectations as gx
import numpy as np
import pandas as pd
from great_expectations.core import ExpectationSuiteValidationResult
from great_expectations.data_context.types.base import DataContextConfig, InMemoryStoreBackendDefaults

from data_checks.check import Check, Judged
from data_checks.sketch import identifies
from ml.contract import Severity, Table
from ml.sources.describe import mask

COMPLETE = {"result_format": "COMPLETE", "return_unexpected_index_query": False}
SHOWN = 5  # failing values shown of a column that names nobody
LONG = 10**6  # a whole number of a column of figures that may be somebody's: a telephone, a customer number, a card
ERROR_NAME = re.compile(r"[A-Za-z_][\w.]*(?:Error|Exception|Warning|Invalid)\b")
COUNTS = (
    "element_count",
    "missing_count",
    "missing_percent",
    "unexpected_count",
    "unexpected_percent",
    "unexpected_percent_total",
    "unexpected_percent_nonmissing",
)
SEVERITIES: dict[Severity, str] = {"block": "critical", "quarantine": "warning", "warn": "info"}


class Suite:
    """The expectations on one table; `public` are the columns of which values may be shown."""

    def __init__(self, context: Any, table: Table, checks: Sequence[Check]) -> None:
        self._checks = [check for check in checks if check.expectation is not None]
        self.public = frozenset(column.name for column in table.columns if may_be_shown(table, column.name))
        self.name = table.name
        self.definition = gx.ExpectationSuite(table.name, expectations=[_labelled(check) for check in self._checks])
        source = context.data_sources.add_pandas(f"{table.name} of the shop")
        self._batches = source.add_dataframe_asset(table.name).add_batch_definition_whole_dataframe("partition")

    def judge(self, frame: pd.DataFrame) -> tuple[dict[str, Judged], ExpectationSuiteValidationResult]:
        """Return what each check found in a partition, by name, and the result with failing values masked."""
        rows = frame.reset_index(drop=True)
        result = self._batches.get_batch({"dataframe": rows}).validate(self.definition, result_format=COMPLETE)
        judged = {item.expectation_config.meta["check"]: _judged(item, len(rows)) for item in result.results}
        for item in result.results:
            item.result = _masked(item, self.public)
            item.exception_info = _without_words(item.exception_info)
        return judged, result


def new_context() -> Any:
    """Return a Great Expectations context that keeps nothing on disk and shows no progress bars."""
    defaults = InMemoryStoreBackendDefaults(init_temp_docs_sites=False)
    config = DataContextConfig(store_backend_defaults=defaults, progress_bars={"globally": False})
    return gx.get_context(mode="ephemeral", project_config=config)


def _labelled(check: Check) -> Any:
    expectation = check.expectation.copy()
    expectation.meta = {"check": check.name, "owner": check.owner, "severity": check.severity}
    expectation.notes = f"{check.severity}: {check.reason}. Since {check.since}. Owner: {check.owner}."
    expectation.severity = SEVERITIES[check.severity]
    return expectation


def _judged(item: Any, n_rows: int) -> Judged:
    failing = np.zeros(n_rows, dtype=bool)
    failing[_positions(item.result.get("unexpected_index_list") or ())] = True
    fault = _fault(item.exception_info)
    return Judged(passed=bool(item.success) and fault is None, evaluated=n_rows, failing=failing, fault=fault)


def _positions(found: Iterable[Any]) -> list[int]:
    return [int(position) for position in found]


def _fault(info: dict[str, Any]) -> str | None:
    """Return why an expectation could not be judged: the error's kind alone, for its message and traceback may quote values."""
    nested = [info] if "raised_exception" in info else list(info.values())
    raised = [part for part in nested if isinstance(part, dict) and part.get("raised_exception")]
    return _kind(str(raised[0].get("exception_traceback"))) if raised else None


def _without_words(info: dict[str, Any]) -> dict[str, Any]:
    """Return what the documents tell of errors, with kinds in place of messages and tracebacks."""
    if "raised_exception" not in info:
        return {name: _without_words(part) if isinstance(part, dict) else part for name, part in info.items()}
    kind = _kind(str(info.get("exception_traceback"))) if info["raised_exception"] else None
    return {**info, "exception_message": kind, "exception_traceback": kind}


def _kind(trace: str) -> str:
    """Return the name of the error that a traceback's last named line tells, without what it says."""
    named = [match.group() for line in trace.splitlines() if (match := ERROR_NAME.match(line))]
    return named[-1] if named else "an error of another kind"


def shown_number(value: Any) -> Any:
    """Return a number as reports may show it: a whole one that is long enough for a telephone or a card is masked.

    What is missing is none; what is no number stays.
    """
    if not isinstance(value, int | float | np.number):
        return None if pd.isna(value) else value
    number = float(value)
    return value if number % 1 or abs(number) < LONG else mask(f"{number:.0f}")


def _masked(item: Any, public: frozenset[str]) -> dict[str, Any]:
    """Keep counts; keep a few failing values only of columns that name nobody."""
    found = dict(item.result)
    kept = {name: found[name] for name in COUNTS if name in found}
    column = item.expectation_config.kwargs.get("column")
    if column in public:
        kept["partial_unexpected_list"] = _few(found.get("partial_unexpected_list") or ())
    if "observed_value" in found and _is_plain(found["observed_value"], column, public):
        observed = found["observed_value"]
        kept["observed_value"] = shown_number(observed) if isinstance(observed, int | float) and column else observed
    return kept


def _few(values: Iterable[Any]) -> list[Any]:
    return [shown_number(value) for value in list(dict.fromkeys(values))[:SHOWN]]


def _is_plain(value: Any, column: str | None, public: frozenset[str]) -> bool:
    """Tell whether an observed value is of the table's shape (its columns, a type, a count), not one of its cells."""
    return column is None or column in public or isinstance(value, int) or str(value) in {"str", "datetime64"}


def may_be_shown(table: Table, name: str) -> bool:
    """Tell whether people who look at reports may see the values of a column: numbers that name nobody."""
    column = table.column(name)
    is_plain = column.treatment == "keep" and column.type in ("int64", "float64", "boolean")
    return is_plain and not identifies(table, name)
