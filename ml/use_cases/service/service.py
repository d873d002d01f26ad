"""How the assistant is asked, answers and is explained; runs on numpy, BM25 and the exported model alone."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, cast

from pydantic import BaseModel

from ml.contract import Explanation, JsonObject, Memory, Predictor, Service
from ml.privacy.redact import redact
from ml.shop_time import local, zone_of
from ml.use_cases.service.book import book_of
from ml.use_cases.service.conversation import SECONDS, conversation_of, heard, keep
from ml.use_cases.service.corpus import OUT_OF_SCOPE
from ml.use_cases.service.dialogue import Reply, Said, respond
from ml.use_cases.service.encode import unnumbered
from ml.use_cases.service.facts import facts_of
from ml.use_cases.service.golden import golden
from ml.use_cases.service.intent_score import explained, ranked
from ml.use_cases.service.language import language_of
from ml.use_cases.service.message import Candidate, Handover, ServiceRequest, ServiceResponse, Source
from ml.use_cases.service.orders import FeedbackEvent, OrderEvent, observe
from ml.use_cases.service.phrase import rephrase
from ml.use_cases.service.wording import joined, say

if TYPE_CHECKING:
    import pandas as pd

DIGITS = 6
RECORDED = timedelta(days=31)
"""Age of a version's data from which they are a recording, not a shop's that runs on."""
CANDIDATES = 3


class Asked:
    """A request with everything it is answered from."""

    def __init__(self, predictor: Predictor, state: JsonObject, request: BaseModel, history: JsonObject | None) -> None:
        self.request = cast(ServiceRequest, request)
        self.book = book_of(state)
        self.before = conversation_of(history, self.request)
        self.language = self.request.language or self._language()
        self.facts = facts_of(history, proved=self.request.customer_id is not None, today=_today(self.request, state))
        self.seen = redact(unnumbered(self.request.message)).text.strip()  # the model learns from redacted text
        self.ranked = ranked(predictor, state, self.seen)

    def reply(self) -> Reply:
        """Return what is answered."""
        said = Said(
            text=self.request.message,
            choice=self.request.choice,
            language=self.language,
            ranked=self.ranked,
            own=tuple(order.number for order in self.facts.orders),
        )
        return respond(self.book, said, self.facts, self.before)

    def response(self, reply: Reply) -> ServiceResponse:
        """Return the answer as it is sent."""
        own = joined(self.language, list(reply.sentences))
        return ServiceResponse(
            conversation_id=self.request.conversation_id,
            kind=reply.kind,
            text="\n\n".join(filter(None, [own, *(quote.text for quote in reply.quotes)])),
            own=own,
            language=self.language,
            intent=reply.intent,
            confidence=self._confidence(reply),
            candidates=self._candidates(),
            options=list(reply.options),
            sources=[
                Source(page=quote.page, title=quote.title, heading=quote.heading, text=quote.text)
                for quote in reply.quotes
            ],
            slots=dict(reply.slots),
            awaits=reply.awaits,
            handover=self._handover(reply) if reply.person else None,
        )

    def _language(self) -> str:
        """Return the message's language; where it has no words of the customer's own, that of the conversation."""
        words = unnumbered(self.request.message)
        is_own = self.request.choice is None and any(char.isalpha() for char in words)
        return language_of(words) if is_own or self.before.language is None else self.before.language

    def _confidence(self, reply: Reply) -> float:
        return round(reply.confidence if reply.intent else dict(self.ranked)[OUT_OF_SCOPE], DIGITS)

    def title(self, name: str) -> str:
        """Return what people call a matter, or that it is none."""
        return say(self.language, "outside") if name == OUT_OF_SCOPE else self.book.title(name, self.language)

    def _candidates(self) -> list[Candidate]:
        return [
            Candidate(intent=name, title=self.title(name), confidence=round(p, DIGITS))
            for name, p in self.ranked[:CANDIDATES]
        ]

    def _handover(self, reply: Reply) -> Handover:
        now = heard(self.before, self.request)
        nothing = say(self.language, "nothing")
        summary = say(
            self.language,
            "summary",
            title=self.book.title(reply.intent, self.language) if reply.intent else nothing,
            confidence=f"{self._confidence(reply):.0%}",
            proved=say(self.language, "proved" if self.facts.proved else "unproved"),
            slots=", ".join(f"{name} {value}" for name, value in reply.slots) or nothing,
            tried=", ".join(now.tried) or nothing,
            messages="\n".join(f"– {message}" for message in now.messages),
        )
        return Handover(
            id=f"{self.request.conversation_id}/{now.turn + 1}",
            summary=summary,
            language=self.language,
            intent=reply.intent,
            slots=dict(reply.slots),
        )


def _today(request: ServiceRequest, state: JsonObject) -> date:
    """Return the customer's day: the request's, else the clock's; of a recording, the last day that it covers."""
    if request.today:
        return request.today
    zone = zone_of(state)
    now = local(datetime.now(UTC), UTC if zone == "as written" else zone).date()
    covered = date.fromisoformat(state["as_of"]) if "as_of" in state else now
    return covered if now - covered > RECORDED else now


