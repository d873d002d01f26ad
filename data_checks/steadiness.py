"""Whether a table's columns are what they were in the last accepted run: their unit, their spread, their missing values."""

from __future__ import annotations

from collections.abc import Iterator

from data_checks.message import Message, Values
from data_checks.profile import DIGITS
from data_checks.runner import Outcome
from data_checks.shift import Shift
from data_checks.sketch import middle
from data_checks.standard import Seen, Standard

WINDOWS = {
    "new": Message("the days since the last accepted run against the four weeks before them"),
    "same": Message("days that the last accepted run had too, against the same days then"),
    "whole": Message("the whole table against the last accepted run's"),
}


def steady(outcome: Outcome, standard: Standard) -> Iterator[Seen]:
    """Say of each column whether its values, or those missing, are where they were."""
    for shift in _shifts(outcome, standard):
        words, values = _movement(shift)
        yield Seen(
            what=f"{shift.column}_steady",
            observed=round(shift.effect, DIGITS),
            limit=round(shift.limit, DIGITS),
            passed=not (shift.moved or shift.is_lost),
            message=Message(words, {**values, "column": shift.column, "window": WINDOWS[shift.window]}),
            basis="learned" if shift.learned_days else "constant",
            weight=shift.strength,
        )


def _movement(shift: Shift) -> tuple[str, Values]:
    values: Values = {
        "effect": shift.effect,
        "limit": shift.limit,
        "days": shift.learned_days,
        "p": shift.p_value,
        "before": shift.before.missing / shift.before.rows,
        "now": shift.now.missing / shift.now.rows,
    }
    learned = (
        "usual up to {limit:.1%}, learned from {days} days" if shift.learned_days else "tolerated up to {limit:.1%}"
    )
    if shift.is_lost:
        return "{column} has no value in {now:.1%} of the rows, where it was {before:.1%} ({window}).", values
    if not shift.moved:
        return (
            f"{{column}} is spread as before: {{effect:.1%}} of the rows lie elsewhere, {learned} ({{window}}).",
            values,
        )
    chance = "p {p:.1g} after correction for many columns"
    if shift.kind != "number":
        return (
            f"{{column}} changed: {{effect:.1%}} of the rows are in other categories, {learned}; {chance} ({{window}}).",
            values,
        )
    values |= {"was": middle(shift.before.bins) or 0.0, "is": middle(shift.now.bins) or 0.0}
    told = "about {was:.2g} before and {is:.2g} now in the middle"
    return (
        f"{{column}} moved, {told}: {{effect:.1%}} of the rows lie elsewhere, {learned}; {chance} ({{window}}).",
        values,
    )


def unit(outcome: Outcome, standard: Standard) -> Iterator[Seen]:
    """Say of each column of numbers whether it changed its unit."""
    for shift in _shifts(outcome, standard):
        if shift.kind == "number":
            change = shift.unit
            yield Seen(
                what=f"{shift.column}_unit",
                observed=None if change is None else round(change.factor, DIGITS),
                limit=None,
                passed=change is None,
                message=_looks_like(shift),
                basis="learned",
                weight=0.0 if change is None else 1 + change.share,
            )


def _looks_like(shift: Shift) -> Message:
    change = shift.unit
    if change is None:
        return Message("{column} is in the unit it was in.", {"column": shift.column})
    values: Values = {
        "column": shift.column,
        "seems": Message(change.seems),
        "unit": Message(change.instead_of),
        "share": change.share,
        "factor": change.factor,
        "window": WINDOWS[shift.window],
    }
    words = (
        "{column} looks like {seems} instead of {unit}: {share:.0%} of the values are {factor:.4g} times those of the "
    )
    return Message(f"{words}last accepted run, and the shape of their spread is unchanged ({{window}}).", values)


def _shifts(outcome: Outcome, standard: Standard) -> Iterator[Shift]:
    for (table, _), shift in sorted(standard.shifts.items()):
        if table == outcome.table.name:
            yield shift
