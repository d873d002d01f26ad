"""Reads the JSON of a request: strictly, bounded, and with the place of whatever is refused."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeAlias

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from ml.serving.problem import FAULTS_SHOWN

DEEPEST = 16  # levels of lists and objects within each other
WHOLE_DIGITS = 20  # of the longest whole number in 64 bits, its sign included

Path: TypeAlias = "tuple[Path, str | int] | None"
"""The place of a value: that of what holds it, and its name or number there."""


@dataclass(frozen=True)
class _Refused:
    """Stands where a value stood that may not."""

    expected: str


class BodyInvalid(HTTPException):
    """A body that is no JSON as servers exchange it (RFC 8259), or holds values that no field can."""

    def __init__(self, faults: list[dict[str, Any]]) -> None:
        self.faults = faults
        super().__init__(422)


class StrictRequest(Request):
    """A request whose JSON is read by `parse`."""

    async def json(self) -> Any:
        """Return the body's value; raise `BodyInvalid`."""
        return parse(await self.body())


class JsonRoute(APIRoute):
    """A route that reads its body strictly."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler around which the body is read."""
        handle = super().get_route_handler()

        async def strict(request: Request) -> Response:
            return await handle(StrictRequest(request.scope, request.receive))

        return strict


def parse(data: bytes) -> Any:
    """Return the value of a JSON text.

    Refused are, beside what is no JSON: text that is no UTF-8, names that occur twice in an object, NaN and infinities, numbers
    beyond what 64 bits hold, halves of surrogate pairs, and more than `DEEPEST` levels.

    Raises:
        BodyInvalid: With every place at fault, up to the number that an answer shows.
    """
    try:
        value = json.loads(
            data.decode(),
            object_pairs_hook=_object,
            parse_constant=lambda _: _Refused("a finite number"),
            parse_int=_whole,
            parse_float=_finite,
        )
    except UnicodeDecodeError as error:
        raise BodyInvalid([_fault(None, "text in UTF-8")]) from error
    except json.JSONDecodeError as error:
        raise BodyInvalid([_fault(None, f"JSON; at character {error.pos}: {error.msg}")]) from error
    except RecursionError as error:
        raise BodyInvalid([_fault(None, f"at most {DEEPEST} levels")]) from error
    faults = list(islice(_faults(value), FAULTS_SHOWN))
    if faults:
        raise BodyInvalid(faults)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                found[name] = _Refused("one value of this name")
            seen.add(name)
    return found


def _whole(digits: str) -> int | _Refused:
    value = int(digits) if len(digits) <= WHOLE_DIGITS else None
    return value if value is not None and -(2**63) <= value < 2**63 else _Refused("a whole number of 64 bits")


def _finite(digits: str) -> float | _Refused:
    value = float(digits)
    return value if math.isfinite(value) else _Refused("a finite number")


def _faults(value: Any) -> Iterator[dict[str, Any]]:
    """Yield what may not stand where it stands; without recursion, whatever the depth."""
    waiting: list[tuple[Path, int, Any]] = [(None, 0, value)]
    while waiting:
        path, depth, one = waiting.pop()
        if isinstance(one, _Refused):
            yield _fault(path, one.expected)
        elif isinstance(one, str):
            if not _is_text(one):
                yield _fault(path, "text of whole characters")
        elif isinstance(one, dict | list):
            if depth >= DEEPEST:
                yield _fault(path, f"at most {DEEPEST} levels")
                continue
            if isinstance(one, dict):
                yield from (_fault((path, name), "a name of whole characters") for name in one if not _is_text(name))
            named = one.items() if isinstance(one, dict) else enumerate(one)
            waiting.extend(((path, name), depth + 1, item) for name, item in named)


def _is_text(value: str) -> bool:
    return value.isascii() or not any("\ud800" <= char <= "\udfff" for char in value)


def _fault(path: Path, expected: str) -> dict[str, Any]:
    place: list[str | int] = []
    while path is not None:
        path, name = path
        place.append(name)
    return {"loc": ("body", *reversed(place)), "msg": expected, "input": _Refused(expected)}
