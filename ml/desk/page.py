"""How a page is sent: rendered in the reader's language, under headers that let no script run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from fastapi import Request
from jinja2 import Environment
from starlette.responses import HTMLResponse, RedirectResponse, Response

from ml.desk.document import Document
from ml.desk.language import LANGUAGES, Language, choose

POLICY = (
    "default-src 'none'; style-src 'self' 'unsafe-inline'; img-src {images}; font-src data:; "
    "base-uri 'none'; form-action {forms}; frame-ancestors 'self'"
)
"""No script runs on any page, so nothing a report quotes from the data can act as the reader."""
HEADERS = {
    "Content-Security-Policy": POLICY.format(forms="'none'", images="'self' data:"),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "private, no-store",
}
DOCUMENT_HEADERS = {
    **HEADERS,
    "Content-Security-Policy": POLICY.format(forms="'none'", images="data:")
    + "; sandbox allow-same-origin allow-popups allow-top-navigation-by-user-activation",
}
"""Of documents out of the object store, whoever wrote them there: they run, send and load nothing by themselves."""
FORM_HEADERS = {**HEADERS, "Content-Security-Policy": POLICY.format(forms="'self'", images="'self' data:")}
"""Of the few pages that hold a form of ours; whatever a report quotes cannot send one."""
COOKIE = "tradewind_language"
COOKIE_SECONDS = 365 * 24 * 3600

Show = Callable[..., Response]
"""(request, template, has_form, status, **values) -> the page."""


def shower(templates: Environment) -> Show:
    """Return what renders a template as the answer to a request."""

    def show(request: Request, template: str, *, has_form: bool = False, status: int = 200, **values: Any) -> Response:
        language = language_of(request)
        about = {"base": request.scope["root_path"], "here": _linker(request), "languages": LANGUAGES, "status": status}
        spoken = {"language": language, "say": language.say, "told": language.told}
        page = templates.get_template(template).render(**about, **spoken, **values)
        answer = HTMLResponse(page, status_code=status, headers=FORM_HEADERS if has_form else HEADERS)
        if request.query_params.get("lang") == language.code:
            path = request.scope["root_path"] or "/"
            answer.set_cookie(COOKIE, language.code, COOKIE_SECONDS, path=path, httponly=True, samesite="lax")
        return answer

    return show


def language_of(request: Request) -> Language:
    """Return the language asked for, else the one chosen before, else the browser's."""
    asked = (request.query_params.get("lang"), request.cookies.get(COOKIE))
    return choose(next((code for code in asked if code in LANGUAGES), None), request.headers.get("accept-language", ""))


def led(request: Request, page: str, status: int = 307) -> Response:
    """Lead to another page of the desk."""
    return RedirectResponse(f"{request.scope['root_path']}{page}", status_code=status)


def sent(found: Document) -> Response:
    """Send a document as it was written."""
    return Response(found.data, media_type=found.content_type, headers=DOCUMENT_HEADERS)


def _linker(request: Request) -> Callable[..., str]:
    """Return what makes this page's address with some of the reader's choices changed; none drops one."""

    def here(**changed: Any) -> str:
        kept = {**request.query_params, **changed}
        query = urlencode({name: value for name, value in kept.items() if value is not None})
        return f"{request.url.path}?{query}" if query else request.url.path

    return here
