"""The page a data owner reads of a run: verdict first, worst findings, what changed, columns, privacy, trend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ml.config import Settings
from ml.contract import JsonObject
from ml.desk import document
from ml.errors import ModelNotFound

REPORT, PRIVACY, DOCS = "validate/report.json", "anonymise/privacy.json", "validate/docs/index.html"
SCHEMA = "tradewind/data-report/1"
MOST_IMPORTANT = 3
RULES_SHOWN = 50  # on a page
COLUMNS_SHOWN = 12  # on the first page
URGENCY = ("block", "quarantine", "warn")
WORSE = 2.0  # times the share of failing rows that it was


@dataclass(frozen=True, kw_only=True)
class DataPage:
    """One page of a run's report."""

    report: JsonObject
    privacy: JsonObject | None
    """None where the run did not get as far as anonymise."""
    has_docs: bool
    rules: list[JsonObject]
    """Worst first; those of this page."""
    important: list[JsonObject]
    counts: dict[str, int]
    """Rules that failed, by severity, and `all`."""
    changed: list[tuple[str, JsonObject]]
    """What became of rules on rows since the last accepted run: `new`, `worse`, `better` or `gone`."""
    columns: list[JsonObject]
    """Those that are shown; those that moved most first."""
    are_all_columns: bool
    number: int
    pages: int
    table: str | None
    """The table to which rules are narrowed."""


def data_page(
    settings: Settings, use_case: str, run: str, number: int, table: str | None, *, are_all_columns: bool = False
) -> DataPage:
    """Return a page of the report.

    Raises:
        ModelNotFound: The run has no such report or page.
    """
    found = document.read_report(settings, use_case, run, REPORT)
    places = document.files(settings, use_case, run)
    privacy = document.read_report(settings, use_case, run, PRIVACY) if PRIVACY in places else None
    return page_of_report(
        found, privacy, number=number, table=table, are_all_columns=are_all_columns, has_docs=DOCS in places
    )


def page_of_report(
    found: JsonObject,
    privacy: JsonObject | None,
    *,
    number: int = 1,
    table: str | None = None,
    are_all_columns: bool = False,
    has_docs: bool = False,
) -> DataPage:
    """Return a page of a report that was read."""
    ordered = sorted(found["rules"], key=_urgency)
    listed = [rule for rule in ordered if table in (None, rule["table"])]
    pages = max(1, -(-len(listed) // RULES_SHOWN))
    if not 1 <= number <= pages or found["schema"] != SCHEMA:
        raise ModelNotFound(f"a report {SCHEMA} and a page of it up to {pages}", "another", "Open the run again.")
    failed = [rule for rule in ordered if not rule["passed"]]
    counts = {severity: sum(rule["severity"] == severity for rule in failed) for severity in URGENCY}
    return DataPage(
        report=found,
        privacy=privacy,
        has_docs=has_docs,
        rules=listed[(number - 1) * RULES_SHOWN : number * RULES_SHOWN],
        important=_most_important(failed),
        counts={**counts, "all": len(ordered)},
        changed=[(change, rule) for rule in ordered if (change := _change(rule))] if found["compared"] else [],
        columns=found["columns"][: None if are_all_columns else COLUMNS_SHOWN],
        are_all_columns=are_all_columns,
        number=number,
        pages=pages,
        table=table,
    )


def _urgency(rule: JsonObject) -> tuple[Any, ...]:
    return rule["passed"], URGENCY.index(rule["severity"]), -rule["weight"], rule["name"]


def _most_important(failed: Sequence[JsonObject]) -> list[JsonObject]:
    """Return the worst findings; that a column in another unit lies elsewhere too is no finding of its own."""
    units = {rule["name"].removesuffix("_unit") for rule in failed if rule["name"].endswith("_unit")}
    told = [rule for rule in failed if rule["name"].removesuffix("_steady") not in units]
    return told[:MOST_IMPORTANT]


def _change(rule: JsonObject) -> str | None:
    """Return how a rule on rows fares against the last accepted run; none where it is as it was, or unknown."""
    now, before = rule.get("share"), rule.get("before")
    if now is None or before is None or now == before:
        return None
    if not before or not now:
        return "new" if now else "gone"
    if 1 / WORSE <= now / before <= WORSE:
        return None
    return "worse" if now > before else "better"
