"""Turns figures into what a page shows: words, rounded numbers, short digests."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from jinja2 import Environment, PackageLoader, select_autoescape
from markupsafe import Markup

from ml.desk.listing_view import listing_of

SHORT_DIGEST = 19  # characters that tell versions apart for a reader: sha256: and twelve digits
PAGES = {"evaluate/verdict.json": "gate", "validate/report.json": "data"}
STATES = {"success": "good", "failed": "bad", "running": "warn", "queued": "quiet"}


def environment() -> Environment:
    """Return the templates' environment; everything is escaped."""
    made = Environment(
        loader=PackageLoader("ml.desk"),
        autoescape=select_autoescape(default=True),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals |= {"page_of": page_of, "listing_of": listing_of}
    made.filters |= {
        "short": short,
        "moment": moment,
        "duration": duration,
        "figure": figure,
        "tone": tone,
        "words": words,
        "cell": cell,
        "seen": seen,
        "plain": plain,
    }
    return made


def page_of(use_case: str, run: str, place: str) -> str:
    """Return the page that shows one of a run's reports: judgements have pages of their own."""
    return f"/{PAGES[place]}/{use_case}/{run}" if place in PAGES else f"/report/{use_case}/{run}/{place}"


def short(digest: str | None) -> str:
    """Return the start of a digest."""
    return "nothing" if digest is None else digest[:SHORT_DIGEST]


def moment(value: datetime | str | None) -> str:
    """Return a time in UTC to the minute."""
    if value is None:
        return "–"
    when = datetime.fromisoformat(value) if isinstance(value, str) else value
    return f"{when:%Y-%m-%d %H:%M} UTC"


def duration(seconds: float | None) -> str:
    """Return a length of time in minutes and seconds."""
    if seconds is None:
        return "–"
    return f"{seconds:.0f} s" if seconds < 60 else f"{int(seconds // 60)} min {int(seconds % 60)} s"


def figure(estimate: Mapping[str, Any] | None) -> str | Markup:
    """Return a figure with its interval, on a second line."""
    if not estimate or estimate.get("value") is None:
        return "–"
    value = f"{estimate['value']:.4f}"
    if estimate.get("low") is None:
        return value
    return Markup('{}<br><span class="range">{} to {}</span>').format(
        value, f"{estimate['low']:.4f}", f"{estimate['high']:.4f}"
    )


def words(name: str) -> str:
    """Return a field's name as a heading."""
    return name.replace("_", " ")


def cell(value: Any) -> str:
    """Return a value of a table: numbers rounded to cents, nothing as a dash."""
    if value is None:
        return "–"
    return f"{value:,.2f}" if isinstance(value, float) else str(value)


def seen(rule: Mapping[str, Any]) -> str | Markup:
    """Return what a rule saw, with its interval on a second line."""
    value, interval = plain(rule["observed"]), rule.get("interval")
    if not interval:
        return value
    low, high = (plain(bound) for bound in interval)
    return Markup('{}<br><span class="range">{} to {}</span>').format(value, low, high)


def plain(value: float | str | None) -> str:
    """Return a number with four digits, a digest by its start; what is not known is a dash."""
    if isinstance(value, str):
        return short(value) if value.startswith("sha256:") else value
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def tone(state: str) -> str:
    """Return the colour class of a run's state."""
    return STATES.get(state, "quiet")
