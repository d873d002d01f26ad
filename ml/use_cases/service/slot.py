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
REFERRING = re.compile(r"\b(?:it|they|them|(?:this|that) one)\b|它", re.IGNORECASE)
"""Words that stand for a product named before."""
SURE = 5  # characters from which a shop's own number, whatever its form, is found within a text
MOST = 4  # products of like names between which a customer is asked to choose

Named = TypeVar("Named", Order, Product)


def order_number(text: str, own: Iterable[str] = ()) -> str | None:
    """Return the first order number of a text, as it is kept; none if there is none.

    Args:
        text: A message, or the value of an option that was taken.
        own: Numbers of the customer's own orders, of any form: the whole text, or from `SURE` characters on a word of it.
    """
    known = next((number for number in own if _holds(text, number)), None)
    if known is not None:
        return known
    found = ORDER_NUMBER.search(text)
    if found is None:
        return text if SHORT_NAME.fullmatch(text) else None
    return f"{found[0].replace('-', '')[:5]}-{found[0][-3:]}".upper()


def orders_named(text: str, orders: Sequence[Order]) -> list[Order]:
    """Return the customer's orders that a text speaks of without a number: the newest, or those with a product it names."""
    if NEWEST.search(text):
        return list(orders[:1])
    words = _words(text)
    return [order for order in orders if any(_is_named(name, words) for _, name in order.products)]


def as_word(form: str) -> str:
    """Return the pattern of an order number that is no part of a longer word or number; its letters are those of ASCII."""
    return rf"(?<![\w-])(?:{form})(?![\w-])"


def refers_back(text: str) -> bool:
    """Tell whether a word of the text stands for a product that was named before."""
    return REFERRING.search(text) is not None


def products_meant(text: str, products: Iterable[Product]) -> list[Product]:
    """Return the products a text names, at most `MOST`: those with the most words in common, of one name the first."""
    words = _words(text)
    found: dict[str, tuple[int, Product]] = {}
    for product in products:
        if _is_named(product.name, words):
            found.setdefault(product.name, (len(_words(product.name) & words), product))
    best = max((common for common, _ in found.values()), default=0)
    return [product for common, product in found.values() if common == best][:MOST]


def _holds(text: str, number: str) -> bool:
    """Tell whether a text is an order's number, or a number that is long enough stands in it as a word."""
    if text.strip().upper() == number.upper():
        return True
    return len(number) >= SURE and re.search(as_word(re.escape(number)), text, re.ASCII | re.IGNORECASE) is not None


def _is_named(name: str, words: frozenset[str]) -> bool:
    """Tell whether the name's head, before a bracket or a comma, stands in a text."""
    head = _words(re.split(r"[(,（，]", name)[0])
    return bool(head) and head <= words


def _words(text: str) -> frozenset[str]:
    """Return words without their plural's s, and pairs of Chinese characters."""
    return frozenset(token if len(token) <= 3 else token.rstrip("s") for token in tokens(text))
