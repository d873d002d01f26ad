"""What tells whether the server is well: `/health` and `/metrics`, on every listener, outside all limits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from ml.serving.answer import Kept
from ml.serving.follower import Follower
from ml.serving.meters import Meters
from ml.serving.problem import refusal
from ml.serving.steady import Pulse

Pulses = Mapping[str, Callable[[], Pulse]]
"""Name of a thread that must live -> how it is."""


def health_routes(use_cases: list[str], follower: Follower, kept: Kept, meters: Meters, pulses: Pulses) -> APIRouter:
    """Return both routes. They wait for no thread: the pool's may all be at work.

    Args:
        use_cases: Names of what is served.
        follower: Knows which are ready.
        kept: Whose log is counted.
        meters: What is measured.
        pulses: A dead one makes `/health` fail.
    """
    router = APIRouter()

    @router.get("/health", summary="Is the server alive, and which use cases are ready", response_model=None)
    async def health(ready: str | None = None) -> JSONResponse:
        """With `?ready=<use case>` (or `all`) the status is 503 until it is ready, and 404 where nobody serves one of that name."""
        if ready not in (None, "all", *use_cases):
            known = f"one of the use cases {', '.join(use_cases)}, or all, as ready"
            return refusal(404, known, "another name", "Correct the name.")
        status = {name: _readiness(follower, name) for name in use_cases}
        threads = {name: pulse() for name, pulse in dict(pulses).items()}
        alive = all(pulse.alive for pulse in threads.values())
        asked = status if ready == "all" else {name: status[name] for name in status if name == ready}
        waiting = ready is not None and not (asked and all(item["ready"] for item in asked.values()))
        body = {
            "alive": alive,
            "use_cases": status,
            "threads": {name: asdict(pulse) for name, pulse in threads.items()},
            "request_log_dropped": kept.log.count.dropped,
        }
        return JSONResponse(body, status_code=503 if waiting or not alive else 200)

    @router.get("/metrics", summary="Prometheus metrics")
    async def metrics() -> Response:
        count = kept.log.count
        meters.request_log(count.written, count.dropped, count.refused, count.waiting_bytes)
        return Response(meters.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return router


def _readiness(follower: Follower, use_case: str) -> dict[str, Any]:
    """Return whether a use case answers, from where its version came, and what kind of thing is wrong."""
    served = follower.served(use_case)
    problems = {part: problem.kind for part, problem in follower.problems(use_case).items()}
    return {"ready": served is not None, "origin": served.origin if served else None, "problems": problems}
