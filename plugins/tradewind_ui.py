"""Shows Tradewind's pages inside the Airflow UI: a navigation item, a tab on each DAG, run and task."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from airflow.plugins_manager import AirflowPlugin

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

PREFIX = "/tradewind"


class Pages:
    """The pages' application, made when the first request comes: this file is imported in every Airflow process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._app: Any = None

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[Any]],
        send: Callable[[Any], Awaitable[None]],
    ) -> None:
        """Answer a request; a form's answer goes on to Airflow itself, so its application comes along."""
        await self._ready()({**scope, "tradewind.airflow": scope.get("app")}, receive, send)

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
