"""Checks that what parameters name exists: metrics, data rules, tables.

What only the data tell, such as a department, is checked by the stage that reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ml.contract import UseCase
from ml.parameter import Named, UseCaseParams, ensure_known, ensure_names
from ml.use_cases import NAMES, load


def ensure_all_known(use_case: UseCase, params: UseCaseParams, source: Mapping[str, Any]) -> None:
    """Refuse a section of `params.yaml` that names what does not exist.

    Args:
        use_case: The record.
        params: Its typed section.
        source: The section's `source`.

    Raises:
        ConfigInvalid: Something named does not exist; the error lists what does.
    """

    def known(kind: Named) -> list[str]:
        return [metric.name for metric in use_case.judgement.metrics] if kind == "metric" else _rules(use_case)

    ensure_names(params, known, use_case.name)
    named = {table for part in source.get("parts") or () for table in part.get("tables") or ()}
    if named:
        tables = {table.name for name in NAMES for table in load(name).data.tables}
        ensure_known(f"{use_case.name}.source.parts.tables", sorted(named), tables)


def _rules(use_case: UseCase) -> list[str]:
    from data_checks.rule_table import rule_names  # brings Great Expectations

    return list(rule_names(use_case.name, use_case.data.tables))
