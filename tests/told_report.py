"""A data report as `validate` writes it, with as many rules as a test wants."""

from __future__ import annotations

from typing import Any

from data_checks.message import Message, told
from ml.desk import data_report

SCRIPT = "<script>alert(1)</script>"


def rule(number: Any, **changes: Any) -> Any:
    share = changes.get("share", 0.0)
    return {
        "name": f"sales.rule_{number:04d}",
        "table": "sales",
        "severity": "warn",
        "passed": True,
        "message": Message(
            "All {rows:,} {table} satisfy {rule}.", {"rows": 9, "table": "sales", "rule": SCRIPT}
        ).record(),
        "owner": "finance",
        "reason": told("products without a brand").record(),
        "since": "2026-11-24",
        "basis": "constant",
        "weight": share,
        "failing": int(1000 * share),
        "evaluated": 1000,
        "share": share,
        "before": share,
        "examples": [{"partition": "2026-11", "row": 7, "values": {"price": "3.5"}}] if share else [],
        **changes,
    }


def report(rules: Any) -> Any:
    return {
        "schema": data_report.SCHEMA,
        "accepted": False,
        "as_of": "2026-11-25",
        "compared": {"run": "before", "as_of": "2026-11-24"},
        "tables": [{"name": "sales", "received": 1000, "passed": 900, "newest_day": "2026-11-25", "before": None}],
        "rules": rules,
        "columns": [],
        "trend": [{"run": None, "as_of": "2026-11-25", "rows": 1000, "quarantined": 100}],
    }


BROKEN = [
    rule(1, passed=False, share=0.01, before=0.01),
    rule(2, passed=False, share=0.9, severity="block", before=0.0),
    rule(3, passed=False, share=0.05, severity="quarantine", before=0.2),
    rule(4, passed=False, share=0.06, severity="quarantine", before=0.06),
]
