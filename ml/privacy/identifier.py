"""Finds what looks like a direct identifier in text that is kept as it is: e-mail addresses, phone and card numbers."""

from __future__ import annotations

import re

import pandas as pd
from stdnum import luhn

DISTINCT_LIMIT = 200_000  # distinct values of a text column that are searched
EMAIL = re.compile(r"[\w.+-]+@[\w-]+\.[\w.]+")
DATE = re.compile(r"\d{4}-\d{2}-\d{2}")  # has the digits and dashes of a phone number, and is none
PHONE = re.compile(r"(?<!\d)\+?\d[\d ()/-]{8,}\d(?!\d)")
CARD = re.compile(r"(?<!\d)\d(?:[ -]?\d){12,18}(?!\d)")
BARE_CARD = re.compile(
    r"[3-6]\d{14,15}"
)  # a number alone is an article or store unless it has a card's length and start


def count_identifiers(values: pd.Series) -> dict[str, int]:
    """Return how many distinct values of a text column hold each kind; kinds that do not occur are left out."""
    if not pd.api.types.is_string_dtype(values):
        return {}
    counts = {"e-mail": 0, "card": 0, "phone": 0}
    for text in values.dropna().unique()[:DISTINCT_LIMIT]:
        for kind in _kinds(str(text)):
            counts[kind] += 1
    return {kind: count for kind, count in counts.items() if count}


def is_card(text: str) -> bool:
    """Tell whether the digits pass the check of payment cards (Luhn 1960, US patent 2,950,048)."""
    digits = "".join(char for char in text if char.isdigit())
    return 13 <= len(digits) <= 19 and luhn.is_valid(digits)


def _kinds(text: str) -> set[str]:
    if text.isdigit():
        return {"card"} if BARE_CARD.fullmatch(text) and is_card(text) else set()
    kinds = {"e-mail"} if EMAIL.search(text) else set()
    rest = CARD.sub(lambda found: " " if is_card(found.group()) else found.group(), text)
    kinds |= {"card"} if rest != text else set()
    return kinds | ({"phone"} if PHONE.search(DATE.sub("", rest)) else set())
