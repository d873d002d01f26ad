"""Pages for people on the model server: what a page is, and the session that a browser holds instead of the server's token.

The session's cookie opens pages only, never the API; no other site can send it along (`SameSite=Strict`, and a form that another
site posts is refused by what the browser says of its origin).
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from ml.serving.answer import Answerer
from ml.serving.customer import LONGEST, Customers
from ml.serving.session import LIFETIME_S, Session, SessionStore

COOKIE = "tradewind_session"
CUSTOMER_COOKIE = "tradewind_customer"
SIGN_IN = "/sign-in"
LIFETIME = timedelta(seconds=LIFETIME_S)


class Sessions:
    """Sessions of people who hold the server's token, and of the customers whom they sign in as."""

    def __init__(self, token: str, store: SessionStore) -> None:
        self._token = token.encode()
        self._store = store

    def begin(self, token: str, request: Request, response: Response) -> bool:
        """Set the session's cookie if the token is the server's; tell whether it is."""
        if not hmac.compare_digest(token.encode(), self._token):
            return False
        keep_cookie(response, request, COOKIE, self._store.begin(), LIFETIME)
        return True

    def holds(self, request: Request) -> bool:
        """Tell whether a request comes with a session, and, where it changes something, from a page of this server."""
        return self._found(request) is not None and is_own(request)

    def end(self, request: Request, response: Response) -> None:
        """End the session and the customer's, here and in the browser."""
        found = self._found(request)
        if found is not None:
            self._store.end(found)
        for name in (COOKIE, CUSTOMER_COOKIE):
            drop_cookie(response, request, name)

    def sign_in(self, request: Request, response: Response, token: str) -> None:
        """Let the session be the customer's whose token it is; an empty one signs out."""
        found = self._found(request)
        if found is None:
            return
        self._store.sign_in(found, token or None)
        if token:
            keep_cookie(response, request, CUSTOMER_COOKIE, token, LONGEST)
        else:
            drop_cookie(response, request, CUSTOMER_COOKIE)

    def customer_token(self, request: Request) -> str | None:
        """Return the customer's token that the browser holds, if it was given in this very session."""
        found, token = self._found(request), request.cookies.get(CUSTOMER_COOKIE)
        return token if found is not None and token and self._store.is_of(found, token) else None

    def _found(self, request: Request) -> Session | None:
        name = request.cookies.get(COOKIE)
        return self._store.find(name) if name else None


def is_own(request: Request) -> bool:
    """Tell whether a request that changes something was sent by a page of this server."""
    if request.method in ("GET", "HEAD"):
        return True
    try:
        origin = urlsplit(request.headers.get("origin", ""))
    except ValueError:  # a host in brackets that is no address
        return False
    return bool(origin.netloc) and origin.netloc == request.headers.get("host")


def keep_cookie(response: Response, request: Request, name: str, value: str, lifetime: timedelta) -> None:
    """Set a cookie that no script reads and no other site sends along."""
    response.set_cookie(
        name,
        value,
        max_age=int(lifetime.total_seconds()),
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )


def drop_cookie(response: Response, request: Request, name: str) -> None:
    """Let the browser forget a cookie of ours."""
    response.delete_cookie(name, httponly=True, samesite="strict", secure=request.url.scheme == "https")


@dataclass(frozen=True, kw_only=True)
class Page:
    """One page with the routes below its path."""

    path: str
    name: str
    """Of its title among the words of the pages."""
    routes: Callable[[Site], APIRouter]
    is_open: bool = False
    """Whether it is shown without a session: signing in."""


@dataclass(frozen=True, kw_only=True)
class Site:
    """What pages are made of."""

    answerers: Mapping[str, Answerer]
    """By use case."""
    customers: Customers
    sessions: Sessions
    pages: Sequence[Page]


def page_of(path: str, pages: Sequence[Page]) -> Page | None:
    """Return the page a path belongs to; none where it is no page's."""
    return next((page for page in pages if path == page.path or path.startswith(f"{page.path}/")), None)
