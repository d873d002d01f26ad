"""The pages with forms: a data owner decides about data, an operator moves versions; Airflow carries it out under their names.

The desk holds no key: a form starts a run of `decide_<use case>` or `release_<use case>`, or answers the step that waits,
through Airflow's API with the person's own login. Those runs check again who asks, and what about.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, Depends, Form, Request
from pydantic import BaseModel, StringConstraints
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import Response

from ml.config import Settings
from ml.desk.access import may_read, may_start
from ml.desk.decide_view import DecidePage, decide_page
from ml.desk.form import issue, redeem
from ml.desk.move_view import CHANNEL, move_page
from ml.desk.orchestrator import answer, start
from ml.desk.page import Show, led
from ml.desk.run_list import run_state
from ml.pipeline.decision import ANSWERS, LONGEST_DAYS, REASON_LENGTH, Kind

WAIVER_DAYS = 7  # what the form suggests

UseCaseName = Annotated[str, Depends(may_read)]
Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=REASON_LENGTH, max_length=500)]


class DecisionForm(BaseModel):
    """What the form of a data owner sends."""

    token: str
    kind: Kind
    reason: Reason
    rule: str | None = None
    until: date | None = None
    rows: Annotated[str, StringConstraints(strip_whitespace=True, max_length=500)] = ""


class MoveForm(BaseModel):
    """What the form of an operator sends."""

    token: str
    digest: str
    reason: Reason


def acts(settings: Settings, show: Show) -> APIRouter:
    """Return the routes of the pages with forms."""
    router = APIRouter()
    _decide(router, settings, show)
    _move(router, settings, show)

    @router.get("/asked/{verb}/{use_case}/{run_id}")
    def asked(request: Request, verb: Literal["decide", "release"], use_case: UseCaseName, run_id: str) -> Response:
        state = run_state(f"{verb}_{use_case}", run_id)
        return show(request, "asked.html.j2", name=use_case, verb=verb, run_id=run_id, state=state)

    return router


def _decide(router: APIRouter, settings: Settings, show: Show) -> None:
    @router.get("/decide/{use_case}/{run}")
    def form(request: Request, use_case: UseCaseName, run: str, user: GetUserDep) -> Response:
        page, today = decide_page(settings, use_case, run), datetime.now(UTC).date()
        may = may_start("decide", use_case, settings.data_owner_names(), request, user)
        days = {"default": today + timedelta(days=WAIVER_DAYS), "last": today + timedelta(days=LONGEST_DAYS)}
        token = issue(user.get_name(), page.matter) if may else None
        return show(request, "decide.html.j2", has_form=may, name=use_case, page=page, token=token, today=today, **days)

    @router.post("/decide/{use_case}/{run}")
    async def sent(
        request: Request,
        use_case: UseCaseName,
        run: str,
        user: GetUserDep,
        said: Annotated[DecisionForm, Form()],
    ) -> Response:
        _ensure(may_start("decide", use_case, settings.data_owner_names(), request, user), "decide about data")
        page = await run_in_threadpool(decide_page, settings, use_case, run)
        slip = redeem(request, said.token, user.get_name(), page.matter)
        given = said.model_dump(mode="json", include={"rule", "until", "rows", "reason"})
        if page.step and _answers(page, said):
            await answer(request, page.step.place, ANSWERS[said.kind], given)
            return led(request, f"/decide/{use_case}/{run}", 303)
        made = {"kind": said.kind, "run": run, "verdict": page.judged.digest, **given}
        return await _started(request, "decide", use_case, slip.number, made)


def _answers(page: DecidePage, said: DecisionForm) -> bool:
    """Tell whether a decision answers the step that waits: a word on all data, or on the one rule that it waits for."""
    return said.kind in ("accept", "reject") or (said.kind in ANSWERS and page.asked == {said.rule})


def _move(router: APIRouter, settings: Settings, show: Show) -> None:
    @router.get("/move/{use_case}")
    def form(request: Request, use_case: UseCaseName, user: GetUserDep) -> Response:
        page = move_page(settings, use_case)
        may = may_start("release", use_case, settings.operator_names(), request, user)
        token = issue(user.get_name(), page.matter) if may else None
        return show(request, "move.html.j2", has_form=may, name=use_case, page=page, token=token)

    @router.post("/move/{use_case}")
    async def sent(
        request: Request,
        use_case: UseCaseName,
        user: GetUserDep,
        said: Annotated[MoveForm, Form()],
    ) -> Response:
        _ensure(may_start("release", use_case, settings.operator_names(), request, user), "move versions")
        page = await run_in_threadpool(move_page, settings, use_case)
        slip = redeem(request, said.token, user.get_name(), page.matter)
        chosen = [one for one in page.choices if one.entry.to_digest == said.digest]
        if not chosen:
            raise HTTPException(404, "The ledger knows no such version.")
        made = {"action": chosen[0].action, "digest": said.digest, "channel": CHANNEL, "reason": said.reason}
        return await _started(request, "release", use_case, slip.number, made)


def _ensure(may: bool, what: str) -> None:
    if not may:
        raise HTTPException(403, f"Your login may not {what}. Ask an Airflow administrator.")


async def _started(request: Request, verb: str, use_case: str, number: str, conf: dict[str, Any]) -> Response:
    run_id = f"{verb}__{number}"
    await start(request, f"{verb}_{use_case}", run_id, conf)
    return led(request, f"/asked/{verb}/{use_case}/{run_id}", 303)
