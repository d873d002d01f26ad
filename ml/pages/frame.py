"""What all pages share: templates, words in two languages, and headers under which no script runs."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import HTMLResponse

from ml.serving.page import Site

FOLDER = Path(__file__).parent
LANGUAGES = ("en", "zh")
LANGUAGE_COOKIE = "tradewind_language"
EMPHASIS = re.compile(r"\*([^*\n]+)\*")


def show(request: Request, site: Site, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """Return a page; everything put into it is escaped."""
    language = language_of(request)
    frame = {
        "words": words(language),
        "language": language,
        "path": request.url.path,
        "links": [(page.path, page.name) for page in site.pages if not page.is_open],
    }
    page = _environment().get_template(template).render(**frame, **values)
    return HTMLResponse(page, status_code=status, headers=_headers())


def language_of(request: Request) -> str:
    """Return the language of the page: as chosen, else as the browser asks, else English."""
    chosen = request.query_params.get("language") or request.cookies.get(LANGUAGE_COOKIE)
    if chosen in LANGUAGES:
        return chosen
    return "zh" if request.headers.get("accept-language", "").lower().startswith("zh") else "en"


@lru_cache(maxsize=4)
def words(language: str) -> dict[str, str]:
    """Return the words of the pages."""
    known: dict[str, str] = yaml.safe_load((FOLDER / "words" / f"{language}.yaml").read_text(encoding="utf-8"))
    return known


def emphasised(text: str) -> Markup:
    """Return escaped text in which `*words*` are emphasised, as the shop's pages write them."""
    return Markup(EMPHASIS.sub(r"<em>\1</em>", str(escape(text))))  # noqa: S704 - escaped first


@lru_cache(maxsize=1)
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("ml.pages"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["emphasised"] = emphasised
    made.globals["style"] = Markup(_style())  # noqa: S704 - our own file
    return made


@lru_cache(maxsize=1)
def _style() -> str:
    return (FOLDER / "templates" / "page.css").read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def _headers() -> dict[str, str]:
    digest = base64.b64encode(hashlib.sha256(_style().encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    )
    return {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
    }
