"""Turns figures into what a page shows: words, rounded numbers, short digests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from jinja2 import Environment, PackageLoader, select_autoescape

from ml.desk.listing_view import listing_of
from ml.use_cases import load

SHORT_DIGEST = 19  # characters that tell versions apart for a reader: sha256: and twelve digits
SMALLEST, LARGE = 5e-5, 1000  # what four decimals tell apart from nothing; from where they say nothing
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
    made.globals |= {"page_of": page_of, "listing_of": listing_of, "record_of": load}
    made.filters |= {
        "short": short,
        "moment": moment,
        "second": second,
        "span": span,
        "duration": duration,
        "figure": figure,
        "percent": percent,
        "tone": tone,
        "words": words,
        "cell": cell,
        "plain": plain,
    }
    return made


def page_of(use_case: str, run: str, place: str) -> str:
    """Return the page that shows one of a run's reports: judgements have pages of their own."""
    return f"/{PAGES[place]}/{use_case}/{run}" if place in PAGES else f"/report/{use_case}/{run}/{place}"


def short(digest: str) -> str:
    """Return the start of a digest; another name stays as it is."""
    return digest[:SHORT_DIGEST] if digest.startswith("sha256:") else digest


def moment(value: datetime | str | None, form: str = "%Y-%m-%d %H:%M") -> str:
    """Return a time in UTC to the minute."""
    if value is None:
        return "–"
    when = datetime.fromisoformat(value) if isinstance(value, str) else value
    return f"{when.astimezone(UTC):{form}} UTC"


def second(value: datetime) -> str:
    """Return a time in UTC to the second."""
    return moment(value, "%Y-%m-%d %H:%M:%S")


def duration(seconds: float | None) -> str:
    """Return a length of time in minutes and seconds."""
    if seconds is None:
        return "–"
    return f"{seconds:.0f} s" if seconds < 60 else f"{int(seconds // 60)} min {int(seconds % 60)} s"


def span(length: timedelta) -> str:
    """Return how long it is until a moment, in hours and minutes; less than a minute as one."""
    minutes = max(1, round(length.total_seconds() / 60))
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"


def figure(value: float, is_signed: bool = False) -> str:
    """Return a number with four decimals, large ones with separators; one that would read as nothing as a power of ten."""
    if value and abs(value) < SMALLEST:
        return f"{value:.1e}"
    told = f"{value or 0.0:,.1f}" if abs(value) >= LARGE else f"{value or 0.0:.4f}"
    return f"+{told}" if is_signed and value > 0 else told


def percent(share: float) -> str:
    """Return a share in percent, with two decimals where one would read as nothing."""
    told = f"{share:.1%}" if share == 0 or abs(share) >= 0.001 else f"{share:.2%}"
    return told if float(told[:-1]) else told.removeprefix("-")


def words(name: str) -> str:
    """Return a field's name as a heading."""
    return name.replace("_", " ")


def cell(value: Any) -> str:
    """Return a value of a table: numbers rounded to cents, nothing as a dash."""
    if value is None:
        return "–"
    return f"{value:,.2f}" if isinstance(value, float) else str(value)


def plain(value: float | str | None) -> str:
    """Return a number with four digits; what is not known is a dash."""
    if isinstance(value, str):
        return value
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def tone(state: str) -> str:
    """Return the colour class of a run's state."""
    return STATES.get(state, "quiet")
