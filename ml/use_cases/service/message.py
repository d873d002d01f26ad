"""What customers send to the assistant and what it answers."""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from ml.field import Day, Sent

Kind: TypeAlias = Literal["answer", "ask", "clarify", "verify", "handover", "decline"]
"""answer; ask for what must be known; ask which of several matters is meant; ask to sign in; give to a person; not ours."""
Language: TypeAlias = Literal["en", "zh"]
CONVERSATION = r"^[A-Za-z0-9_-]{16,64}$"


class ServiceRequest(Sent):
    """One message of a conversation."""

    model_config = ConfigDict(coerce_numbers_to_str=True)

    message: str = Field(min_length=1, max_length=2000, description="what the customer wrote")
    choice: str | None = Field(None, max_length=120, description="the `choice` of an option that was taken")
    language: Language | None = Field(None, description="of the answer; by default that of the message")
    conversation_id: str | None = Field(
        None, pattern=CONVERSATION, description="continues a conversation; by default a new one begins"
    )
    message_id: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9_-]{1,64}$",
        description="a message that is sent again gets its answer again and counts once",
    )
    today: Day | None = Field(None, description="the customer's day; by default the last one the data cover")
    customer_id: str | None = Field(
        None, description="set by the server from the customer's verified token; what a body says here is ignored"
    )


class Option(BaseModel):
    """Something the customer can choose instead of writing."""

    label: str
    choice: str = Field(description="to be sent back as the request's `choice`")


class Candidate(BaseModel):
    """A matter the message may be about."""

    intent: str
    title: str
    confidence: float = Field(ge=0, le=1, description="calibrated probability")


class Source(BaseModel):
    """A passage of the shop's pages that is quoted."""

    page: str
    title: str
    heading: str
    text: str


class Handover(BaseModel):
    """What a person gets to see; no personal value is in it."""

    id: str = Field(description="equal ids are one matter: a message that is sent again keeps its id")
    summary: str
    language: Language
    intent: str | None
    slots: dict[str, str]


class ServiceResponse(BaseModel):
    """The assistant's answer to one message."""

    conversation_id: str | None
    kind: Kind
    text: str = Field(description="what the customer reads: `own`, then the passages")
    own: str = Field(description="what it says itself and of the customer's orders")
    language: Language
    intent: str | None = Field(description="the matter it took the message for; none where it is not sure")
    confidence: float = Field(ge=0, le=1, description="calibrated probability of it, or, without one, that none fits")
    candidates: list[Candidate]
    options: list[Option] = []
    sources: list[Source] = []
    slots: dict[str, str] = Field({}, description="what is known: order_number, product")
    awaits: str | None = Field(None, description="the slot it asked for")
    handover: Handover | None = None
    rephrased: bool = Field(False, description="worded by a language model, each sentence checked against the sources")
