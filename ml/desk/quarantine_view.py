"""The rows that a run set aside, rule by rule: counts, and what may be shown of some of them, a part at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ml.config import Settings
from ml.contract import JsonObject
from ml.desk.document import read_report
from ml.errors import ModelNotFound

EXTRACT = "validate/quarantine.json"
SHOWN = 50  # rows of a page


@dataclass(frozen=True, kw_only=True)
class QuarantinePage:
    """The rules that set rows aside, and rows of one of them."""

    rules: list[JsonObject]
    """Most rows first."""
    chosen: JsonObject | None
    """None where nothing was set aside."""
    rows: list[list[Any]]
    first: int
    """Number of the first of them, from 1."""
    number: int
    """From 1."""
    pages: int


def quarantine_page(settings: Settings, use_case: str, run: str, rule: str, number: int) -> QuarantinePage:
    """Return a page of what a run set aside.

    Args:
        settings: Role `read`; it has no right on the rows themselves, only on the extract that `validate` made.
        use_case: Its name.
        run: As in keys.
        rule: Whose rows; empty means the rule with the most.
        number: Of the page, from 1.

    Raises:
        ModelNotFound: There is no extract, or no such rule or page.
    """
    found = read_report(settings, use_case, run, EXTRACT)["rules"]
    rules = sorted(found, key=lambda one: (-one["count"], one["rule"]))
    chosen = next((one for one in rules if rule in ("", one["rule"])), None)
    rows = chosen["rows"] if chosen else []
    pages = max(1, -(-len(rows) // SHOWN))
    if number > pages or (rule and chosen is None):
        raise ModelNotFound(f"a rule that set rows aside, and a page up to {pages}", f"{rule} {number}", "Go back.")
    start = (number - 1) * SHOWN
    return QuarantinePage(
        rules=rules, chosen=chosen, rows=rows[start : start + SHOWN], first=start + 1, number=number, pages=pages
    )
