"""Pages for people on the model server: what a page is, and the session that a browser holds instead of the server's token.

The session's cookie opens pages only, never the API; no other site can send it along (`SameSite=Strict`, and a form that another
site posts is refused by what the browser says of its origin).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import jwt
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from ml.serving.answer import Answerer
from ml.serving.customer import Customers

COOKIE = "tradewind_session"
SIGN_IN = "/sign-in"
LIFETIME = timedelta(hours=8)
ALGORITHM = "HS256"
AUDIENCE = "tradewind-pages"


class Sessions:
    """Sessions of people who hold the server's token; nothing is stored, and a new token ends them all."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()
        self._key = hmac.digest(self._token, b"tradewind page session v1", hashlib.sha256)

    def begin(self, token: str, request: Request, response: Response) -> bool:
        """Set the session's cookie if the token is the server's; tell whether it is."""
        if not hmac.compare_digest(token.encode(), self._token):
            return False
        claims = {"aud": AUDIENCE, "exp": datetime.now(UTC) + LIFETIME}
        keep_cookie(response, request, COOKIE, jwt.encode(claims, self._key, ALGORITHM), LIFETIME)
        return True

    def holds(self, request: Request) -> bool:
        """Tell whether a request comes with a session, and, where it changes something, from a page of this server."""
        try:
            jwt.decode(
                request.cookies.get(COOKIE, ""),
                self._key,
                [ALGORITHM],
                audience=AUDIENCE,
                options={"require": ["exp", "aud"]},
            )
        except jwt.InvalidTokenError:
            return False
        return is_own(request)


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
