"""Runs the model server: one process, on one address, and beside it a listener of its own for health and metrics."""

from __future__ import annotations

import resource
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from ml.config import Settings
from ml.contract import UseCase
from ml.errors import ServiceUnavailable
from ml.serving.page import Page

if TYPE_CHECKING:
    import uvicorn
    from fastapi import FastAPI

    from ml.serving.connection import Crowd, Deadlines

DRAIN_S = 20  # how long requests under way may take to end when the server is told to stop
FILES_BESIDE = 256  # files and connections to the store that are open beside clients' connections
HEALTH_CONNECTIONS = 100
HEALTH_DEADLINE_S = 5.0
START_S = 20.0  # of the listener for health
SWITCH_S = (
    0.001  # a thread that answers waits so long for one that computes; Python's own 5 ms add up with many of them
)


def serve(
    settings: Settings,
    use_cases: Mapping[str, UseCase],
    host: str,
    ports: tuple[int, int | None],
    pages: Sequence[Page] = (),
) -> None:
    """Serve until SIGTERM or SIGINT; requests under way end, the request log is carried away.

    Args:
        settings: Role `serve`, with the server's token, the pseudonym key and the public signing key.
        use_cases: The records to serve, by name.
        host: Address to listen on.
        ports: Port to listen on; a second one for health and metrics alone, or none.
        pages: What people see in a browser.

    Raises:
        ServiceUnavailable: The second port is taken.
    """
    from ml.serving.app import create_apps
    from ml.serving.connection import Crowd, Deadlines

    sys.setswitchinterval(SWITCH_S)
    apps = create_apps(settings, use_cases, pages=pages)
    crowd = Crowd(_connections(settings.server_connections), _deadlines(settings), apps.meters.connection_closed)
    if ports[1] is None:
        http_server(apps.main, host, ports[0], crowd).run()
        return
    short = Deadlines(**dict.fromkeys(("head", "body", "idle", "send"), HEALTH_DEADLINE_S))
    beside = http_server(apps.health, host, ports[1], Crowd(HEALTH_CONNECTIONS, short), lifespan="off")
    with _running(beside) as thread:
        apps.watch("health listener", thread)
        http_server(apps.main, host, ports[0], crowd).run()


def http_server(app: FastAPI, host: str, port: int, crowd: Crowd, lifespan: Any = "on") -> uvicorn.Server:
    """Return a server whose connections keep to their deadlines."""
    import uvicorn

    from ml.serving.connection import Connection

    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=cast(Any, partial(Connection, crowd=crowd)),
        ws="none",
        lifespan=lifespan,
        access_log=False,
        log_config=None,
        timeout_keep_alive=int(crowd.deadlines.idle) + 60,  # ours comes first and ends what does not read, too
        timeout_graceful_shutdown=DRAIN_S,
        server_header=False,
    )
    return uvicorn.Server(config)


def _deadlines(settings: Settings) -> Deadlines:
    from ml.serving.connection import Deadlines

    return Deadlines(
        head=settings.server_head_s,
        body=settings.server_body_s,
        idle=settings.server_idle_s,
        send=settings.server_send_s,
    )


def _connections(wanted: int) -> int:
    """Return how many connections this process may hold open; ask for more files where the system allows it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + FILES_BESIDE
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return wanted
    allowed = needed if hard == resource.RLIM_INFINITY else min(hard, needed)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, allowed), hard))
    return max(1, max(soft, allowed) - FILES_BESIDE)


@contextmanager
def _running(server: uvicorn.Server) -> Iterator[threading.Thread]:
    """Run a server in a thread and a loop of its own."""
    thread = threading.Thread(target=server.run, name="health-listener", daemon=True)
    thread.start()
    deadline = time.monotonic() + START_S
    while not server.started and thread.is_alive() and time.monotonic() < deadline:
        time.sleep(0.01)
    if not server.started:
        place = f"{server.config.host}:{server.config.port}"
        raise ServiceUnavailable(f"{place} to be free for health and metrics", "a port in use", "Choose another one.")
    try:
        yield thread
    finally:
        server.should_exit = True
        thread.join()
