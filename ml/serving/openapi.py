"""Completes the OpenAPI document with what the versions that are served now ask of requests."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from fastapi import FastAPI

from ml.contract import Limits
from ml.errors import ModelNotFound
from ml.serving.answer import Answerer


def describe_limits(app: FastAPI, answerers: Mapping[str, Answerer]) -> None:
    """Let the application's OpenAPI document show the limits of the served versions.

    Args:
        app: Its document is worked out anew each time it is asked for: another version may be served by then.
        answerers: By use case.
    """
    plain = app.openapi

    def document() -> dict[str, Any]:
        found: dict[str, Any] = deepcopy(plain())
        for answerer in answerers.values():
            for place, keywords in _limits(answerer).items():
                model, _, name = place.partition(".")
                found["components"]["schemas"][model]["properties"][name].update(keywords)
        return found

    app.openapi = document  # type: ignore[method-assign]  # FastAPI's own way to extend the document


def _limits(answerer: Answerer) -> Limits:
    try:
        return answerer.limits()
    except ModelNotFound:
        return {}
