"""What every request passes first: the token or a session, the size of its body, the clock, and a net for what nobody foresaw."""

from __future__ import annotations

import hmac
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ml.serving.meters import Meters
from ml.serving.page import SIGN_IN, Page, Sessions, page_of
from ml.serving.problem import refusal
from ml.serving.request_id import RequestIds
from ml.serving.steady import place

OPEN_PATHS = frozenset({"/health"})
BODY_LIMIT_BYTES = 256 * 1024
OTHER = ("", "other")

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Doors:
    """Who is let in: holders of the token everywhere; people with a session to pages."""

    token: str
    sessions: Sessions
    pages: Sequence[Page] = ()

    def refused(self, request: Request) -> Response | None:
        """Return why a request is not let in; none where it is."""
        page = page_of(request.url.path, self.pages)
        if request.url.path in OPEN_PATHS or (page and page.is_open) or self._holds_token(request):
            return None
        if page is None:
            return refusal(401, "the header Authorization: Bearer <token>", "none that is valid", "Send the token.")
        if self.sessions.holds(request):
            return None
        return RedirectResponse(f"{SIGN_IN}?{urlencode({'next': page.path})}", status_code=303)

    def _holds_token(self, request: Request) -> bool:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        return hmac.compare_digest(given.strip().encode(), self.token.encode()) and scheme.lower() == "bearer"


class Guard:
    """ASGI middleware around the whole application, so that a new route is guarded before anyone thinks of it."""

    def __init__(self, app: ASGIApp, doors: Doors, meters: Meters, use_cases: frozenset[str], ids: RequestIds) -> None:
        self._app = app
        self._doors = doors
        self._meters = meters
        self._use_cases = use_cases
        self._ids = ids

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or answer why not."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        answer = _Answer(send, self._ids.new())
        scope.setdefault("state", {})["request_id"] = answer.request_id
        try:
            await self._admit(scope, receive, answer)
        finally:
            self._measure(scope, answer.status, time.perf_counter() - began)

    async def _admit(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        request = Request(scope)
        refused = self._doors.refused(request)
        if refused is not None:
            await refused(scope, receive, answer)
            return
        try:
            await self._app(scope, _Bounded(request, receive), answer)
        except Exception as error:
            # The last net: a message or a trace may hold personal values, so only kind and place are kept.
            log.error("request failed id=%s kind=%s at=%s", answer.request_id, type(error).__name__, place(error))
            if not answer.begun:
                failed = refusal(
                    500, "an answer", f"an internal error, id {answer.request_id}", "Tell the operators the id."
                )
                await failed(scope, receive, answer)

    def _measure(self, scope: Scope, status: int, seconds: float) -> None:
        labels = self._labels(scope["path"]) if status != 404 else OTHER
        self._meters.requests.labels(*labels, str(status)).inc()
        self._meters.latency.labels(*labels).observe(seconds)

    def _labels(self, path: str) -> tuple[str, str]:
        """Return use case and verb: a bounded number of labels whatever is asked."""
        parts = path.split("/")
        return (parts[2], parts[3]) if len(parts) == 4 and parts[1] == "v1" and parts[2] in self._use_cases else OTHER


class _Answer:
    """Passes the answer on, with the request's id, and keeps its status."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self.request_id = request_id
        self.begun = False
        self.status = 500

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.begun, self.status = True, message["status"]
            extra = [(b"tradewind-request-id", self.request_id.encode()), (b"cache-control", b"no-store")]
            message = {**message, "headers": [*message["headers"], *extra]}
        await self._send(message)


class _Bounded:
    """Reads the body, up to the limit."""

    def __init__(self, request: Request, receive: Receive) -> None:
        declared = request.headers.get("content-length", "0")
        self._receive = receive
        self._left = BODY_LIMIT_BYTES
        self._declared = int(declared) if declared.isdigit() else 0

    async def __call__(self) -> Message:
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        if self._left < 0 or self._declared > BODY_LIMIT_BYTES:
            raise HTTPException(413)  # FastAPI passes this one on from wherever it reads the body
        return message
