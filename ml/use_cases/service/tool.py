"""What the assistant can look up: `intents.csv` names a tool by matter.

Tools look and never act; what has to be done, a person does. A tool is given facts, never a customer: who is not signed in
has no orders, and no words of a message can change whose they are. A matter whose tool is not here is answered by its page.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ml.use_cases.service.facts import Facts, Order, Product
from ml.use_cases.service.wording import say, told_day

NAMED_PRODUCTS = 2


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a tool found, in words."""

    sentences: tuple[str, ...] = ()
    person: bool = False
    """Whether a person has to see to it."""


@dataclass(frozen=True, kw_only=True)
class OrderTool:
    """Looks at one of the customer's own orders."""

    look: Callable[[Order, Facts, str], Finding]
    """(the order, facts, language) -> finding."""


@dataclass(frozen=True, kw_only=True)
class ProductTool:
    """Looks at one of the shop's products; anybody may ask."""

    look: Callable[[Product, Facts, str], Finding]


def told(order: Order, language: str) -> str:
    """Return where an order is, in a sentence."""
    last = ("cancelled", "refunded", "returned", "delivered", "shipped")
    key = next((step for step in last if step in order.steps), "placed" if order.steps else "untold")
    if key in ("placed", "shipped") and "promised" in order.steps:
        key = f"{key}_promised"
    return say(language, key, **_values(order, language))


def label(order: Order, language: str) -> str:
    """Return what a customer recognises an order by."""
    return say(language, "order_label", **_values(order, language))


def _values(order: Order, language: str) -> dict[str, str]:
    days = {step: told_day(language, day) for step, day in order.steps.items()}
    names = [name for _, name in order.products[:NAMED_PRODUCTS]]
    more = len(order.products) - len(names)
    tail = [say(language, "and_more", n=more if language == "en" else len(order.products))] if more else []
    products = ("、" if language == "zh" else "; ").join([*names, *tail]) or say(language, "nothing")
    return {**days, "number": order.number, "placed": told_day(language, order.placed), "products": products}


def _status(order: Order, facts: Facts, language: str) -> Finding:
    late = order.is_open and order.steps.get("promised", facts.today) < facts.today
    sentences = (told(order, language), *((say(language, "late"),) if late else ()))
    return Finding(sentences=sentences, person=late or not order.steps)


def _trace(order: Order, facts: Facts, language: str) -> Finding:  # noqa: ARG001 - called as the contract says
    return Finding(sentences=(told(order, language),), person=True)


def _refund(order: Order, facts: Facts, language: str) -> Finding:  # noqa: ARG001 - called as the contract says
    if order.steps.keys() & {"returned", "refunded", "cancelled"}:
        return Finding(sentences=(told(order, language),))
    return Finding(sentences=(say(language, "no_refund", number=order.number),))


def _act(order: Order, facts: Facts, language: str) -> Finding:  # noqa: ARG001 - called as the contract says
    """Prepare what a person will do."""
    return Finding(sentences=(told(order, language), say(language, "cannot_do")), person=True)


def _stop(order: Order, facts: Facts, language: str) -> Finding:  # noqa: ARG001 - called as the contract says
    """Prepare a change of an order that may have left."""
    may = [] if not order.steps else ["has_left" if order.steps.keys() - {"promised"} else "still_here"]
    sentences = (told(order, language), *(say(language, key) for key in [*may, "cannot_do"]))
    return Finding(sentences=sentences, person=True)


def _stock(product: Product, facts: Facts, language: str) -> Finding:
    key = "out_of_stock" if product.product_id in facts.out_of_stock else "in_stock"
    return Finding(sentences=(say(language, key, product=product.name),))


def _product(product: Product, facts: Facts, language: str) -> Finding:  # noqa: ARG001 - called as the contract says
    known = ", ".join(filter(None, (product.category, product.brand)))
    return Finding(sentences=(say(language, "product", product=product.name, facts=known),) if known else ())


ORDER_TOOLS: Mapping[str, OrderTool] = {
    "order_lookup": OrderTool(look=_status),
    "parcel_trace": OrderTool(look=_trace),
    "refund_lookup": OrderTool(look=_refund),
    "order_change": OrderTool(look=_stop),
    "order_cancel": OrderTool(look=_stop),
    **{
        name: OrderTool(look=_act)
        for name in ("return_label", "exchange_request", "damage_report", "repair_request", "invoice_send")
    },
}
PRODUCT_TOOLS: Mapping[str, ProductTool] = {
    "stock_lookup": ProductTool(look=_stock),
    "product_lookup": ProductTool(look=_product),
}
HANDOVER = "handover"
PERSON_TOOLS = frozenset({HANDOVER, "ticket_create", "security_report"})
"""Tools that are a person."""
