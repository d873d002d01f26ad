"""The page of one monitoring run: verdict first, then each feature's distance and each figure of quality."""

from __future__ import annotations

from datetime import date

from jinja2 import Environment, PackageLoader, select_autoescape

from ml.contract import JsonObject


def render(title: str, day: date, report: JsonObject) -> str:
    """Return the page as self-contained HTML."""
    pages = Environment(loader=PackageLoader("ml.monitoring"), autoescape=select_autoescape(default=True))
    return pages.get_template("report.html.j2").render(title=title, day=day.isoformat(), **report)
