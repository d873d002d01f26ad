"""What every request passes first: the token or a session, the size of its body, the clock, and a net for what nobody foresaw."""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ml.serving.lane import PAGES, REST, Busy, Gone, Lane, Lanes
from ml.serving.meters import Meters
from ml.serving.page import SIGN_IN, Page, Sessions, page_of
from ml.serving.problem import SAFE_HEADERS, refusal
from ml.serving.request_id import RequestIds
from ml.serving.steady import place

OPEN_PATHS = frozenset({"/health"})
EXEMPT = frozenset({"/health", "/metrics"})  # they have to answer when nothing else does
BODY_LIMIT_BYTES = 256 * 1024
LIST_BODY_BYTES = 4 * 1024 * 1024  # of the list of all products out of stock
LIST_PATH = "/v1/out-of-stock"
OPEN_BODY_BYTES = 16 * 1024  # of whoever has shown no token yet
WORK = ("predict", "explain", "events")
OTHER = ("", "other")

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Room:
    """How many requests are taken, and how long one may take to come."""

    use_cases: frozenset[str]
    lanes: Lanes
    body_s: float
    """From its head to its last byte [s]."""


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
    """ASGI middleware around the whole application, so that a new route is guarded before anyone thinks of it.

    Whoever is not let in is told so before a body is read; a whole body is read before a request takes one of the places.
    """

    def __init__(self, app: ASGIApp, doors: Doors, meters: Meters, room: Room, ids: RequestIds) -> None:
        self._app = app
        self._doors = doors
        self._meters = meters
        self._room = room
        self._ids = ids

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or answer why not."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        answer = _Answer(send, self._ids.new(), is_head=scope["method"] == "HEAD")
        scope = {**scope, "state": {**scope.get("state", {}), "request_id": answer.request_id}}
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
        if scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}  # whatever can be read can be asked for its headers
        try:
            await self._answer(scope, _Body(request, receive, self._limit(request)), answer)
        except Gone:
            return
        except Exception as error:
            # The last net: a message or a trace may hold personal values, so only kind and place are kept.
            log.error("request failed id=%s kind=%s at=%s", answer.request_id, type(error).__name__, place(error))
            if not answer.begun:
                failed = refusal(
                    500, "an answer", f"an internal error, id {answer.request_id}", "Tell the operators the id."
                )
                await failed(scope, receive, answer)

    async def _answer(self, scope: Scope, body: _Body, answer: _Answer) -> None:
        refused = await body.read(self._room.body_s)
        if refused is not None:
            await refused(scope, body.receive, answer)
            return
        lane = self._lane(scope["path"])
        if lane is None:
            await self._app(scope, body.receive, answer)
            return
        try:
            async with lane.turn(body.gone):
                await self._app(scope, body.receive, answer)
        except Busy as busy:
            told = refusal(503, "room for one more request", "as many as can wait", f"Try again in {busy.retry_s} s.")
            told.headers["Retry-After"] = str(busy.retry_s)
            await told(scope, body.receive, answer)

    def _limit(self, request: Request) -> int:
        page = page_of(request.url.path, self._doors.pages)
        if request.url.path == LIST_PATH:
            return LIST_BODY_BYTES
        return OPEN_BODY_BYTES if page is not None and page.is_open else BODY_LIMIT_BYTES

    def _lane(self, path: str) -> Lane | None:
        if path in EXEMPT:
            return None
        use_case, verb = self._labels(path)
        if page_of(path, self._doors.pages):
            return self._room.lanes[PAGES]
        return self._room.lanes[use_case if verb in WORK else REST]

    def _measure(self, scope: Scope, status: int, seconds: float) -> None:
        labels = self._labels(scope["path"]) if status != 404 else OTHER
        self._meters.requests.labels(*labels, str(status)).inc()
        self._meters.latency.labels(*labels).observe(seconds)

    def _labels(self, path: str) -> tuple[str, str]:
        """Return use case and verb: a bounded number of labels whatever is asked."""
        parts = path.split("/")
        is_known = len(parts) == 4 and parts[1] == "v1" and parts[2] in self._room.use_cases
        return (parts[2], parts[3]) if is_known else OTHER


class _Answer:
    """Passes the answer on, with the request's id, and keeps its status."""

    def __init__(self, send: Send, request_id: str, *, is_head: bool) -> None:
        self._send = send
        self._is_head = is_head
        self.request_id = request_id
        self.begun = False
        self.status = 500

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.begun, self.status = True, message["status"]
            known = {name.lower() for name, _ in message["headers"]}
            extra = [(b"tradewind-request-id", self.request_id.encode()), (b"cache-control", b"no-store")]
            extra += [header for header in SAFE_HEADERS if header[0] not in known]
            message = {**message, "headers": [*message["headers"], *extra]}
        elif self._is_head and message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await self._send(message)


class _Body:
    """A request's body: read as a whole, up to a limit and in time, then handed to the application."""

    def __init__(self, request: Request, receive: Receive, limit: int) -> None:
        declared = request.headers.get("content-length", "0")
        self._receive = receive
        self._limit = limit
        self._declared = int(declared) if declared.isdecimal() else 0
        self._data: bytes | None = None

    async def read(self, seconds: float) -> Response | None:
        """Read it; return why it is refused, or none.

        Raises:
            Gone: The client went away before it was whole.
        """
        try:
            async with asyncio.timeout(seconds):
                return await self._read()
        except TimeoutError:
            late = refusal(408, f"the whole body within {seconds:g} s", "a part of it", "Send it at once.")
            late.headers["Connection"] = "close"
            return late

    async def receive(self) -> Message:
        """Return the whole body once, then what the connection says."""
        if self._data is None:
            return await self._receive()
        data, self._data = self._data, None
        return {"type": "http.request", "body": data, "more_body": False}

    async def gone(self) -> None:
        """Return when the client has gone away; nothing else is left to receive."""
        while (await self._receive())["type"] != "http.disconnect":
            continue

    async def _read(self) -> Response | None:
        parts, size, is_more = [], 0, self._declared <= self._limit
        while is_more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise Gone
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            is_more = message.get("more_body", False) and size <= self._limit
        if max(size, self._declared) > self._limit:
            return refusal(
                413,
                f"a body of at most {self._limit:,} bytes",
                "a larger one",
                "Send less history, or fewer items.",
            )
        self._data = b"".join(parts)
        return None
