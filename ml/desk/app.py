"""The pages data owners and operators use inside the Airflow UI; Airflow's login guards every one of them."""

from __future__ import annotations

from datetime import date
from functools import partial
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, FastAPI, Query, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from ml.config import Settings
from ml.desk import document
from ml.desk.access import RETRAIN, anonymous, get_user, may_read, readable
from ml.desk.act_routes import acts
from ml.desk.data_routes import data_reports
from ml.desk.document import KNOWN
from ml.desk.home_view import Home, read_all, see
from ml.desk.ledger_view import Filter, ledger_page
from ml.desk.listing_view import Order, listing_csv, listing_page
from ml.desk.live_view import made_by
from ml.desk.maintenance_routes import maintenance
from ml.desk.page import HEADERS, Show, led, sent, shower
from ml.desk.quarantine_view import quarantine_page
from ml.desk.run_list import last_runs
from ml.desk.timetable import next_runs
from ml.desk.version_routes import versions
from ml.desk.view import environment, page_of
from ml.desk.waiting import waiting
from ml.errors import ModelNotFound, TradewindError
from ml.pipeline import storage_id

RUNS_AT_HOME = 3
STROKES = {"icon.svg": "#1e293b", "icon-dark.svg": "#e2e8f0"}
ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none" stroke="{stroke}" stroke-width="2" '
    'stroke-linejoin="round"><path d="M12 3v14M12 4c5 2 7 6 7 11h-7M10 7c-3 2-5 5-5 8h5M3 18c2 3 16 3 18 0"/></svg>'
)

BOUNDS = {"s3_attempts": 2, "s3_timeout_s": 10.0}
"""A person waits for a page: the store is asked twice, and not for long."""

UseCaseName = Annotated[str, Depends(may_read)]


def create_app(settings: Settings) -> FastAPI:
    """Return the application, to be mounted by Airflow's api-server.

    Args:
        settings: Role `read`, with the public signing key.
    """
    app = FastAPI(title="Tradewind", dependencies=[Depends(get_user)], docs_url=None, redoc_url=None, openapi_url=None)
    settings, show = settings.model_copy(update=BOUNDS), shower(environment())
    app.add_exception_handler(HTTPException, partial(_refused, show))
    app.add_exception_handler(TradewindError, partial(_unavailable, show))
    for router in (
        maintenance(settings),  # its paths are special cases of later ones
        _index(settings, show),
        _runs(settings, show),
        versions(settings, show),
        _listings(settings, show),
        data_reports(settings, show),
        acts(settings, show),
        _pictures(),
    ):
        app.include_router(router)
    return app


def _index(settings: Settings, show: Show) -> APIRouter:
    router, home = APIRouter(), Home(partial(read_all, settings))

    @router.get("/")
    def index(request: Request, names: Annotated[tuple[str, ...], Depends(readable)]) -> Response:
        known, is_fresh = home.glance()
        seen = {name: known.seen[name] for name in names} if known else {}
        return show(
            request,
            "index.html.j2",
            names=names,
            seen=seen,
            read_at=known and known.at,
            is_fresh=is_fresh,
            waits=waiting(names),
            undecided=[(name, one.undecided) for name, one in seen.items() if one.undecided],
            runs={name: last_runs(name, RUNS_AT_HOME) for name in names},
            planned=next_runs(names),
        )

    @router.get("/use-case/{use_case}")
    def use_case(request: Request, use_case: UseCaseName) -> Response:
        about = {"runs": last_runs(use_case), "planned": next_runs([use_case])}
        return show(request, "use_case.html.j2", name=use_case, seen=see(settings, use_case), **about)

    @router.get("/ledger/{use_case}")
    def ledger(
        request: Request,
        use_case: UseCaseName,
        action: str = "",
        who: str = "",
        since: date | Literal[""] = "",
        page: Annotated[int, Query(ge=1)] = 1,
    ) -> Response:
        wanted = Filter(action=action, who=who, since=since or None)
        found = ledger_page(settings, use_case, wanted, page)
        return show(request, "ledger.html.j2", has_form=True, name=use_case, page=found)

    @router.get("/dag/{dag_id}")
    def dag(request: Request, dag_id: str) -> Response:
        return led(request, f"/use-case/{_use_case_of(dag_id)}")

    return router


