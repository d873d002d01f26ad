"""What the assistant may know in one turn. Orders are those of the customer whose token was verified, and of nobody else.

Nothing below looks anything up by a customer's name: there is no way to ask for another's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from ml.contract import OUT_OF_STOCK, JsonObject
from ml.use_cases.service.orders import merged


@dataclass(frozen=True, kw_only=True)
class Order:
    """One of the customer's own orders."""

    number: str
    placed: date
    products: tuple[tuple[str, str], ...]
    """(article number, name)"""
    steps: Mapping[str, date]
    """What has happened, and what is promised; empty where the shop does not tell."""

    @property
    def is_open(self) -> bool:
        """Whether it is still on its way."""
        return not self.steps.keys() & {"delivered", "returned", "refunded", "cancelled"}


@dataclass(frozen=True, kw_only=True)
class Product:
    """A product that can be asked for by name."""

    product_id: str
    name: str
    category: str
    brand: str


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Everything that tools look at."""

    proved: bool
    """Whether the customer is known by a verified token."""
    orders: tuple[Order, ...]
    """Newest first."""
    out_of_stock: frozenset[str]
    today: date

    def order(self, number: str) -> Order | None:
        """Return the customer's order of that number; none where the customer has no such order, whoever else may have."""
        return next((order for order in self.orders if order.number.upper() == number.upper()), None)


def facts_of(history: JsonObject | None, *, proved: bool, today: date) -> Facts:
    """Return the facts of a turn; a customer who has not proved who they are has no orders, whatever the history says."""
    known = history or {}
    orders = [_order(one) for one in merged(known.get("orders", []))] if proved else []
    newest = sorted(orders, key=lambda order: (order.placed, order.number), reverse=True)
    return Facts(proved=proved, orders=tuple(newest), out_of_stock=frozenset(known.get(OUT_OF_STOCK, ())), today=today)


def products_of(state: JsonObject) -> tuple[Product, ...]:
    """Return the products of a fitted state, in its order."""
    return tuple(Product(**one) for one in state.get("products", []))


def _order(told: Mapping[str, Any]) -> Order:
    fixed = {"number", "placed", "products"}
    return Order(
        number=told["number"],
        placed=date.fromisoformat(told["placed"]),
        products=tuple((product, name) for product, name in told.get("products", [])),
        steps={step: date.fromisoformat(day) for step, day in told.items() if step not in fixed},
    )
