"""Turns what was found into a verdict in a data owner's words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from data_checks.check import Basis, Finding
from data_checks.message import Message, Values, told
from data_checks.runner import Outcome
from data_checks.standard import Seen, Standard
from data_checks.standing import STANDING, Standing
from ml.contract import Rule, Severity, Verdict

DONE: Mapping[Severity, Message] = {
    "block": Message("The run is refused"),
    "quarantine": Message("They are set aside"),
    "warn": Message("They pass with this warning"),
}


@dataclass(frozen=True, kw_only=True)
class Ruling:
    """One rule's part of the verdict, with all that a reader may ask of it."""

    rule: Rule
    table: str
    message: Message
    """`rule.sentence` in a form that can be translated."""
    owner: str
    reason: Message
    since: date
    basis: Basis
    weight: float
    """How bad it is among findings of the same severity."""
    finding: Finding | None = None
    """For a rule on rows."""


def rulings(outcomes: Sequence[Outcome], standard: Standard) -> tuple[Ruling, ...]:
    """Return what every rule found in every table."""
    return tuple(_waive(ruling, standard.waived) for outcome in outcomes for ruling in _of(outcome, standard))


def verdict_of(found: Sequence[Ruling], outcomes: Sequence[Outcome]) -> Verdict:
    """Return the verdict over all tables: refused when any blocking rule failed and was not waived."""
    rules = tuple(ruling.rule for ruling in found)
    refusing = [rule for rule in rules if not rule.passed and rule.severity == "block"]
    shares = "; ".join(f"{o.passed:,} of {o.received:,} {o.table.name} pass" for o in outcomes)
    faults = " ".join(rule.sentence for rule in refusing)
    summary = f"Refused: {faults} ({shares}.)" if refusing else f"Accepted: {shares}."
    return Verdict(stage="validate", accepted=not refusing, rules=rules, summary=summary)


def _waive(ruling: Ruling, waived: Mapping[str, str]) -> Ruling:
    rule = ruling.rule
    if rule.passed or rule.severity != "block" or rule.name not in waived:
        return ruling
    words = "{sentence} Waived for this run: {why}"
    message = Message(words, {"sentence": ruling.message, "why": waived[rule.name]})
    return replace(ruling, message=message, rule=replace(rule, severity="warn", sentence=str(message)))


def _of(outcome: Outcome, standard: Standard) -> Iterator[Ruling]:
    for finding in outcome.findings:
        yield _on_rows(outcome, finding)
    for standing in STANDING:
        for seen in standing.look(outcome, standard):
            yield _on_table(outcome, standing, seen)


def _on_table(outcome: Outcome, standing: Standing, seen: Seen) -> Ruling:
    rule = Rule(
        name=f"{outcome.table.name}.{seen.what}",
        observed=seen.observed,
        limit=seen.limit,
        passed=seen.passed,
        severity=seen.severity or standing.severity,
        sentence=str(seen.message),
    )
    return Ruling(
        rule=rule,
        table=outcome.table.name,
        message=seen.message,
        owner=standing.owner,
        reason=told(standing.reason),
        since=standing.since,
        basis=seen.basis,
        weight=seen.weight,
    )


def _on_rows(outcome: Outcome, finding: Finding) -> Ruling:
    check = finding.check
    # A rule on whole partitions cannot set rows aside, and one that could not be judged is no evidence: both refuse.
    helpless = not finding.passed and (finding.fault is not None or finding.failing == 0)
    severity: Severity = "block" if check.severity == "quarantine" and helpless else check.severity
    message = _with_released(_message(outcome, finding), finding)
    rule = Rule(
        name=check.name,
        observed=finding.failing if finding.fault is None else finding.fault,
        limit=0,
        passed=finding.passed,
        severity="block" if finding.fault is not None else severity,
        sentence=str(message),
    )
    return Ruling(
        rule=rule,
        table=outcome.table.name,
        message=message,
        owner=check.owner,
        reason=told(check.reason),
        since=check.since,
        basis=check.basis,
        weight=finding.failing / finding.evaluated if finding.failing and finding.evaluated else 1.0,
        finding=finding,
    )


def _with_released(sentence: Message, finding: Finding) -> Message:
    if not finding.released:
        return sentence
    words = "{sentence} Not counted: {released:,} rows that a data owner looked at and released."
    return Message(words, {"sentence": sentence, "released": finding.released})


def _message(outcome: Outcome, finding: Finding) -> Message:
    check = finding.check
    known: Values = {
        "rule": check.name,
        "table": outcome.table.name,
        "rows": finding.evaluated,
        "failing": finding.failing,
    }
    if finding.passed:
        words = "All {rows:,} {table} satisfy {rule}."
        if finding.failing:
            words = "All {rows:,} {table} satisfy {rule} ({failing:,} rows differ, which is tolerated)."
        return Message(words, known)
    if finding.fault is not None:
        return Message("{rule} could not be judged: {fault}", {**known, "fault": finding.fault})
    asked: Values = {"reason": told(check.reason), "owner": Message(check.owner)}
    where: Values = {"place": _place(outcome, finding)}
    if finding.failing == 0:
        return Message("{table}{place}: {reason}. Please ask: {owner}.", {**known, **where, **asked})
    words = "{failing:,} of {rows:,} {table} ({share:.2%}){place}: {reason}. {done}; please ask: {owner}."
    share = finding.failing / max(finding.evaluated, 1)
    return Message(words, {**known, **where, **asked, "share": share, "done": DONE[check.severity]})


def _place(outcome: Outcome, finding: Finding) -> Message | str:
    """Return in which partitions rows fail; a table that is replaced whole has none to tell apart."""
    if outcome.table.time_column is None:
        return ""
    count, first = len(finding.partitions), finding.partitions[0]
    return Message(
        " in {first}" if count == 1 else " in {count} partitions, first {first}", {"count": count, "first": first}
    )
