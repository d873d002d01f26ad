"""Remembers what was worked out of a fitted state, for the few states a process has in memory."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TypeVar

from ml.contract import JsonObject

KEPT = 8  # states: a server holds the live version and the ones that are being loaded
Found = TypeVar("Found")


def once_a_state(build: Callable[[JsonObject], Found]) -> Callable[[JsonObject], Found]:
    """Return a function that builds once for each state in memory."""
    in_memory: dict[int, tuple[JsonObject, Found]] = {}

    @wraps(build)
    def remembered(state: JsonObject) -> Found:
        known = in_memory.get(id(state))
        if known is not None:  # the entry keeps the state alive, so its id is not another's
            return known[1]
        built = build(state)
        while len(in_memory) >= KEPT:
            in_memory.pop(next(iter(in_memory)), None)
        in_memory[id(state)] = (state, built)
        return built

    return remembered
