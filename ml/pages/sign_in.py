"""Signing in to the pages with the server's token, as a customer with theirs, signing out, and the language."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import RedirectResponse, Response

from ml.pages.frame import LANGUAGE_COOKIE, LANGUAGES, show
from ml.serving.customer import TOKEN_CHARACTERS, Proof
from ml.serving.page import SIGN_IN, Page, Site, is_own, keep_cookie, page_of

YEAR = timedelta(days=365)


def proof_of(request: Request, site: Site) -> Proof:
    """Return which customer the browser has signed in as."""
    return site.customers.proof(site.sessions.customer_token(request))


def _routes(site: Site) -> APIRouter:
    router = APIRouter()

    @router.get("")
    def form(request: Request, next: str = "") -> Response:
        return show(request, site, "sign_in.html.j2", next=_led(site, next), wrong=False)

    @router.post("")
    def sign_in(
        request: Request, token: Annotated[str, Form(max_length=1000)], next: Annotated[str, Form()] = ""
    ) -> Response:
        led = RedirectResponse(_led(site, next), status_code=303)
        if is_own(request) and site.sessions.begin(token.strip(), request, led):
            return led
        return show(request, site, "sign_in.html.j2", status=403, next=_led(site, next), wrong=True)

    @router.post("/out")
    def sign_out(request: Request) -> Response:
        led = RedirectResponse(SIGN_IN, status_code=303)
        if is_own(request):
            site.sessions.end(request, led)
        return led

    @router.post("/customer")
    def customer(
        request: Request,
        token: Annotated[str, Form(max_length=TOKEN_CHARACTERS)] = "",
        next: Annotated[str, Form()] = "",
    ) -> Response:
        led = RedirectResponse(_led(site, next), status_code=303)
        if is_own(request):
            site.sessions.sign_in(request, led, token.strip())
        return led

    @router.post("/language")
    def language(request: Request, language: Annotated[str, Form()], next: Annotated[str, Form()] = "") -> Response:
        led = RedirectResponse(_led(site, next), status_code=303)
        if is_own(request) and language in LANGUAGES:
            keep_cookie(led, request, LANGUAGE_COOKIE, language, YEAR)
        return led

    return router


def _led(site: Site, wanted: str) -> str:
    """Return the page to go to: one of ours, whatever is wanted."""
    page = page_of(wanted, site.pages)
    return page.path if page else next(page.path for page in site.pages if not page.is_open)


SIGN_IN_PAGE = Page(path=SIGN_IN, name="sign_in", routes=_routes, is_open=True)
