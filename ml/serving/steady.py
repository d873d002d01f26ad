"""Threads that must live: what one of them does is done again and again, and no error ends it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

BACK_OFF_S = 60.0  # longest pause after failures in a row

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Pulse:
    """How such a thread is."""

    alive: bool
    failures: int
    """In a row; 0 after a success."""
    problem: str | None
    """Kind of the last error; none after a success."""


class Steady:
    """A thread that repeats one piece of work; an unexpected error is logged, and the work is tried again after a pause.

    Args:
        name: Of the thread.
        work: What is done each time.
        pause_s: From one time to the next; after failures twice as long each time, up to a minute [s].
    """

    def __init__(self, name: str, work: Callable[[], None], pause_s: float) -> None:
        self._name = name
        self._work = work
        self._pause_s = pause_s
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._failures = 0
        self._problem: str | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Let the work under way end, and the thread with it."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    def wake(self) -> None:
        """Do the work now; a pause after failures is not cut short."""
        if not self._failures:
            self._wake.set()

    def pulse(self) -> Pulse:
        """Return how the thread is."""
        return Pulse(alive=self._thread.is_alive(), failures=self._failures, problem=self._problem)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._once()
            self._wake.wait(min(BACK_OFF_S, self._pause_s * 2 ** min(self._failures, 10)))
            self._wake.clear()

    def _once(self) -> None:
        try:
            self._work()
        except Exception as error:  # whatever it is, the thread has to live; the place tells the operators what to mend
            self._failures += 1
            self._problem = type(error).__name__
            log.error(
                "thread failed name=%s kind=%s at=%s failures=%d",
                self._name,
                self._problem,
                place(error),
                self._failures,
            )
        else:
            self._failures, self._problem = 0, None


def place(error: BaseException) -> str:
    """Return where an error arose: file and line; its message may hold personal values."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "unknown" if trace is None else f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
