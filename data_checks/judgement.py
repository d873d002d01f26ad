"""Turns what was found into a verdict in a data owner's words, and into the profile the next run compares with."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

from data_checks.check import Finding
from data_checks.runner import Outcome
from ml.contract import Column, JsonObject, Rule, Severity, Table, Verdict
from ml.files import table_files
from ml.parameter import ChecksParams
from ml.sources.engine import open_tables

PROFILE_SCHEMA = "tradewind/data-profile/1"
DIGITS = 6  # decimals kept of a statistic
LAST_DAY_SHARE = 0.2  # of the usual rows: below any shop's quiet day
FEW_DAYS = 7  # days before nothing can be called usual
QUANTILES = {"p01": 0.01, "p50": 0.5, "p99": 0.99}


@dataclass(frozen=True, kw_only=True)
class Standard:
    """What the tables are held against."""

    params: ChecksParams
    as_of: date
    accepted: JsonObject | None
    """Profile of the last accepted run."""
    waived: Mapping[str, str]
    """Rules that a data owner waived for this run, with the reason given."""


def judge(outcomes: Sequence[Outcome], standard: Standard) -> Verdict:
    """Return the verdict over all tables: refused when any blocking rule failed and was not waived."""
    rules = tuple(_waive(rule, standard.waived) for outcome in outcomes for rule in _rules(outcome, standard))
    refusing = [rule for rule in rules if not rule.passed and rule.severity == "block"]
    shares = "; ".join(f"{o.passed:,} of {o.received:,} {o.table.name} pass" for o in outcomes)
    faults = " ".join(rule.sentence for rule in refusing)
    summary = f"Refused: {faults} ({shares}.)" if refusing else f"Accepted: {shares}."
    return Verdict(stage="validate", accepted=not refusing, rules=rules, summary=summary)


def _waive(rule: Rule, waived: Mapping[str, str]) -> Rule:
    if rule.passed or rule.severity != "block" or rule.name not in waived:
        return rule
    return replace(rule, severity="warn", sentence=f"{rule.sentence} Waived for this run: {waived[rule.name]}")


def _rules(outcome: Outcome, standard: Standard) -> Iterator[Rule]:
    yield _not_empty(outcome)
    for finding in outcome.findings:
        yield _rule(outcome, finding)
    yield _quarantined(outcome, standard.params)
    if outcome.table.time_column is not None and outcome.received:
        yield _fresh(outcome, standard)
    yield from _volume(outcome, standard)
    yield from _last_day(outcome)


def _not_empty(outcome: Outcome) -> Rule:
    name = outcome.table.name
    there = outcome.received > 0
    sentence = f"There are {outcome.received:,} {name}." if there else f"There are no {name} at all."
    severity: Severity = "warn" if outcome.table.optional else "block"
    return Rule(
        name=f"{name}.not_empty", observed=outcome.received, limit=1, passed=there, severity=severity, sentence=sentence
    )


def _rule(outcome: Outcome, finding: Finding) -> Rule:
    check = finding.check
    observed: float | str = finding.failing if finding.fault is None else finding.fault
    # A rule on whole partitions cannot set rows aside, and one that could not be judged is no evidence: both refuse.
    helpless = not finding.passed and (finding.fault is not None or finding.failing == 0)
    severity = "block" if check.severity == "quarantine" and helpless else check.severity
    return Rule(
        name=check.name,
        observed=observed,
        limit=0,
        passed=finding.passed,
        severity="block" if finding.fault is not None else severity,
        sentence=_sentence(outcome, finding),
    )


def _sentence(outcome: Outcome, finding: Finding) -> str:
    check, table = finding.check, outcome.table.name
    if finding.passed:
        tolerated = f" ({finding.failing:,} rows differ, which is tolerated)" if finding.failing else ""
        return f"All {finding.evaluated:,} {table} satisfy {check.name}{tolerated}."
    if finding.fault is not None:
        return f"{check.name} {finding.fault}"
    done = {"block": "The run is refused", "quarantine": "They are set aside", "warn": "They pass with this warning"}
    where = f"in {len(finding.partitions)} partitions, first {finding.partitions[0]}"
    if finding.failing == 0:
        return f"{table} {where}: {check.reason}. Please ask: {check.owner}."
    share = finding.failing / max(finding.evaluated, 1)
    return (
        f"{finding.failing:,} of {finding.evaluated:,} {table} ({share:.2%}) {where}: {check.reason}. "
        f"{done[check.severity]}; please ask: {check.owner}."
    )


def _quarantined(outcome: Outcome, params: ChecksParams) -> Rule:
    share = outcome.quarantined / outcome.received if outcome.received else 0.0
    return Rule(
        name=f"{outcome.table.name}.quarantined_share",
        observed=round(share, DIGITS),
        limit=params.max_quarantined,
        passed=share <= params.max_quarantined,
        sentence=f"{outcome.quarantined:,} of {outcome.received:,} {outcome.table.name} ({share:.2%}) are set aside; "
        f"up to {params.max_quarantined:.0%} are tolerated.",
    )


def _fresh(outcome: Outcome, standard: Standard) -> Rule:
    newest = outcome.newest_day
    age = None if newest is None else (standard.as_of - newest).days
    limit = standard.params.freshness_days
    seen = f"from {newest}, {age} days before the run's date" if newest else "not from any day up to the run's date"
    return Rule(
        name=f"{outcome.table.name}.fresh",
        observed=age,
        limit=limit,
        passed=age is not None and age <= limit,
        sentence=f"The newest {outcome.table.name} are {seen}; up to {limit} days are tolerated.",
    )


def _volume(outcome: Outcome, standard: Standard) -> Iterator[Rule]:
    before = (standard.accepted or {}).get("tables", {}).get(outcome.table.name, {}).get("rows", 0)
    if not before:
        return
    ratio = outcome.received / before
    low, high = standard.params.min_volume_ratio, standard.params.max_volume_ratio
    yield Rule(
        name=f"{outcome.table.name}.volume",
        observed=round(ratio, DIGITS),
        limit=f"{low}..{high}",
        passed=low <= ratio <= high,
        sentence=f"{outcome.received:,} {outcome.table.name} came, {ratio:.2f} times the {before:,} of the last "
        f"accepted run; {low} to {high} times are tolerated.",
    )


def _last_day(outcome: Outcome) -> Iterator[Rule]:
    """Warn of a day that came in part: the whole table's volume would not show it."""
    if len(outcome.last_days) <= FEW_DAYS:
        return
    *before, newest = outcome.last_days
    usual = median(before)
    yield Rule(
        name=f"{outcome.table.name}.last_day_whole",
        observed=newest,
        limit=round(usual * LAST_DAY_SHARE, DIGITS),
        passed=newest >= usual * LAST_DAY_SHARE,
        severity="warn",
        sentence=f"{newest:,} {outcome.table.name} came for the newest day, where {usual:,.0f} are usual; "
        f"fewer than {LAST_DAY_SHARE:.0%} of that would look like a day that came in part.",
    )


