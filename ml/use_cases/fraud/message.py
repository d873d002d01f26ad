"""What is sent and answered: a payment that asks to be accepted, the decision, and the events that follow."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from ml.contract import JsonObject
from ml.field import Article, Code, Identifier, Moment, Sent, ShopTime
from ml.use_cases.fraud.memory import Chargeback, Event, Payment
from ml.use_cases.fraud.velocity import cents_of

Amount = Annotated[float, Field(ge=0, le=10_000_000, allow_inf_nan=False, description="[currency of the shop]")]
Whole = Annotated[int, Field(ge=0, le=10**15)]
Second = Annotated[int, Field(ge=-1, le=10**10)]
Seconds = tuple[Second]
Remembered = tuple[Second, Annotated[int, Field(ge=-1, le=10**10)], Annotated[int, Field(ge=0, le=1)]]
EPOCH = datetime(1970, 1, 1)


class CardMemory(Sent):
    """What serving remembers of a card, as `memory` keeps it; for requests that bring it."""

    count: Annotated[int, Field(ge=0, le=10_000_000)]
    cents: Whole
    squares: Annotated[int, Field(ge=0, le=2**62)]
    usual_count: Annotated[int, Field(ge=0, le=10_000_000)]
    usual_cents: Whole
    last: Second | None = None
    payments: list[Remembered] = Field(max_length=10_000)
    known: list[Remembered] = Field(max_length=10_000)


class TerminalMemory(Sent):
    """What serving remembers of a terminal."""

    payments: list[Seconds] = Field(max_length=1_000_000)
    known: list[Remembered] = Field(max_length=10_000)


class FraudRequest(Sent):
    """A payment that asks to be accepted."""

    customer_id: Identifier | None = Field(None, description="whose card or account pays; its known history is used")
    terminal_id: Identifier = Field(description="store and till, or the web shop's entrance; its known history is used")
    amount: Amount
    paid_at: Moment
    channel: Code = Field(max_length=40, description="till, self_checkout or online")
    payment_id: Identifier | None = Field(
        None, description="returned with the answer, and joins it with its charge-back"
    )
    coupon_amount: Amount = 0.0
    n_items: int = Field(1, ge=0, le=1_000_000, description="[pieces]")
    card: CardMemory | None = Field(None, description="used instead of what is known of the customer")
    terminal: TerminalMemory | None = Field(None, description="used instead of what is known of the terminal")


class ReasonCode(BaseModel):
    """One kind of evidence that speaks for fraud."""

    code: str = Field(description="amount, time, order, pace, card or terminal")
    text: str
    contribution: float = Field(description="what it adds to the score [log-odds]")


class FraudResponse(BaseModel):
    """What to do with the payment, and why."""

    payment_id: str | None
    decision: Literal["approve", "review", "decline"]
    p_fraud: float = Field(ge=0, le=1, description="calibrated probability that it will be charged back")
    score: float = Field(description="what payments are ranked by [log-odds before calibration]")
    reasons: list[ReasonCode] = Field(description="why it was not approved, strongest first")
    is_odd: bool = Field(description="the amount is out of line with the card's; send it with a charge-back as was_odd")
    paid_at: ShopTime


class PaymentEvent(Sent):
    """A payment that was accepted."""

    amount: Amount
    paid_at: Moment
    terminal_id: Identifier | None = Field(None, description="whose history it joins")
    payment_id: Identifier | None = None
    basket_id: Identifier | None = None
    store_id: Identifier | None = None
    product_id: Article | None = None
    channel: Code | None = None
    coupon_amount: Amount = 0.0
    n_items: int = Field(1, ge=0, le=1_000_000, description="[pieces]")

    def plain(self) -> Payment:
        """Return it as memories take it."""
        return Payment(second=second_of(self.paid_at), cents=cents_of(self.amount))


class ChargebackEvent(Sent):
    """A notice that an accepted payment was fraud."""

    reported_at: Moment
    payment_at: Moment
    was_odd: bool
    terminal_id: Identifier | None = Field(None, description="whose history it joins")
    payment_id: Identifier | None = Field(None, description="joins it with its answer")
    reason: Code | None = Field(None, description="code of the notice")

    def plain(self) -> Chargeback:
        """Return it as memories take it."""
        reported, paid = second_of(self.reported_at), second_of(self.payment_at)
        return Chargeback(reported=reported, paid=paid, was_odd=self.was_odd)


def event_of(body: JsonObject) -> Event:
    """Return an event of a charge-back, which has `reported_at`, or of a payment.

    Raises:
        ValueError: A field is missing or of another type.
    """
    kind = ChargebackEvent if "reported_at" in body else PaymentEvent
    # Events that were stored before a rule for the other fields still count.
    needed = {name: body[name] for name, field in kind.model_fields.items() if field.is_required() and name in body}
    return kind.model_validate(needed).plain()


def local(moment: datetime) -> datetime:
    """Return a time without offset: as given, or on UTC where it has one."""
    return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)


def second_of(moment: datetime) -> int:
    """Return whole seconds since 1970; fractions are cut off."""
    since = local(moment) - EPOCH
    return since.days * 86_400 + since.seconds