def _runs(settings: Settings, show: Show) -> APIRouter:
    router = APIRouter()

    @router.get("/run/{use_case}/{run}")
    def run(request: Request, use_case: UseCaseName, run: str) -> Response:
        found = document.files(settings, use_case, run)
        known = {place: title for place, title in KNOWN.items() if place in found}
        return show(
            request,
            "run.html.j2",
            name=use_case,
            run=run,
            known=known,
            files=found,
            inputs=document.inputs(settings, use_case, run),
            versions=made_by(settings, use_case, run),
        )

    @router.get("/dag/{dag_id}/run/{run_id}")
    def dag_run(request: Request, dag_id: str, run_id: str) -> Response:
        return led(request, f"/run/{_use_case_of(dag_id)}/{storage_id(run_id)}")

    @router.get("/run/{use_case}/{run}/task/{task}")
    def task(request: Request, use_case: UseCaseName, run: str, task: str) -> Response:
        found = document.files(settings, use_case, run)
        reported = (place for place in KNOWN if place in found and place.startswith(f"{task}/"))
        pages = (page_of(use_case, run, place) for place in reported)
        return led(request, next(pages, f"/run/{use_case}/{run}"))

    @router.get("/dag/{dag_id}/run/{run_id}/task/{task_id}")
    def dag_task(request: Request, dag_id: str, run_id: str, task_id: str) -> Response:
        return led(request, f"/run/{_use_case_of(dag_id)}/{storage_id(run_id)}/task/{task_id}")

    @router.get("/gate/{use_case}/{run}")
    def gate(request: Request, use_case: UseCaseName, run: str) -> Response:
        judged = document.judgement(settings, use_case, run, "evaluate")
        return show(request, "gate.html.j2", name=use_case, judged=judged, run=run, digest=None)

    @router.get("/quarantine/{use_case}/{run}")
    def quarantine(
        request: Request, use_case: UseCaseName, run: str, rule: str = "", page: Annotated[int, Query(ge=1)] = 1
    ) -> Response:
        found = quarantine_page(settings, use_case, run, rule, page)
        return show(request, "quarantine.html.j2", name=use_case, run=run, page=found)

    @router.get("/report/{use_case}/{run}/{path:path}")
    def report(use_case: UseCaseName, run: str, path: str) -> Response:
        return sent(document.report(settings, use_case, run, path))

    return router


def _listings(settings: Settings, show: Show) -> APIRouter:
    router = APIRouter()

    @router.get("/listing/{use_case}")
    def listing(
        request: Request,
        use_case: UseCaseName,
        sort: str | None = None,
        order: Order = "desc",
        page: Annotated[int, Query(ge=1)] = 1,
    ) -> Response:
        found = listing_page(settings, use_case, sort, order, page)
        return show(request, "listing.html.j2", name=use_case, page=found)

    @router.get("/listing/{use_case}/csv")
    def csv(use_case: UseCaseName) -> Response:
        named = {**HEADERS, "Content-Disposition": f'attachment; filename="{use_case}.csv"'}
        return Response(listing_csv(settings, use_case), media_type="text/csv", headers=named)

    return router


def _pictures() -> APIRouter:
    router = APIRouter()

    @router.get("/icon.svg")
    @router.get("/icon-dark.svg")
    def icon(request: Request) -> Response:
        stroke = STROKES[request.url.path.rpartition("/")[2]]
        return Response(ICON.replace("{stroke}", stroke), media_type="image/svg+xml", headers=HEADERS)

    return router


def _use_case_of(dag_id: str) -> str:
    """Return the use case of one of Tradewind's DAGs; whether the user may see it is asked where this leads.

    The installation's own DAG has routes of its own.
    """
    verb, _, use_case = dag_id.partition("_")
    if f"{verb}_" not in (RETRAIN, "monitor_", "release_", "decide_") or not use_case:
        raise HTTPException(404, "this DAG is none of Tradewind's")
    return use_case


async def _refused(show: Show, request: Request, error: Exception) -> Response:
    """Lead a person without a login to it, and tell one whose form was refused the reason; programs get the status."""
    is_form = request.method == "POST" and "text/html" in request.headers.get("accept", "")
    if is_form and isinstance(error, HTTPException) and error.status_code != 401:
        return show(request, "problem.html.j2", status=error.status_code, sentence=error.detail)
    return await anonymous(request, error)


async def _unavailable(show: Show, request: Request, error: Exception) -> Response:
    """Say in a sentence why there is no page."""
    if not isinstance(error, TradewindError):
        raise error
    status = 404 if isinstance(error, ModelNotFound) else 503
    if "text/html" in request.headers.get("accept", ""):
        return show(request, "problem.html.j2", status=status, sentence=str(error))
    return Response(str(error), status_code=status, media_type="text/plain", headers=HEADERS)
