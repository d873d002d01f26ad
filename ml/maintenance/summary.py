"""Reports what all steps of maintenance did, and notifies people where something failed or needs them.

Writes `maintenance/<day>/report.json` and `report.html` to the `reports` bucket; a second run of a day replaces them.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime

from jinja2 import Environment, PackageLoader, select_autoescape

from ml.config import Settings
from ml.contract import JsonObject
from ml.errors import TradewindError
from ml.files import canonical
from ml.pipeline import UPKEEP, notify
from ml.store import Bucket

SCHEMA = "tradewind/maintenance/1"
PLACE = "maintenance"
STEP = "summary"
UNITS = ("B", "KiB", "MiB", "GiB", "TiB")

log = logging.getLogger(__name__)


def compose(outcomes: Mapping[str, JsonObject], now: datetime, *, is_trial: bool) -> JsonObject:
    """Return the report of what steps did.

    Args:
        outcomes: By step, as `Outcome.to_json` tells; a step that is missing failed, or was not run since one before it failed.
        now: UTC.
        is_trial: Whether nothing was removed.
    """
    steps = [outcomes.get(name) or _missing(name) for name in UPKEEP if name != STEP]
    told = {kind: [sentence for one in steps for sentence in one[kind]] for kind in ("faults", "warnings")}
    return {
        "schema": SCHEMA,
        "at": now.isoformat(timespec="seconds"),
        "is_trial": is_trial,
        "removed": [{"step": one["step"], **removed} for one in steps for removed in one["removed"]],
        "notes": [{"step": one["step"], "sentence": note} for one in steps for note in one["notes"]],
        **told,
    }


def publish(settings: Settings, report: JsonObject, now: datetime) -> None:
    """Write a report where the console shows it, and notify people; a message that cannot be sent fails nothing.

    Args:
        settings: Role `train`, with what messages need.
        report: As `compose` makes it.
        now: UTC.
    """
    reports, place = Bucket.open(settings, "reports"), f"{PLACE}/{now.date()}"
    reports.put(f"{place}/report.json", canonical(report), "application/json")
    reports.put(f"{place}/report.html", render(report).encode(), "text/html")
    try:
        notify.run(settings, PLACE, "maintain", {"as_of": str(now.date())}, now)
    except TradewindError as error:
        log.warning("nobody was notified of maintenance: %s", error)


def render(report: JsonObject) -> str:
    """Return the page as self-contained HTML without scripts."""
    pages = Environment(loader=PackageLoader("ml.maintenance"), autoescape=select_autoescape(default=True))
    pages.filters["size"] = readable
    return pages.get_template("report.html.j2").render(**report)


def readable(size: float) -> str:
    """Return a size with its unit, such as `3.4 MiB`.

    Args:
        size: [bytes].
    """
    for unit in UNITS:
        if size < 1024 or unit == UNITS[-1]:
            break
        size /= 1024
    return f"{size:,.0f} {unit}" if unit == UNITS[0] else f"{size:,.1f} {unit}"


def _missing(step: str) -> JsonObject:
    fault = f"The step `{step}` did not end well, or was not run because one before it failed. Read its log."
    return {"step": step, "removed": [], "notes": [], "warnings": [], "faults": [fault]}
