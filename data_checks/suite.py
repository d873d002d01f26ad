"""Judges a partition with Great Expectations and keeps what may be shown of the result."""

from __future__ import annotations

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

COMPLETE = {"result_format": "COMPLETE", "return_unexpected_index_query": False}
SHOWN = 5  # failing values shown of a column that names nobody
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
    """Return why an expectation could not be judged; the traceback may quote values and stays out."""
    nested = [info] if "raised_exception" in info else list(info.values())
    raised = [part for part in nested if isinstance(part, dict) and part.get("raised_exception")]
    return str(raised[0].get("exception_message"))[:200] if raised else None


def _masked(item: Any, public: frozenset[str]) -> dict[str, Any]:
    """Keep counts; keep a few failing values only of columns that name nobody."""
    found = dict(item.result)
    kept = {name: found[name] for name in COUNTS if name in found}
    column = item.expectation_config.kwargs.get("column")
    if column in public:
        kept["partial_unexpected_list"] = list(dict.fromkeys(found.get("partial_unexpected_list") or ()))[:SHOWN]
    if "observed_value" in found and _is_plain(found["observed_value"], column, public):
        kept["observed_value"] = found["observed_value"]
    return kept


def _is_plain(value: Any, column: str | None, public: frozenset[str]) -> bool:
    """Tell whether an observed value is of the table's shape (its columns, a type, a count), not one of its cells."""
    return column is None or column in public or isinstance(value, int) or str(value) in {"str", "datetime64"}


def may_be_shown(table: Table, name: str) -> bool:
    """Tell whether people who look at reports may see the values of a column: numbers that name nobody."""
    column = table.column(name)
    is_plain = column.treatment == "keep" and column.type in ("int64", "float64", "boolean")
    return is_plain and not identifies(table, name)
