"""What is known of a customer: baskets, oldest first; the same JSON at rest, in requests and in memory.

`{"baskets": [["2026-06-01T10:00:00", ["1039", "77"]], …], "last": "<id of the newest basket>"}`
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, Field

from ml.contract import JsonObject
from ml.field import Article, Identifier, Moment, Sent

MAX_BASKETS = 200
"""Newest baskets a history keeps."""


class Purchase(BaseModel):
    """One line of a basket."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)

    product_id: Article
    purchased_at: Moment
    quantity: int = Field(1, ge=1, le=1000, description="[pieces]")
    basket_id: Identifier | None = Field(None, description="one visit to the till; else by time")


class PurchaseEvent(Sent):
    """A purchase as an event: one line of a basket."""

    product_id: Article
    purchased_at: Moment
    quantity: int = Field(1, ge=1, le=1000, description="[pieces]")
    basket_id: Identifier | None = Field(None, description="one visit to the till; else by time")
    store_id: Identifier | None = None
    amount: float | None = Field(None, ge=-10_000_000, le=10_000_000, description="[currency of the shop]")
    discount: float | None = Field(None, ge=-10_000_000, le=10_000_000, description="[currency of the shop]")


def from_purchases(purchases: Iterable[Purchase]) -> JsonObject:
    """Return the history that purchases make, in whatever order they come."""
    history: JsonObject | None = None
    for purchase in sorted(purchases, key=_order):
        history = _added(history, purchase)
    return history or {"baskets": [], "last": None}


def observe(history: JsonObject | None, event: JsonObject) -> JsonObject:
    """Return the history after a purchase; the history given stays as it was.

    Args:
        history: What was known, or none for a new customer.
        event: Has the fields of `Purchase`; others are ignored.

    Raises:
        ValueError: A field is missing or of another type.
    """
    return _added(history, Purchase.model_validate(event))


def local(moment: datetime) -> datetime:
    """Return a time without offset: as given, or on UTC where it has one."""
    return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)


def _order(purchase: Purchase) -> tuple[datetime, str, str]:
    return local(purchase.purchased_at), purchase.basket_id or "", purchase.product_id


def _added(history: JsonObject | None, purchase: Purchase) -> JsonObject:
    """Add to the basket of that id or that very time, else begin a basket at its place in time."""
    known = history or {"baskets": [], "last": None}
    baskets = list(known["baskets"])
    time = local(purchase.purchased_at).isoformat()
    same_visit = purchase.basket_id is not None and purchase.basket_id == known["last"]
    at = len(baskets) if same_visit else bisect_right(baskets, time, key=lambda basket: str(basket[0]))
    if at and (same_visit or baskets[at - 1][0] == time):
        began, products = baskets[at - 1]
        baskets[at - 1] = [began, sorted({*products, purchase.product_id})]
        return {"baskets": baskets, "last": known["last"]}
    baskets.insert(at, [time, [purchase.product_id]])
    last = purchase.basket_id if at == len(baskets) - 1 else known["last"]
    return {"baskets": baskets[-MAX_BASKETS:], "last": last}
