"""The privacy report of a run: what was done to each column, and what it cost."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, select_autoescape

from ml.contract import JsonObject


def render(title: str, report: JsonObject) -> str:
    """Return the page as self-contained HTML; it shows labels and counts, no value of any one row."""
    pages = Environment(loader=PackageLoader("ml.privacy"), autoescape=select_autoescape(default=True))
    return pages.get_template("privacy.html.j2").render(title=title, **report)
