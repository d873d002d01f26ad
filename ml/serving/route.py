"""The routes of one use case, typed by its own request and response, so that OpenAPI shows them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, create_model
from starlette.exceptions import HTTPException

from ml.contract import UseCase
from ml.field import Identifier, Sent
from ml.serving.answer import Answerer
from ml.serving.body import JsonRoute
from ml.serving.customer import CUSTOMER_HEADER, PROOF_HEADER, Customers
from ml.serving.event_kind import one_of

UNIT_HEADER = "Tradewind-Unit"
VERSION_HEADER = "Tradewind-Version"
PSEUDONYM = r"^[0-9a-f]{32}$"

Unit = Annotated[
    str | None,
    Header(
        alias=UNIT_HEADER,
        pattern=PSEUDONYM,
        description="The customer's pseudonym, where the client holds no other name.",
    ),
]

CustomerToken = Annotated[
    str | None,
    Header(
        alias=CUSTOMER_HEADER, description="The customer's own token; without one only public questions are answered."
    ),
]


@dataclass(frozen=True, kw_only=True)
class Asker:
    """Who asks, as far as a request shows."""

    unit: str | None
    headers: dict[str, str] = field(default_factory=dict)
    """What the answer says about that."""


class ReasonAnswer(BaseModel):
    """One part of a score, in words and as a number."""

    text: str
    contribution: float
    kind: str = ""


class ExplanationAnswer(BaseModel):
    """Why a score is what it is: base + contributions + residual = score."""

    subject: str
    score: float
    base: float
    reasons: list[ReasonAnswer]
    residual: float


class ExplanationsAnswer(BaseModel):
    """One explanation for each item of the answer."""

    model_config = ConfigDict(from_attributes=True)

    version: str
    explanations: list[ExplanationAnswer]


class EventAnswer(BaseModel):
    """Whether an event changed what is known of the customer."""

    counted: bool
    """False if its id was seen before, or if the histories in use already cover its time."""


def routes(use_case: UseCase, answerer: Answerer, customers: Customers) -> APIRouter:
    """Return predict, explain, events and version of one use case."""
    router = APIRouter(prefix=f"/v1/{use_case.name}", tags=[use_case.name], route_class=JsonRoute)
    asker = Depends(_proved(answerer, customers) if use_case.service.is_proved else _named)
    _add_predict(router, use_case, answerer, asker)
    _add_explain(router, use_case, answerer, asker)
    if use_case.service.identity is not None and use_case.service.events:
        _add_events(router, use_case, answerer)

    @router.get("/version", summary="What is live, since when, by whom and why")
    def version() -> dict[str, Any]:
        return answerer.version()

    return router


def _named(unit: Unit = None) -> Asker:
    return Asker(unit=unit)


def _proved(answerer: Answerer, customers: Customers) -> Callable[..., Asker]:
    def proved(token: CustomerToken = None) -> Asker:
        proof = customers.proof(token)
        if proof.is_unfit:
            raise HTTPException(401)
        unit = answerer.unit(proof.customer) if proof.customer else None
        return Asker(unit=unit, headers={PROOF_HEADER: proof.outcome})

    return proved


def _add_predict(router: APIRouter, use_case: UseCase, answerer: Answerer, asker: Any) -> None:
    def predict(request: Request, body: BaseModel, asked: Asker = asker) -> Response:
        answered = answerer.predict(body, asked.unit, request.state.request_id)
        return _reply(answered.body, answered.version, asked)

    predict.__annotations__["body"] = use_case.service.request
    router.post("/predict", response_model=use_case.service.response, summary=use_case.title)(predict)


def _add_explain(router: APIRouter, use_case: UseCase, answerer: Answerer, asker: Any) -> None:
    def explain(body: BaseModel, asked: Asker = asker) -> Response:
        found, version = answerer.explain(body, asked.unit)
        explanations = [ExplanationAnswer.model_validate(item, from_attributes=True) for item in found]
        return _reply(ExplanationsAnswer(version=version, explanations=explanations), version, asked)

    explain.__annotations__["body"] = use_case.service.request
    router.post("/explain", response_model=ExplanationsAnswer, summary="Why the answer is what it is")(explain)


def _add_events(router: APIRouter, use_case: UseCase, answerer: Answerer) -> None:
    identity = str(use_case.service.identity)
    fields: dict[str, Any] = {
        identity: (Identifier, ...),
        "event": (
            one_of(use_case.service.events),
            Field(description="What happened, with the fields of its kind alone."),
        ),
        "event_id": (Identifier | None, Field(None, description="An event that is sent again counts once.")),
    }
    model = create_model(f"{use_case.name.title()}Event", __base__=Sent, **fields)

    def events(body: Any) -> EventAnswer:
        try:
            return EventAnswer(counted=answerer.observe(getattr(body, identity), body.event, body.event_id))
        except ValueError as error:
            fault = {"loc": ("body", "event"), "msg": str(error), "input": {}, "type": "event"}
            raise RequestValidationError([fault]) from error

    events.__annotations__["body"] = model
    router.post("/events", response_model=EventAnswer, summary="A purchase or another outcome")(events)


def _reply(body: BaseModel, version: str, asked: Asker) -> Response:
    headers = {VERSION_HEADER: version, **asked.headers}
    return Response(body.model_dump_json(), media_type="application/json", headers=headers)
