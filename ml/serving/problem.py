"""How the server says no: one JSON shape, the field at fault, never a value that came in and never a stack trace."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from ml.errors import ModelNotFound, StorageUnavailable, TradewindError

STATUS: dict[type[TradewindError], int] = {ModelNotFound: 503, StorageUnavailable: 503}
FAULTS_SHOWN = 10


def refusal(
    status: int, expected: str, received: str, action: str, fields: Sequence[dict[str, str]] = ()
) -> JSONResponse:
    """Return an answer that says what was expected, what came and what to do next."""
    body = {"expected": expected, "received": received, "action": action}
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
    return JSONResponse(
        {"error": {**body, "fields": list(fields)} if fields else {**body}}, status_code=status, headers=headers
    )


async def invalid(_: Request, error: Exception) -> JSONResponse:
    """Answer a request that does not fit its schema; values are described, not repeated."""
    faults = error.errors() if isinstance(error, RequestValidationError) else []
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
    return {"field": place, "expected": str(fault["msg"]), "received": describe(fault.get("input"))}


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
    return "an object"
