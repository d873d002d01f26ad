"""All applications at work on one customer, who is proved by their token: recommendations, a payment, stock, a message."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, Literal, TypeVar, cast

from fastapi import APIRouter, Form, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from ml.errors import ModelNotFound, TradewindError
from ml.pages.chat import Turn, answered
from ml.pages.frame import show
from ml.pages.sign_in import proof_of
from ml.serving.answer import Answerer
from ml.serving.page import Page, Site
from ml.shop import CHANNELS
from ml.use_cases.fraud.message import FraudRequest, FraudResponse
from ml.use_cases.inventory.service import MAX_SERIES, InventoryRequest, InventoryResponse, Line
from ml.use_cases.recommend.service import RecommendRequest, RecommendResponse
from ml.use_cases.service.message import ServiceRequest

PATH = "/customer"
PRODUCTS = 6  # that are recommended
GROUPS = MAX_SERIES // PRODUCTS  # groups of stores that may be asked for with each of them

Answer = TypeVar("Answer")


class Sent(BaseModel):
    """What the form holds."""

    model_config = ConfigDict(extra="ignore")

    ask: Literal["payment", "message"]
    amount: float = Field(49.9, ge=0, le=1_000_000, description="[currency of the shop]")
    n_items: int = Field(3, ge=1, le=10_000, description="[pieces]")
    terminal_id: str = Field("web", min_length=1, max_length=200)
    channel: Literal[CHANNELS] = "online"  # type: ignore[valid-type]  # the shop's own list
    message: str = Field("", max_length=2000)


@dataclass(frozen=True, kw_only=True)
class Panel(Generic[Answer]):
    """What one application answered, or what to do because it could not."""

    answer: Answer | None = None
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class Stocked:
    """The forecasts of some products."""

    lines: list[Line]
    groups: int
    """Groups of stores that were asked for, the first by name."""
    groups_known: int


@dataclass(frozen=True, kw_only=True)
class Asking:
    """Whoever asks, and where."""

    request: Request
    site: Site
    customer: str

    def ask(self, use_case: str, body: BaseModel) -> Any:
        """Return an application's answer; it is logged as any other."""
        return self.answerer(use_case).predict(body, None, self.request.state.request_id).body

    def answerer(self, use_case: str) -> Answerer:
        """Return what answers for an application.

        Raises:
            ModelNotFound: This server does not serve it.
        """
        found = self.site.answerers.get(use_case)
        if found is None:
            raise ModelNotFound(f"{use_case} among what is served", "others only", "Ask another server.")
        return found


def _routes(site: Site) -> APIRouter:
    router = APIRouter()

    @router.get("")
    def begin(request: Request) -> Response:
        return _shown(request, site, None)

    @router.post("")
    def ask(request: Request, sent: Annotated[Sent, Form()]) -> Response:
        return _shown(request, site, sent)

    return router


def _shown(request: Request, site: Site, sent: Sent | None) -> Response:
    proof = proof_of(request, site)
    panels: dict[str, Panel[Any] | None] = {}
    if proof.customer is not None:
        asking = Asking(request=request, site=site, customer=proof.customer)
        listed = _panel(lambda: _recommended(asking))
        panels = {
            "listed": listed,
            "stock": _panel(lambda: _stocked(asking, listed.answer)),
            "payment": _panel(lambda: _scored(asking, sent)) if sent and sent.ask == "payment" else None,
            "turn": _panel(lambda: _said(asking, sent))
            if sent and sent.ask == "message" and sent.message.strip()
            else None,
        }
    form = sent or Sent(ask="payment")
    return show(request, site, "customer.html.j2", proof=proof.outcome, form=form, channels=CHANNELS, panels=panels)


def _panel(ask: Callable[[], Answer]) -> Panel[Answer]:
    try:
        return Panel(answer=ask())
    except TradewindError as error:
        return Panel(problem=error.action)


def _recommended(asking: Asking) -> RecommendResponse:
    wanted = RecommendRequest(customer_id=asking.customer, k=PRODUCTS)
    return cast(RecommendResponse, asking.ask("recommend", wanted))


def _stocked(asking: Asking, listed: RecommendResponse | None) -> Stocked:
    """Return the forecasts of the products that are recommended, in the groups of stores that sell them."""
    known = asking.answerer("inventory").served().state["hierarchy"]["levels"]["store_group"]["names"]
    groups = known[:GROUPS]
    names = [f"{item.product_id}/{group}" for item in (listed.items if listed else []) for group in groups]
    answer = cast(InventoryResponse, asking.ask("inventory", InventoryRequest(series=names)))
    return Stocked(lines=answer.lines, groups=len(groups), groups_known=len(known))


def _scored(asking: Asking, sent: Sent) -> FraudResponse:
    """Return what would happen to a payment now, on the data's own clock; it is not counted as one."""
    payment = FraudRequest(
        customer_id=asking.customer,
        terminal_id=sent.terminal_id,
        amount=sent.amount,
        n_items=sent.n_items,
        channel=sent.channel,
        paid_at=_now(asking),
    )
    return cast(FraudResponse, asking.ask("fraud", payment))


def _now(asking: Asking) -> datetime:
    """Return the last moment that histories cover: recorded data are years old."""
    known = asking.answerer("fraud").version()["histories"]
    return datetime.fromisoformat(known["as_of"]) if known else datetime.now(UTC)


def _said(asking: Asking, sent: Sent) -> Turn:
    return answered(asking.request, asking.site, ServiceRequest(message=sent.message.strip()))


CUSTOMER = Page(path=PATH, name="one_customer", routes=_routes)
