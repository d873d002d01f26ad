"""Runs the model server: one process, on one address, until it is told to stop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ml.config import Settings
from ml.contract import UseCase
from ml.serving.page import Page

CONCURRENCY = 200  # requests under way; more are told 503 at once instead of waiting
KEEP_ALIVE_S = 30
DRAIN_S = 20  # how long requests under way may take to end when the server is told to stop


def serve(
    settings: Settings, use_cases: Mapping[str, UseCase], host: str, port: int, pages: Sequence[Page] = ()
) -> None:
    """Serve until SIGTERM or SIGINT; requests under way end, the request log is carried away.

    Args:
        settings: Role `serve`, with the server's token, the pseudonym key and the public signing key.
        use_cases: The records to serve, by name.
        host: Address to listen on.
        port: Port to listen on.
        pages: What people see in a browser.
    """
    import uvicorn

    from ml.serving.app import create_app

    uvicorn.run(
        create_app(settings, use_cases, pages=pages),
        host=host,
        port=port,
        access_log=False,
        log_config=None,
        limit_concurrency=CONCURRENCY,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=DRAIN_S,
        server_header=False,
    )
