"""The assistant in a browser: one form, no script; what was said so far travels with the page and is kept nowhere."""

from __future__ import annotations

import json
import secrets
from typing import Annotated, Any, cast

from fastapi import APIRouter, Form, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from starlette.responses import Response

from ml.errors import TradewindError
from ml.pages.frame import show
from ml.pages.sign_in import proof_of
from ml.serving.page import Page, Site
from ml.use_cases.service.message import CONVERSATION, Option, ServiceRequest, ServiceResponse

USE_CASE = "service"
PATH = "/chat"
MOST_TURNS = 12  # newest turns that are shown
MOST_TOKENS = 60  # words of a message whose weight is shown
STRENGTHS = 4  # shades of a word's weight


class Word(BaseModel):
    """A word of a message and how strongly it speaks for the matter, from -4 to 4."""

    text: str
    strength: int


class Turn(BaseModel):
    """A message and its answer."""

    model_config = ConfigDict(extra="ignore")

    said: str = Field(max_length=2000)
    answer: ServiceResponse
    words: list[Word] = Field([], max_length=MOST_TOKENS)


class Sent(BaseModel):
    """What the form holds."""

    model_config = ConfigDict(extra="ignore")

    message: str = Field("", max_length=2000)
    option: int | None = Field(None, ge=0, le=20, description="number of the option that was taken")
    conversation_id: str | None = Field(None, pattern=CONVERSATION)
    message_id: str = Field(max_length=100)
    turns: str = Field("[]", max_length=200_000)


TURNS = TypeAdapter(list[Turn])


def _routes(site: Site) -> APIRouter:
    router = APIRouter()

    @router.get("")
    def begin(request: Request) -> Response:
        return _shown(request, site, [])

    @router.post("")
    def say(request: Request, sent: Annotated[Sent, Form()]) -> Response:
        turns = _turns(sent)
        try:
            asked = _request(sent, turns)
        except ValidationError as error:  # no page of ours sent this
            raise RequestValidationError(error.errors()) from error
        if asked is None:
            return _shown(request, site, turns)
        try:
            turn = answered(request, site, asked)
        except TradewindError as error:
            return _shown(request, site, turns, problem=error.action)
        return _shown(request, site, [*turns, turn])

    return router


def _request(sent: Sent, turns: list[Turn]) -> ServiceRequest | None:
    """Return what is asked: what was written, or the option of the last answer that was taken; none where neither is there."""
    options = turns[-1].answer.options if turns else []
    taken: Option | None = options[sent.option] if sent.option is not None and sent.option < len(options) else None
    message = taken.label if taken else sent.message.strip()
    if not message:
        return None
    return ServiceRequest(
        message=message,
        choice=taken.choice if taken else None,
        conversation_id=sent.conversation_id,
        message_id=sent.message_id,
    )


def answered(request: Request, site: Site, asked: ServiceRequest) -> Turn:
    """Return the assistant's answer to whoever the customer's token proves, with the weight of each word."""
    answerer, proof = site.answerers[USE_CASE], proof_of(request, site)
    unit = answerer.unit(proof.customer) if proof.customer else None
    (told, *_), _ = answerer.explain(asked, unit)
    answer = cast(ServiceResponse, answerer.predict(asked, unit, request.state.request_id).body)
    most = max((abs(reason.contribution) for reason in told.reasons), default=0.0) or 1.0
    weighed = [
        Word(text=reason.text, strength=round(STRENGTHS * reason.contribution / most))
        for reason in told.reasons[:MOST_TOKENS]
    ]
    return Turn(said=asked.message, answer=answer, words=weighed)


def _turns(sent: Sent) -> list[Turn]:
    """Return the turns that came with the page; none where they were tampered with."""
    try:
        return TURNS.validate_json(sent.turns)[-MOST_TURNS:]
    except ValidationError:
        return []


def _shown(request: Request, site: Site, turns: list[Turn], problem: str | None = None) -> Response:
    kept: list[Any] = TURNS.dump_python(turns[-MOST_TURNS:], mode="json")
    return show(
        request,
        site,
        "chat.html.j2",
        turns=turns,
        kept=json.dumps(kept, ensure_ascii=False),
        conversation_id=turns[-1].answer.conversation_id if turns else None,
        message_id=secrets.token_urlsafe(12),
        proof=proof_of(request, site).outcome,
        problem=problem,
    )


CHAT = Page(path=PATH, name="chat", routes=_routes)
