"""The model server: one application over the records of the use cases."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from anyio.to_thread import current_default_thread_limiter
from fastapi import APIRouter, FastAPI, Security
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException

from ml.config import Settings, require_secret
from ml.contract import Unfit, UseCase
from ml.errors import TradewindError
from ml.privacy.share import Shares
from ml.registry.erasure_mark import Marks
from ml.serving.answer import Answerer, Kept
from ml.serving.body import BodyInvalid
from ml.serving.conversation import Conversations
from ml.serving.customer import Customers
from ml.serving.door import Door
from ml.serving.follower import Follower
from ml.serving.forget import forget_on_server
from ml.serving.guard import Doors, Guard, Room
from ml.serving.health import health_routes
from ml.serving.lane import Lanes
from ml.serving.language_model import open_chat
from ml.serving.meters import Meters
from ml.serving.openapi import describe_limits
from ml.serving.own import OwnValues
from ml.serving.page import Page, Sessions, Site
from ml.serving.problem import REFUSALS, full_disk, http_error, invalid, ours, unfit, unreadable
from ml.serving.request_id import RequestIds
from ml.serving.request_log import RequestLog
from ml.serving.route import routes
from ml.serving.session import SessionStore
from ml.serving.state import StateStore
from ml.serving.steady import Pulse
from ml.serving.stock import stock_routes
from ml.serving.versions import RegistryVersions, Versions
from ml.store import Bucket

ATTEMPTS = 2  # per call to the store: whoever failed looks again within seconds, and a stop must not wait for long


HANDLERS: tuple[tuple[type[Exception], Any], ...] = (
    (RequestValidationError, invalid),
    (BodyInvalid, unreadable),
    (Unfit, unfit),
    (HTTPException, http_error),
    (TradewindError, ours),
    (sqlite3.OperationalError, full_disk),
)


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What the application runs on."""

    use_cases: Mapping[str, UseCase]
    meters: Meters
    ids: RequestIds
    kept: Kept
    follower: Follower
    lanes: Lanes
    sessions: SessionStore
    pulses: dict[str, Callable[[], Pulse]]
    """How each thread is that must live."""


@dataclass(frozen=True, kw_only=True)
class Apps:
    """The application of the server, and the small one that tells of its health on a listener of its own."""

    main: FastAPI
    health: FastAPI
    meters: Meters
    pulses: dict[str, Callable[[], Pulse]]

    def watch(self, name: str, thread: threading.Thread) -> None:
        """Let health fail when a thread has ended."""
        self.pulses[name] = lambda: Pulse(alive=thread.is_alive(), failures=0, problem=None)


def create_app(
    settings: Settings, use_cases: Mapping[str, UseCase], versions: Versions | None = None, pages: Sequence[Page] = ()
) -> FastAPI:
    """Return the application alone; arguments and errors as of `create_apps`."""
    return create_apps(settings, use_cases, versions, pages).main


def create_apps(
    settings: Settings, use_cases: Mapping[str, UseCase], versions: Versions | None = None, pages: Sequence[Page] = ()
) -> Apps:
    """Return the applications; the main one follows the production channels while it runs.

    Args:
        settings: Role `serve`, with the server's token, the pseudonym key and the public signing key.
        use_cases: The records to serve, by name.
        versions: Where versions come from; by default the registry.
        pages: What people see in a browser.

    Raises:
        ConfigInvalid: A secret is missing.
    """
    token = require_secret(settings.server_token, "server_token")
    settings = settings.model_copy(update={"s3_attempts": ATTEMPTS})
    parts = _assemble(settings, use_cases, versions or RegistryVersions(settings))
    app = FastAPI(title="Tradewind model server", docs_url=None, redoc_url=None, lifespan=_lifespan(parts))
    doors = Doors(token=token, sessions=Sessions(token, parts.sessions), pages=pages)
    room = Room(use_cases=frozenset(use_cases), lanes=parts.lanes, body_s=settings.server_body_s)
    _guarded(app, parts, doors, room)
    site = _site(settings, parts, doors)
    shown = [Security(HTTPBearer(auto_error=False))]  # for OpenAPI: the guard has looked before
    for name, answerer in site.answerers.items():
        app.include_router(routes(use_cases[name], answerer, site.customers), dependencies=shown, responses=REFUSALS)
    app.include_router(stock_routes(parts.follower.stock), dependencies=shown, responses=REFUSALS)
    app.include_router(_health(parts))
    for page in pages:
        app.include_router(page.routes(site), prefix=page.path, include_in_schema=False)
    describe_limits(app, site.answerers)
    return Apps(main=app, health=_health_app(parts, doors, room), meters=parts.meters, pulses=parts.pulses)


