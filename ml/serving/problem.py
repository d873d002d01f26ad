"""How the server says no: one JSON shape, the field at fault, never a value that came in and never a stack trace."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from ml.contract import Unfit
from ml.errors import ModelNotFound, StorageUnavailable, TradewindError
from ml.serving.steady import place

STATUS: dict[type[TradewindError], int] = {ModelNotFound: 503, StorageUnavailable: 503}
FAULTS_SHOWN = 10
JSON_KIND = re.compile(r"\s*application/(?:[\w.-]+\+)?json\s*(?:;|$)", re.IGNORECASE)
RETRY_S = 5  # what is away is looked for again every few seconds
SAFE_HEADERS = (
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"x-frame-options", b"DENY"),
    (b"x-content-type-options", b"nosniff"),
)
"""Of every answer that says nothing stricter: nobody shows it in a frame, and what is no page runs nothing."""
SAFE_LINES = [b": ".join(header) for header in SAFE_HEADERS]
PLACE_CHARACTERS = 200  # shown of a field's place: a client chooses the names of an object


class Fault(BaseModel):
    """One field at fault."""

    field: str
    expected: str
    received: str = Field(description="what kind of value came, never the value")


class Facts(BaseModel):
    """What was expected, what came, and what to do next."""

    expected: str
    received: str
    action: str
    fields: list[Fault] = []


class Problem(BaseModel):
    """How the server says no."""

    error: Facts


REFUSALS: dict[int | str, dict[str, Any]] = {
    401: {"model": Problem, "description": "No valid token"},
    408: {"model": Problem, "description": "Not whole in time"},
    413: {"model": Problem, "description": "More than the server reads"},
    422: {"model": Problem, "description": "A request that does not fit; the fields at fault are named"},
    503: {"model": Problem, "description": "Nothing can answer now"},
}
"""What every route may answer instead."""

log = logging.getLogger(__name__)


def refusal(
    status: int, expected: str, received: str, action: str, fields: Sequence[dict[str, str]] = ()
) -> JSONResponse:
    """Return an answer that says what was expected, what came and what to do next; 503 says when to try again."""
    body = {"expected": expected, "received": received, "action": action}
    headers = {401: {"WWW-Authenticate": "Bearer"}, 503: {"Retry-After": str(RETRY_S)}}.get(status)
    return JSONResponse(
        {"error": {**body, "fields": list(fields)} if fields else {**body}}, status_code=status, headers=headers
    )


def raw_refusal(status: int, expected: str, received: str, action: str) -> bytes:
    """Return the same as the bytes of an HTTP answer after which the connection ends: for what comes before any request."""
    answer = refusal(status, expected, received, action)
    head = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode(), b"connection: close", *SAFE_LINES]
    head += [b": ".join(header) for header in answer.raw_headers]
    return b"\r\n".join([*head, b"", bytes(answer.body)])


async def full_disk(_: Request, error: Exception) -> JSONResponse:
    """Answer when the server's own files cannot be written."""
    log.error("own file not written kind=%s at=%s: %s", type(error).__name__, place(error), error)
    return refusal(503, "room on the server's disk", "none", "Try again; the operators have to make room.")


async def invalid(request: Request, error: Exception) -> JSONResponse:
    """Answer a request that does not fit its schema; values are described, not repeated."""
    kind = request.headers.get("content-type", "")
    if isinstance(error, RequestValidationError) and isinstance(error.body, bytes) and not JSON_KIND.match(kind):
        action = "Send the header Content-Type: application/json."
        return refusal(422, "a body that is declared as JSON", "another content type, or none", action)
    return _misfit(error.errors() if isinstance(error, RequestValidationError) else [])


async def unfit(_: Request, error: Exception) -> JSONResponse:
    """Answer a request that fits its schema and yet not the version that is served."""
    return _misfit([{"loc": error.place, "msg": error.expected}] if isinstance(error, Unfit) else [])


async def unreadable(_: Request, error: Exception) -> JSONResponse:
    """Answer a body that was refused while it was read."""
    return _misfit(getattr(error, "faults", []))


def _misfit(faults: Sequence[Any]) -> JSONResponse:
    fields = [_fault(fault) for fault in faults[:FAULTS_SHOWN]]
    return refusal(
        422,
        "a request that fits the schema in /openapi.json",
        f"{len(faults)} fault(s): {', '.join(field['field'] for field in fields)}",
        "Correct the fields named.",
        fields,
    )


async def http_error(_: Request, error: Exception) -> JSONResponse:
    """Answer a wrong path or method."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    if status == 401:
        action = "Sign it again: exp and iat are numbers, sub and jti are text."
        return refusal(401, "a customer's token with claims of the right types", "one with others", action)
    if status == 404:
        return refusal(404, "a use case and a verb in /openapi.json", "another path", "Correct the path.")
    if status == 405:
        return refusal(405, "the method in /openapi.json", "another method", "Correct the method.")
    if status == 413:
        return refusal(413, "a body within the limit", "a larger one", "Send less history, or fewer items.")
    return refusal(status, "a readable request", f"HTTP {status}", "Correct the request.")


async def ours(_: Request, error: Exception) -> JSONResponse:
    """Answer one of Tradewind's own errors."""
    if not isinstance(error, TradewindError):
        raise error
    return refusal(STATUS.get(type(error), 500), error.expected, error.received, error.action)


def _fault(fault: dict[str, Any]) -> dict[str, str]:
    place = ".".join(str(part) for part in fault["loc"] if part != "body") or "body"
    shown = place.encode("utf-8", "backslashreplace").decode()[:PLACE_CHARACTERS]
    expected = str(fault["msg"]).removeprefix("Value error, ")
    return {"field": shown, "expected": expected, "received": describe(fault.get("input", ...))}


def describe(value: object) -> str:
    """Return what kind of value came in, without the value."""
    if value is None:
        return "nothing"
    if isinstance(value, str):
        return f"a text of {len(value)} characters"
    if isinstance(value, bool):
        return "a truth value"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return "an object" if isinstance(value, dict) else "another"
