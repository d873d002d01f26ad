"""Finds in a message what must be known to act: the number of an order, and products by their names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TypeVar

from ml.use_cases.service.facts import Order, Product
from ml.use_cases.service.similarity import tokens

ORDER_NUMBER = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]\d{4}-?\d{3}(?![\d-]*\d)", re.ASCII)
"""A letter, four digits, a dash, three digits: as the pages tell customers."""
SHORT_NAME = re.compile(r"[0-9a-f]{8}", re.ASCII)
"""What an order is called that the shop has told no number of: the beginning of its pseudonym."""
NEWEST = re.compile(
    r"\b(?:last|latest|newest|most recent)\s+(?:\w+\s+)?order|最近(?:的)?(?:一|那)?[单个笔]|最新(?:的)?订单|上一单",
    re.IGNORECASE,
)
MOST = 4  # products of like names between which a customer is asked to choose

Named = TypeVar("Named", Order, Product)


def order_number(text: str) -> str | None:
    """Return the first order number of a text, as it is kept; none if there is none."""
    found = ORDER_NUMBER.search(text)
    if found is None:
        return text if SHORT_NAME.fullmatch(text) else None
    return f"{found[0].replace('-', '')[:5]}-{found[0][-3:]}".upper()


def orders_meant(text: str, orders: Sequence[Order]) -> list[Order]:
    """Return the customer's orders that a text without a number speaks of.

    The newest where it says so; those with a product it names; else those still on their way, else all of them.
    """
    if NEWEST.search(text):
        return list(orders[:1])
    words = _words(text)
    named = [order for order in orders if any(_is_named(name, words) for _, name in order.products)]
    return named or [order for order in orders if order.is_open] or list(orders)


def products_meant(text: str, products: Iterable[Product]) -> list[Product]:
    """Return the products a text names, at most `MOST`: those with the most words in common, of one name the first."""
    words = _words(text)
    found: dict[str, tuple[int, Product]] = {}
    for product in products:
        if _is_named(product.name, words):
            found.setdefault(product.name, (len(_words(product.name) & words), product))
    best = max((common for common, _ in found.values()), default=0)
    return [product for common, product in found.values() if common == best][:MOST]


def _is_named(name: str, words: frozenset[str]) -> bool:
    """Tell whether the name's head, before a bracket or a comma, stands in a text."""
    head = _words(re.split(r"[(,（，]", name)[0])
    return bool(head) and head <= words


def _words(text: str) -> frozenset[str]:
    """Return words without their plural's s, and pairs of Chinese characters."""
    return frozenset(token if len(token) <= 3 else token.rstrip("s") for token in tokens(text))