def _guarded(app: FastAPI, parts: Parts, doors: Doors, room: Room) -> None:
    app.add_middleware(Guard, doors=doors, meters=parts.meters, room=room, ids=parts.ids)
    for kind, handler in HANDLERS:
        app.add_exception_handler(kind, handler)


def _health(parts: Parts) -> APIRouter:
    return health_routes(list(parts.use_cases), parts.follower, parts.kept, parts.meters, parts.pulses)


def _health_app(parts: Parts, doors: Doors, room: Room) -> FastAPI:
    app = FastAPI(title="Tradewind model server: health", docs_url=None, redoc_url=None, openapi_url=None)
    _guarded(app, parts, replace(doors, pages=()), room)
    app.include_router(_health(parts))
    return app


def _site(settings: Settings, parts: Parts, doors: Doors) -> Site:
    answerers = {
        name: Answerer(use_case, Door(settings, use_case), parts.follower, parts.kept)
        for name, use_case in parts.use_cases.items()
    }
    parts.kept.store.renew({name: answerer.renewed for name, answerer in answerers.items()})
    customers = Customers(settings.customer_verify_key, parts.sessions.has_ended)
    return Site(answerers=answerers, customers=customers, sessions=doors.sessions, pages=doors.pages)


def _assemble(settings: Settings, use_cases: Mapping[str, UseCase], versions: Versions) -> Parts:
    folder = settings.home / "server"
    meters, ids, marks = Meters(), RequestIds(), Marks(settings)
    kept = Kept(
        store=StateStore(folder / "state.sqlite"),
        log=RequestLog(folder / "spool", Bucket.open(settings, "requests"), replica=ids.replica, erased=marks),
        conversations=Conversations(folder / "conversations.sqlite"),
        chat=open_chat(settings),
        own=OwnValues(Shares.open(settings)) if settings.pseudonym_key else None,
    )

    def forget(use_case: str) -> None:
        forget_on_server(use_case, marks(use_case), kept.store, kept.conversations)

    follower = Follower(settings, use_cases, versions, kept.store, meters, forget)
    return Parts(
        use_cases=use_cases,
        meters=meters,
        ids=ids,
        kept=kept,
        follower=follower,
        sessions=SessionStore(
            folder / "sessions.sqlite",
            require_secret(settings.server_token, "server_token").encode(),
            settings.session_idle_s,
        ),
        lanes=Lanes(use_cases, settings.server_threads, settings.server_waiting, settings.server_patience_s),
        pulses={
            "follower": follower.pulse,
            "request log": kept.log.pulse,
            "conversations": kept.conversations.pulse,
        },
    )


def _lifespan(parts: Parts) -> Callable[[FastAPI], Any]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        current_default_thread_limiter().total_tokens = (
            parts.lanes.threads
        )  # a lane's requests never wait for another's
        parts.kept.log.start()
        parts.kept.conversations.start()
        parts.follower.start()
        yield
        parts.follower.stop()
        parts.kept.log.stop()
        parts.kept.conversations.close()
        parts.kept.store.close()
        parts.sessions.close()

    return lifespan
