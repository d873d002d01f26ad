"""Puts tables before a use case's data checks, as the validate stage does."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pandas as pd
import pyarrow as pa

from data_checks.runner import Job, Outcome, Sealed, checks_of, run
from ml.contract import Table
from ml.files import write_arrow
from ml.privacy.seal import Words
from ml.sources.conform import conform
from ml.sources.mapping import TableMapping


def judge_tables(
    folder: Path, use_case: str, declared: tuple[Table, ...], tables: dict[str, pd.DataFrame], as_of: date
) -> tuple[dict[str, Outcome], dict[str, int]]:
    """Return the outcomes by table and the names of the failed rules with their failing rows."""
    words = Words()
    for table in declared:
        raw = pa.Table.from_pandas(tables[table.name], preserve_index=False)
        rows = conform(raw, table, TableMapping(), "the test")
        write_arrow(folder / "in" / table.name / "all.parquet", rows)
        write_arrow(folder / "words" / table.name / "all.parquet", words.of(table, rows))
    sealed = Sealed(words=folder / "words", open=lambda table, rows: rows, passed=folder / "passed")
    job = Job(
        tables=declared,
        checks=checks_of(use_case),
        source=folder / "in",
        sealed=sealed,
        out=folder / "out",
        as_of=as_of,
    )
    outcomes, _ = run(job)
    findings = [finding for outcome in outcomes for finding in outcome.findings]
    assert not [finding.fault for finding in findings if finding.fault]
    failed = {finding.check.name: finding.failing for finding in findings if not finding.passed}
    return {outcome.table.name: outcome for outcome in outcomes}, failed
