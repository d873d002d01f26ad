"""Waits that are told: a person who waits for longer than a moment learns for what, and for how long at most."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

MOMENT_SECONDS = 3.0

Tell: TypeAlias = Callable[[str], None]
"""Receives a line for the person who waits."""


def untold(_: str) -> None:
    """Tell nobody."""


@contextmanager
def awaited(tell: Tell, what: str, most_seconds: float) -> Iterator[None]:
    """Tell what is awaited, once that takes longer than a moment.

    Args:
        tell: Receives the line.
        what: What is awaited.
        most_seconds: When whoever waits gives up [s]; only told.
    """
    timer = threading.Timer(MOMENT_SECONDS, tell, [f"waiting for {what}, at most {most_seconds:.0f} s"])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
