"""What a data owner's page shows of a run: every rule, every column, the tables' sizes; masked, and in translatable words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from data_checks.judgement import Ruling
from data_checks.profile import History
from data_checks.runner import Outcome
from data_checks.shift import Shift
from data_checks.sketch import aligned, middle, value_of
from data_checks.standard import Standard
from ml.contract import JsonObject, Verdict
from ml.explanation import chart

REPORT_SCHEMA = "tradewind/data-report/1"
PICTURES = 24  # columns drawn, those that moved most
CATEGORIES = 12  # shown of a column, the most frequent


def report(outcomes: Sequence[Outcome], found: Sequence[Ruling], verdict: Verdict, standard: Standard) -> JsonObject:
    """Return the report; no value of any row that may name somebody is in it."""
    history = standard.history
    ordered = sorted(standard.shifts.values(), key=lambda shift: (shift.unit is None, -shift.strength))
    drawable = [shift for shift in ordered if shift.kind != "presence"][:PICTURES]
    drawn = {(shift.table, shift.column): _picture(shift) for shift in drawable}
    return {
        "schema": REPORT_SCHEMA,
        "accepted": verdict.accepted,
        "as_of": standard.as_of.isoformat(),
        "compared": {"run": history.last_run, "as_of": history.last["as_of"]} if history.last else None,
        "tables": [_table(outcome, history) for outcome in outcomes],
        "rules": [_rule(ruling, history) for ruling in found],
        "columns": [_column(shift, drawn.get((shift.table, shift.column))) for shift in ordered],
        "trend": [*_trend(history), _now(outcomes, standard)],
    }


def _table(outcome: Outcome, history: History) -> JsonObject:
    before = history.table(outcome.table.name)
    newest = outcome.newest_day.isoformat() if outcome.newest_day else None
    counts = {"received": outcome.received, "passed": outcome.passed, "newest_day": newest}
    told = (
        {"rows": before["rows"], "quarantined": before["quarantined"], "newest_day": before["newest_day"]}
        if before
        else None
    )
    return {"name": outcome.table.name, **counts, "before": told}


def _rule(ruling: Ruling, history: History) -> JsonObject:
    rule, finding = ruling.rule, ruling.finding
    told = {
        "name": rule.name,
        "table": ruling.table,
        "severity": rule.severity,
        "passed": rule.passed,
        "message": ruling.message.record(),
        "owner": ruling.owner,
        "reason": ruling.reason.record(),
        "since": ruling.since.isoformat(),
        "basis": ruling.basis,
        "weight": round(min(ruling.weight, 1e6), 6),
    }
    return {**told, **_rows(ruling, history)} if finding is not None else told


def _rows(ruling: Ruling, history: History) -> JsonObject:
    """Return what is told of a rule on rows beyond its sentence: how many failed now and before, and a few of them."""
    finding, before = ruling.finding, history.table(ruling.table).get("failing")
    assert finding is not None  # noqa: S101 - asked for rules on rows only
    share = finding.failing / finding.evaluated if finding.evaluated else 0.0
    counts = {"failing": finding.failing, "evaluated": finding.evaluated, "share": round(share, 6)}
    was = None if before is None else before.get(ruling.rule.name, 0.0)
    return {**counts, "before": was, "examples": list(finding.examples)}


def _column(shift: Shift, picture: str | None) -> JsonObject:
    told = {
        "table": shift.table,
        "column": shift.column,
        "kind": shift.kind,
        "window": shift.window,
        "state": "unit" if shift.unit else "moved" if shift.moved or shift.is_lost else "steady",
        "effect": round(shift.effect, 6),
        "limit": round(shift.limit, 6),
        "learned_days": shift.learned_days,
        "p_value": shift.p_value,
        "missing": [round(side.missing / side.rows, 6) for side in (shift.before, shift.now)],
        "rows": [shift.before.rows, shift.now.rows],
        "picture": picture,
    }
    if shift.kind != "number":
        return told
    return {**told, "middle": [middle(shift.before.bins), middle(shift.now.bins)]}


def _picture(shift: Shift) -> str:
    before, now = aligned(shift.before, shift.now)
    names = sorted({*shift.before.bins, *shift.now.bins}, key=int if shift.kind == "number" else str)
    shares: Mapping[str, Any] = {
        "before": before / max(before.sum(), 1),
        "now": now / max(now.sum(), 1),
    }
    rows: list[JsonObject] = [
        {"series": series, "place": name, "share": float(share)}
        for series, values in shares.items()
        for name, share in zip(names, values, strict=True)
    ]
    if shift.kind == "number":
        return chart.spread([{**row, "value": value_of(int(row["place"]))} for row in rows])
    top = sorted(names, key=lambda name: -max(shares["before"][names.index(name)], shares["now"][names.index(name)]))
    return chart.categories([row for row in rows if row["place"] in top[:CATEGORIES]], top[:CATEGORIES])


def _trend(history: History) -> list[JsonObject]:
    return [
        {
            "run": run,
            "as_of": told["as_of"],
            "rows": sum(table["rows"] for table in told["tables"].values()),
            "quarantined": sum(table["quarantined"] for table in told["tables"].values()),
        }
        for run, told in history.runs
    ]


def _now(outcomes: Sequence[Outcome], standard: Standard) -> JsonObject:
    rows, aside = (sum(getattr(outcome, what) for outcome in outcomes) for what in ("received", "quarantined"))
    return {"run": None, "as_of": standard.as_of.isoformat(), "rows": rows, "quarantined": aside}
