"""Connections of the model server: each has to get on within deadlines, and where there are too many the idlest go first.

uvicorn itself knows one deadline, between two requests, and any byte puts it off; so a client that sends a header a minute, or half
a body, would hold a connection for ever.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from ml.serving.problem import raw_refusal

Phase: TypeAlias = Literal["head", "body", "work", "blocked", "idle", "closing"]
"""What a connection waits for: the rest of a request's head or body, its answer, the client to read it, the next one, its end."""

ON_US: tuple[Phase, ...] = ("work", "blocked")  # a request is being answered: such a connection is never shed
FRESH_S = 1.0  # a connection has this long for a request before it counts as half-open
SHED_SHARE = 50  # one part in so many goes at a time: looking for the idlest costs more than closing it
UNREAD_BYTES = 1024 * 1024  # of a body nobody wants; an end at once would often take the answer from the client
LINGER_S = 2.0
GRACE_S = 1.0  # the guard answers a body that is late itself, and is given the time


log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Deadlines:
    """How long a connection may take [s]."""

    head: float
    body: float
    idle: float
    send: float

    def of(self, phase: Phase) -> float | None:
        """Return how long a phase may last; none where the time is ours."""
        return {
            "head": self.head,
            "body": self.body + GRACE_S,
            "work": None,
            "blocked": self.send,
            "idle": self.idle,
            "closing": self.send,
        }[phase]


class Crowd:
    """The connections of one listener, of which there is a most.

    Args:
        most: Connections that are open at a time.
        deadlines: Of each.
        closed: Told why a connection was closed: its phase where that took too long, `shed`, or `full`.
    """

    def __init__(self, most: int, deadlines: Deadlines, closed: Callable[[str], None] = lambda _: None) -> None:
        self.deadlines = deadlines
        self.closed = closed
        self._most = most
        self._open: set[Connection] = set()

    def enter(self, connection: Connection) -> bool:
        """Take in a connection, in the place of idle or half-open ones where there is no other; tell whether there was."""
        if len(self._open) >= self._most:
            self._shed(connection.loop.time())
        if len(self._open) >= self._most:
            self.closed("full")
            return False
        self._open.add(connection)
        return True

    def leave(self, connection: Connection) -> None:
        """Forget a connection."""
        self._open.discard(connection)

    def __len__(self) -> int:
        """Return how many are open."""
        return len(self._open)

    def _shed(self, now: float) -> None:
        free = (connection for connection in self._open if connection.phase not in ON_US)
        for connection in heapq.nsmallest(1 + self._most // SHED_SHARE, free, key=lambda one: _worth(one, now)):
            self.leave(connection)
            self.closed("shed")
            connection.transport.abort()


def _worth(connection: Connection, now: float) -> tuple[int, float]:
    """Return what a connection is worth: half-open ones least, then idle ones, then those that just came; the oldest less."""
    if connection.phase == "idle":
        return 1, connection.since
    return (2 if now - connection.since < FRESH_S else 0), connection.since


class Connection(H11Protocol):
    """One connection, which ends when a phase of it takes too long."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        crowd: Crowd,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.phase: Phase = "head"
        self.since = self.loop.time()
        """When the phase began, by the loop's clock [s]."""
        self._crowd = crowd
        self._timer: asyncio.TimerHandle | None = None
        self._unread = 0
        self._lingers = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """Begin, unless there are too many that are all at work."""
        super().connection_made(transport)
        self._begin("head")
        if not self._crowd.enter(self):
            told = raw_refusal(503, "a connection that is free", "as many as may be open", "Try again soon.")
            transport.write(told)
            transport.close()  # without a word more: this one has no place to linger in
            self._settle()

    def data_received(self, data: bytes) -> None:
        """Take in bytes; what is sent after the end of its request's answer is passed over, up to a bound."""
        if self._lingers or (self.phase == "body" and self.cycle is not None and self.cycle.response_complete):
            self._unread += len(data)
            if self._unread > UNREAD_BYTES:
                self._end(self.phase)
                return
        if not self._lingers:
            super().data_received(data)
            self._settle()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_timer()
        self._crowd.leave(self)
        super().connection_lost(exc)

    def eof_received(self) -> None:
        """Close: whoever sends nothing more is not waited for after a refusal."""
        if self._lingers:
            self.transport.close()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self._settle()

    def pause_writing(self) -> None:
        """Wait until the client reads."""
        super().pause_writing()
        self._settle()

    def resume_writing(self) -> None:
        """Go on with the answer."""
        super().resume_writing()
        self._settle()

    def shutdown(self) -> None:
        """End, once a request that is whole is answered."""
        if self.phase == "body":
            self.transport.abort()
        else:
            super().shutdown()
            self._settle()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, unless an answer is under way."""
        log.info("connection refused: %s", msg)
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            self._refuse(400, "a request in HTTP/1.1", "something else", "Correct the request.")
        else:
            self.transport.abort()

    def _phase_now(self) -> Phase:
        if self._lingers or self.transport.is_closing():
            return "closing"
        if self.conn.their_state is h11.SEND_BODY:
            return "body"
        if self.cycle is not None and not self.cycle.response_complete:
            return "blocked" if self.flow.write_paused else "work"
        has_begun = self.cycle is None or bool(self.conn.trailing_data[0])
        return "head" if has_begun else "idle"

    def _settle(self) -> None:
        phase = self._phase_now()
        if phase != self.phase:
            self._begin(phase)

    def _begin(self, phase: Phase) -> None:
        self.phase, self.since, self._unread = phase, self.loop.time(), 0
        self._stop_timer()
        seconds = LINGER_S if self._lingers else self._crowd.deadlines.of(phase)
        if seconds is not None:
            self._timer = self.loop.call_later(seconds, self._late)

    def _late(self) -> None:
        """End a connection whose phase took too long."""
        if self.phase == "head" and self.conn.trailing_data[0]:
            self._crowd.closed("head")
            self._refuse(408, "a whole request in time", "a part of its head", "Send it at once.")
        else:
            self._end(self.phase)

    def _end(self, reason: str) -> None:
        self._crowd.closed(reason)
        self.transport.abort()

    def _refuse(self, status: int, expected: str, received: str, action: str) -> None:
        """Write an answer past the application, and close; what still comes is passed over: an end at once would take it back."""
        if self.cycle is not None:
            self.cycle.disconnected = True  # whatever the application says now comes too late
        self.transport.write(raw_refusal(status, expected, received, action))
        self.transport.write_eof()
        self._lingers = True
        self._settle()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
