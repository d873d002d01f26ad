"""What a conversation keeps between two messages: matter, slots, what was asked for, and the last messages without personal values.

It is bounded, holds no answer and no fact of a customer, and is forgotten half an hour after the last message.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import cast

from pydantic import BaseModel

from ml.contract import CONVERSATION, JsonObject
from ml.use_cases.service.discreet import discreet
from ml.use_cases.service.message import ServiceRequest, ServiceResponse

SECONDS = 30 * 60.0
"""How long after its last message a conversation is forgotten [s]."""
MOST_MESSAGES = 6  # newest messages of the customer
MOST_CHARACTERS = 300  # of one of them
MOST_TRIED = 10


@dataclass(frozen=True, kw_only=True)
class Conversation:
    """What is kept."""

    language: str | None = None
    intent: str | None = None
    confidence: float = 0.0
    slots: Mapping[str, str] = field(default_factory=dict)
    awaits: str | None = None
    unsure: int = 0
    """Answers in a row that were none."""
    turn: int = 0
    tried: tuple[str, ...] = ()
    messages: tuple[str, ...] = ()
    message_id: str | None = None


def conversation_of(history: JsonObject | None, request: ServiceRequest) -> Conversation:
    """Return the conversation before a message; before it too where the message is sent again."""
    kept = (history or {}).get(CONVERSATION) or {}
    if request.message_id is not None and kept.get("message_id") == request.message_id:
        kept = kept.get("before", {})
    known = {name: value for name, value in kept.items() if name in Conversation.__dataclass_fields__}
    tuples = {name: tuple(known[name]) for name in ("tried", "messages") if name in known}
    return Conversation(**{**known, **tuples})


def keep(history: JsonObject | None, sent: BaseModel, given: BaseModel) -> JsonObject:
    """Return what is kept after an answer."""
    request, response = cast(ServiceRequest, sent), cast(ServiceResponse, given)
    before = conversation_of(history, request)
    unsure = before.unsure + 1 if response.kind in ("clarify", "decline") else 0
    after = replace(
        heard(before, request),
        language=response.language,
        intent=response.intent,
        confidence=response.confidence,
        slots=response.slots,
        awaits=response.awaits,
        unsure=unsure,
        turn=before.turn + 1,
        tried=(*before.tried, f"{response.kind}: {response.intent or '-'}")[-MOST_TRIED:],
        message_id=request.message_id,
    )
    return {**asdict(after), "before": {**asdict(before)}}


def heard(before: Conversation, request: ServiceRequest) -> Conversation:
    """Return the conversation with a message in it, as it may be stored."""
    said = discreet(request.message)[:MOST_CHARACTERS]
    return replace(before, messages=(*before.messages, said)[-MOST_MESSAGES:])
