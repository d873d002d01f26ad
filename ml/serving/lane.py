"""Room for requests: a few of each use case are worked on at once, more wait in its own line, so none holds up the others."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

LONGEST_RETRY_S = 30
SMOOTHING = 0.1  # weight of the newest request in how long one takes


class Busy(Exception):
    """There is no room; `retry_s` tells when there may be [whole seconds]."""

    def __init__(self, retry_s: int) -> None:
        super().__init__(f"no room for {retry_s} s")
        self.retry_s = retry_s


class Gone(Exception):
    """The client went away while its request waited."""


class Lane:
    """The requests of one kind.

    Args:
        threads: Worked on at once.
        waiting: That wait for their turn; one more is refused.
        patience_s: How long one waits [s].
    """

    def __init__(self, threads: int, waiting: int, patience_s: float) -> None:
        self.threads = threads
        self._most = waiting
        self._patience_s = patience_s
        self._turns = asyncio.Semaphore(threads)
        self._waiting = 0
        self._takes_s = 0.0

    @asynccontextmanager
    async def turn(self, gone: Callable[[], Awaitable[Any]]) -> AsyncIterator[None]:
        """Hold one of the places.

        Args:
            gone: Ends when the client has gone away.

        Raises:
            Busy: None becomes free in time.
            Gone: The client did not wait.
        """
        await self._take(gone)
        began = time.monotonic()
        try:
            yield
        finally:
            self._turns.release()
            self._takes_s += SMOOTHING * (time.monotonic() - began - self._takes_s)

    async def _take(self, gone: Callable[[], Awaitable[Any]]) -> None:
        if not self._turns.locked():
            await self._turns.acquire()
            return
        if self._waiting >= self._most:
            raise Busy(self._retry_s())
        self._waiting += 1
        mine, left = asyncio.ensure_future(self._turns.acquire()), asyncio.ensure_future(gone())
        try:
            done, _ = await asyncio.wait({mine, left}, timeout=self._patience_s, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():
                self._turns.release()
            mine.cancel()
            raise
        finally:
            self._waiting -= 1
            left.cancel()
        if mine not in done:
            mine.cancel()
            raise Gone if left in done else Busy(self._retry_s())

    def _retry_s(self) -> int:
        """Return when a place may be free, by the requests that wait and how long one takes [whole seconds]."""
        expected = self._takes_s * (self._waiting + 1) / self.threads
        return max(1, min(LONGEST_RETRY_S, math.ceil(expected)))


class Lanes:
    """The lanes of all use cases, of the pages, and of the rest."""

    def __init__(self, names: Iterable[str], threads: int, waiting: int, patience_s: float) -> None:
        self._lanes = {name: Lane(threads, waiting, patience_s) for name in (*names, PAGES, REST)}

    @property
    def threads(self) -> int:
        """Requests that are worked on at once, over all lanes."""
        return sum(lane.threads for lane in self._lanes.values())

    def __getitem__(self, name: str) -> Lane:
        """Return a use case's lane, or that of the rest for any other name."""
        return self._lanes.get(name, self._lanes[REST])


PAGES, REST = "/pages", "/rest"  # no use case's name has a slash
