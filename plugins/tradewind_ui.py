"""Shows Tradewind's pages inside the Airflow UI: a navigation item, a tab on each DAG, run and task."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from airflow.plugins_manager import AirflowPlugin

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

PREFIX = "/tradewind"
OWN_FRAMES = b"frame-ancestors 'self'"
CSP, FRAMES = b"content-security-policy", b"x-frame-options"

if TYPE_CHECKING:
    Scope = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Any]]
    Send = Callable[[Any], Awaitable[None]]


class OwnFrames:
    """Lets no other site show Airflow's pages, or ours among them, in a frame, where a click would act for who is logged in."""

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Add the headers to an answer that does not have them."""

        async def framed(message: Any) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", ()))
                policies = b" ".join(value for name, value in headers if name.lower() == CSP)
                headers += (
                    [] if b"frame-ancestors" in policies else [(CSP, OWN_FRAMES)]
                )  # several policies hold together
                headers += [] if any(name.lower() == FRAMES for name, _ in headers) else [(FRAMES, b"SAMEORIGIN")]
                message = {**message, "headers": headers}
            await send(message)

        await self._app(scope, receive, framed)


class Pages:
    """The pages' application, made when the first request comes: this file is imported in every Airflow process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._app: Any = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; a form's answer goes on to Airflow itself, so its application comes along."""
        is_head = scope.get("method") == "HEAD"

        async def sent(message: Any) -> None:
            await send({**message, "body": b""} if is_head and message["type"] == "http.response.body" else message)

        about = {"tradewind.airflow": scope.get("app"), **({"method": "GET"} if is_head else {})}
        await self._ready()({**scope, **about}, receive, sent)

    def _ready(self) -> Any:
        with self._lock:
            if self._app is None:
                from ml.config import load_settings
                from ml.desk.app import create_app

                self._app = create_app(load_settings())
            return self._app


class TradewindPages(AirflowPlugin):
    """Registers the pages with Airflow."""

    name = "tradewind_ui"
    fastapi_apps = [{"app": Pages(), "url_prefix": PREFIX, "name": "Tradewind"}]  # noqa: RUF012 - Airflow's own form
    fastapi_root_middlewares = [{"middleware": OwnFrames, "name": "own frames"}]  # noqa: RUF012 - Airflow's own form
    external_views = [  # noqa: RUF012 - Airflow's own form
        {
            "name": "Tradewind",
            "href": f"{PREFIX}/",
            "destination": "nav",
            "url_route": "tradewind",
            "icon": f"{PREFIX}/icon.svg",
            "icon_dark_mode": f"{PREFIX}/icon-dark.svg",
        },
        {
            "name": "Tradewind",
            "href": f"{PREFIX}/dag/{{DAG_ID}}",
            "destination": "dag",
            "url_route": "tradewind-dag",
        },
        {
            "name": "Tradewind",
            "href": f"{PREFIX}/dag/{{DAG_ID}}/run/{{RUN_ID}}",
            "destination": "dag_run",
            "url_route": "tradewind-run",
        },
        {
            "name": "Report",
            "href": f"{PREFIX}/dag/{{DAG_ID}}/run/{{RUN_ID}}/task/{{TASK_ID}}",
            "destination": "task_instance",
            "url_route": "tradewind-task",
        },
    ]
