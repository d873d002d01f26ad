"""The model server: one application over the records of the use cases."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any

from fastapi import APIRouter, FastAPI, Response, Security
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException

from ml.config import Settings, require_secret
from ml.contract import Unfit, UseCase
from ml.errors import TradewindError
from ml.registry.erasure_mark import Marks
from ml.serving.answer import Answerer, Kept
from ml.serving.body import BodyInvalid
from ml.serving.conversation import Conversations
from ml.serving.customer import Customers
from ml.serving.door import Door
from ml.serving.follower import Follower
from ml.serving.forget import forget_on_server
from ml.serving.guard import Doors, Guard
from ml.serving.language_model import open_chat
from ml.serving.meters import Meters
from ml.serving.openapi import describe_limits
from ml.serving.page import Page, Sessions, Site
from ml.serving.problem import REFUSALS, http_error, invalid, ours, unfit, unreadable
from ml.serving.request_id import RequestIds
from ml.serving.request_log import RequestLog
from ml.serving.route import routes
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
)


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What the application runs on."""

    use_cases: Mapping[str, UseCase]
    meters: Meters
    ids: RequestIds
    kept: Kept
    follower: Follower

    def pulses(self) -> dict[str, Callable[[], Pulse]]:
        """Return what tells of each thread that must live."""
        kept = self.kept
        return {
            "follower": self.follower.pulse,
            "request log": kept.log.pulse,
            "conversations": kept.conversations.pulse,
        }


def create_app(
    settings: Settings, use_cases: Mapping[str, UseCase], versions: Versions | None = None, pages: Sequence[Page] = ()
) -> FastAPI:
    """Return the application; it follows the production channels while it runs.

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
    doors = Doors(token=token, sessions=Sessions(token), pages=pages)
    app.add_middleware(Guard, doors=doors, meters=parts.meters, use_cases=frozenset(use_cases), ids=parts.ids)
    for kind, handler in HANDLERS:
        app.add_exception_handler(kind, handler)
    site = _site(settings, parts, doors)
    shown = [Security(HTTPBearer(auto_error=False))]  # for OpenAPI: the guard has looked before
    for name, answerer in site.answerers.items():
        app.include_router(routes(use_cases[name], answerer, site.customers), dependencies=shown, responses=REFUSALS)
    app.include_router(stock_routes(parts.follower.stock), dependencies=shown, responses=REFUSALS)
    app.include_router(_common(parts))
    for page in pages:
        app.include_router(page.routes(site), prefix=page.path, include_in_schema=False)
    describe_limits(app, site.answerers)
    return app


def _site(settings: Settings, parts: Parts, doors: Doors) -> Site:
    answerers = {
        name: Answerer(use_case, Door(settings, use_case), parts.follower, parts.kept)
        for name, use_case in parts.use_cases.items()
    }
    customers = Customers(settings.customer_verify_key)
    return Site(answerers=answerers, customers=customers, sessions=doors.sessions, pages=doors.pages)


def _assemble(settings: Settings, use_cases: Mapping[str, UseCase], versions: Versions) -> Parts:
    folder = settings.home / "server"
    meters, ids, marks = Meters(), RequestIds(), Marks(settings)
    kept = Kept(
        store=StateStore(folder / "state.sqlite"),
        log=RequestLog(folder / "spool", Bucket.open(settings, "requests"), replica=ids.replica, erased=marks),
        conversations=Conversations(folder / "conversations.sqlite"),
        chat=open_chat(settings),
    )

    def forget(use_case: str) -> None:
        forget_on_server(use_case, marks(use_case), kept.store, kept.conversations)

    follower = Follower(settings, use_cases, versions, kept.store, meters, forget)
    return Parts(use_cases=use_cases, meters=meters, ids=ids, kept=kept, follower=follower)


def _lifespan(parts: Parts) -> Callable[[FastAPI], Any]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        parts.kept.log.start()
        parts.kept.conversations.start()
        parts.follower.start()
        yield
        parts.follower.stop()
        parts.kept.log.stop()
        parts.kept.conversations.close()
        parts.kept.store.close()

    return lifespan


def _common(parts: Parts) -> APIRouter:
    router = APIRouter()

    @router.get("/health", summary="Is the server alive, and which use cases are ready", response_model=None)
    def health(ready: str | None = None) -> JSONResponse:
        """With `?ready=<use case>` (or `all`) the status is 503 until it is ready."""
        status = {name: _readiness(parts, name) for name in parts.use_cases}
        pulses = {name: pulse() for name, pulse in parts.pulses().items()}
        alive = all(pulse.alive for pulse in pulses.values())
        asked = status if ready == "all" else {name: status[name] for name in status if name == ready}
        waiting = ready is not None and not (asked and all(item["ready"] for item in asked.values()))
        body = {
            "alive": alive,
            "use_cases": status,
            "threads": {name: asdict(pulse) for name, pulse in pulses.items()},
            "request_log_dropped": parts.kept.log.count.dropped,
        }
        return JSONResponse(body, status_code=503 if waiting or not alive else 200)

    @router.get("/metrics", summary="Prometheus metrics")
    def metrics() -> Response:
        count = parts.kept.log.count
        parts.meters.request_log(count.written, count.dropped, count.waiting_bytes)
        return Response(parts.meters.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return router


def _readiness(parts: Parts, use_case: str) -> dict[str, Any]:
    """Return whether a use case answers, from where its version came, and what kind of thing is wrong."""
    served = parts.follower.served(use_case)
    problems = {part: problem.kind for part, problem in parts.follower.problems(use_case).items()}
    return {"ready": served is not None, "origin": served.origin if served else None, "problems": problems}