def profile(outcomes: Sequence[Outcome], tables: Path) -> JsonObject:
    """Return row counts, newest days and plain statistics of the rows that passed; no cell of any row."""
    return {"schema": PROFILE_SCHEMA, "tables": {o.table.name: _table_profile(o, tables) for o in outcomes}}


def _table_profile(outcome: Outcome, tables: Path) -> JsonObject:
    counts = {"rows": outcome.received, "passed": outcome.passed, "quarantined": outcome.quarantined}
    newest = None if outcome.newest_day is None else outcome.newest_day.isoformat()
    columns = _statistics(outcome.table, tables) if outcome.passed else {}
    return {**counts, "newest_day": newest, "columns": columns}


def _statistics(table: Table, tables: Path) -> JsonObject:
    """Compute all statistics of a table in one query."""
    if not table_files(tables / table.name):
        return {}
    rows = open_tables(tables, only=(table.name,))[table.name]
    present = [column for column in table.columns if column.name in rows.columns]
    wanted = {f"{column.name}.{name}": value for column in present for name, value in _of(rows[column.name], column)}
    found = rows.aggregate(**wanted).execute().iloc[0].to_dict()
    return {
        column.name: {
            name.removeprefix(f"{column.name}."): _plain(value)
            for name, value in found.items()
            if name.startswith(f"{column.name}.")
        }
        for column in present
    }


def _of(values: Any, column: Column) -> Iterator[tuple[str, Any]]:
    yield "missing", values.isnull().sum()
    yield "distinct", values.nunique()
    if column.type in ("int64", "float64") and column.treatment == "keep":
        yield "mean", values.mean()
        yield from ((name, values.quantile(share)) for name, share in QUANTILES.items())


def _plain(value: Any) -> float | int | None:
    number = float(value)
    if math.isnan(number):  # nothing to describe
        return None
    return int(number) if number.is_integer() else round(number, DIGITS)
