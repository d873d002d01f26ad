"""Every rule of a use case in one table: severity, owner, reason, since when, threshold and where the threshold comes from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from data_checks.check import Check
from data_checks.derived import OWNER, SINCE, derived_checks
from data_checks.runner import checks_of
from data_checks.standing import STANDING
from ml.contract import Table

ANY_DAY = date(2000, 1, 1)  # a run's date, which no line of the table names


@dataclass(frozen=True, kw_only=True)
class RuleLine:
    """One line of the table."""

    name: str
    severity: str
    owner: str
    reason: str
    since: date
    threshold: str
    basis: str
    """`contract`, `constant`, `parameter` or `learned`."""


def rule_lines(use_case: str, tables: Sequence[Table]) -> Iterator[RuleLine]:
    """Yield the use case's own rules, those that follow from its tables, and those that hold for every table.

    Rules on keys and references look at the data first; they are told by what the contract says.
    """
    derived = (check for table in tables for check in derived_checks(table, ANY_DAY))
    yield from (_line(check) for check in (*checks_of(use_case), *derived))
    for table in tables:
        yield from _across(table)
    for rule in STANDING:
        yield RuleLine(
            name=f"<table>.{rule.name}",
            severity=rule.severity,
            owner=rule.owner,
            reason=rule.reason,
            since=rule.since,
            threshold=rule.threshold,
            basis=rule.basis,
        )


def rule_names(use_case: str, tables: Sequence[Table]) -> Iterator[str]:
    """Yield the name of every rule of a use case; those about every table or column once for each of them."""
    for line in rule_lines(use_case, tables):
        for table in tables if line.name.startswith("<table>") else tables[:1]:
            name = line.name.replace("<table>", table.name)
            yield from (
                (name.replace("<column>", column.name) for column in table.columns) if "<column>" in name else (name,)
            )


def _line(check: Check) -> RuleLine:
    return RuleLine(
        name=check.name,
        severity=check.severity,
        owner=check.owner,
        reason=str(check.reason),
        since=check.since,
        threshold=_threshold(check.expectation),
        basis=check.basis,
    )


def _across(table: Table) -> Iterator[RuleLine]:
    told = {f"{column}_in_{parent}": f"among {parent}" for column, (parent, _) in table.references.items()}
    if table.key:
        told["key_unique"] = f"one row a {' + '.join(table.key)}"
    for what, threshold in told.items():
        yield RuleLine(
            name=f"{table.name}.{what}",
            severity="quarantine",
            owner=OWNER,
            reason="the key came before, or names nothing that is known",
            since=SINCE,
            threshold=threshold,
            basis="contract",
        )


def _threshold(expectation: Any) -> str:
    """Return the bounds of an expectation in a few signs; rules that are functions have none to show."""
    if expectation is None:
        return "no row"
    low, high, mostly, type_ = (
        getattr(expectation, name, None) for name in ("min_value", "max_value", "mostly", "type_")
    )
    if isinstance(high, date):
        return "the run's date"
    parts = [f"≥ {low:,}" if low is not None else "", f"≤ {high:,}" if high is not None else ""]
    parts += [f"in {mostly:.0%} of the rows" if isinstance(mostly, float) and mostly < 1 else "", str(type_ or "")]
    return " and ".join(part for part in parts if part) or "no row"