def answer(predictor: Predictor, state: JsonObject, request: BaseModel, history: JsonObject | None) -> ServiceResponse:
    """Return the assistant's answer to a message."""
    asked = Asked(predictor, state, request, history)
    return asked.response(asked.reply())


def explain(
    predictor: Predictor, state: JsonObject, request: BaseModel, history: JsonObject | None
) -> list[Explanation]:
    """Return what each token of the message adds to the probability of the matter it was taken for.

    Where it was taken for none: of the likeliest. The tokens are those of the redacted message.
    """
    asked = Asked(predictor, state, request, history)
    taken = asked.reply().intent or asked.ranked[0][0]
    subject = asked.title(taken)
    return [explained(predictor, state, asked.seen, asked.language, taken, subject)]


def from_examples(examples: pd.DataFrame, state: JsonObject, n: int) -> list[JsonObject]:  # noqa: ARG001 - called as the contract says
    """Return messages of test examples, spread over them."""
    rows = examples.iloc[:: max(1, len(examples) // n)].head(n)
    return [
        {"message": str(text), "language": str(language)}
        for text, language in zip(rows["text"], rows["language"], strict=True)
    ]


def features(request: BaseModel, response: BaseModel, history: JsonObject | None) -> dict[str, float | str]:  # noqa: ARG001 - called as the contract says
    """Return what drift is looked for in: how long messages are, their language, and how sure the model is."""
    asked, given = cast(ServiceRequest, request), cast(ServiceResponse, response)
    best = given.candidates[0]
    return {"characters": float(len(asked.message)), "language": given.language, "score": best.confidence}


def outcome(logged: JsonObject, events: list[JsonObject]) -> dict[str, float]:
    """Return whether the customer said that the answer helped; empty while nothing was said.

    Args:
        logged: An answer in the request log.
        events: Later events of the customer; `{"feedback": "helped" | "not_helped", "conversation_id": …}` counts.
    """
    answered = logged.get("answer", logged)
    said = [
        one["feedback"]
        for one in events
        if "feedback" in one and one.get("conversation_id") == answered["conversation_id"]
    ]
    return {"helped": float(said[-1] == "helped"), "handed_over": float(answered["kind"] == "handover")} if said else {}


def catalogue(state: JsonObject) -> Collection[str]:
    """Return the identifiers of the products that can be asked for."""
    return book_of(state).product_ids


SERVICE = Service(
    request=ServiceRequest,
    events={"step": OrderEvent, "feedback": FeedbackEvent},
    hidden=frozenset({"message_id"}),
    digested=frozenset({"conversation_id", "order_number", "number"}),
    response=ServiceResponse,
    identity="customer_id",
    is_proved=True,
    answer=answer,
    explain=explain,
    observe=observe,
    golden=golden,
    from_examples=from_examples,
    features=features,
    outcome=outcome,
    heeds_stock=True,
    catalogue=catalogue,
    memory=Memory(keep=keep, seconds=SECONDS),
    queue="handover",
    rephrase=rephrase,
)
