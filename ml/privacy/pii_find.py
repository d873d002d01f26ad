"""Finds personal data in free text, English and Chinese: by checksum, form and cue, and by a tagger for the rest."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

from ml.privacy.pii_chinese import HAN, find_chinese
from ml.privacy.pii_handle import find_handles
from ml.privacy.pii_identity import find_identities
from ml.privacy.pii_pattern import find_patterns, find_titled, is_order
from ml.privacy.pii_plain import plain
from ml.privacy.pii_secret import find_secrets
from ml.privacy.pii_span import KINDS, Span, outside, without_overlap
from ml.privacy.pii_tagger import tag
from ml.privacy.pii_written import find_written

PLACEHOLDER = re.compile(rf"\[(?:{'|'.join(KINDS)})\]")
NUMBERS = ("PHONE", "CARD", "ID")
ORDER_WORD = re.compile(
    r"[\s,;.(]+(?:order|invoice|tracking|parcel|article|item|sku|ean)"
    r"(?=\W{1,3}(?:no|nr|number|id|sku|is)?\W{0,3}[A-Z]{0,3}[ -]?\d)",
    re.IGNORECASE,
)
CODE = re.compile(r"(?=[A-Z /#.-]*\d)[A-Z0-9 /#.-]+(?:\s[a-z]+)*")
"""A number, whatever letters are in it, with no more than common words behind it."""
LETTER = re.compile(r"[^\W\d_]")


def find(text: str, language: Literal["en", "zh"] | None = None, keep: re.Pattern[str] | None = None) -> list[Span]:
    """Return what is personal in a text, always in text order and without overlaps.

    Time grows with the length of the text, whatever stands in it: no expression looks farther than a bounded distance.

    Args:
        text: A message or any other free text; may be empty.
        language: Which rules to apply; by default Chinese ones where Chinese characters stand, and the tagger where
            they are the minority. E-mail, cards, accounts, ids and phones with their country code are found in any.
        keep: What is never personal in this text, such as the form of the shop's order numbers.

    Returns:
        Spans; none touches a placeholder that `redact` left, or what is kept.
    """
    searched = plain(text)
    spans = map(searched.there, _find(searched.text, language, keep))
    return without_overlap(outside(spans, places_held(text, keep), text))


def _find(text: str, language: Literal["en", "zh"] | None, keep: re.Pattern[str] | None) -> list[Span]:
    held = places_held(text, keep)
    told = [*find_patterns(text), *find_written(text), *find_identities(text), *find_secrets(text), *find_handles(text)]
    told += [] if language == "en" else find_chinese(text)
    known = without_overlap(outside(told, held, text))
    tagged = tag(text, _in_order(known, held)) if _is_tagged(text, language) else []
    trusted = (part for span in tagged for part in sensible(text, span))
    trusted = (span for span in trusted if not HAN.search(text, span.start, span.end))  # it never learned Chinese
    return without_overlap([*known, *outside([*trusted, *find_titled(text)], held, text)])


def sensible(text: str, span: Span) -> Iterator[Span]:
    """Yield what is left of a tagged span: no number of an order, a parcel or an article, and no name of digits."""
    said = text[span.start : span.end]
    letters, digits = sum(map(str.isalpha, said)), sum(map(str.isdigit, said))
    if (span.type in NUMBERS or CODE.fullmatch(said)) and is_order(text, span.start):
        return
    if span.type == "NAME" and digits > letters:
        return
    word = ORDER_WORD.search(text, span.start + 1, span.end) if span.type in ("ADDRESS", "NAME") else None
    if word is None:
        yield span
    elif any(map(str.isalnum, text[span.start : word.start()])):
        yield from sensible(text, replace(span, end=word.start()))


def places_held(text: str, keep: re.Pattern[str] | None) -> list[tuple[int, int]]:
    """Return the places that stay as they are, in text order; two that overlap are one."""
    patterns = (PLACEHOLDER, keep) if keep else (PLACEHOLDER,)
    held: list[tuple[int, int]] = []
    for start, end in sorted(one.span() for pattern in patterns for one in pattern.finditer(text)):
        if held and start < held[-1][1]:
            held[-1] = (held[-1][0], max(held[-1][1], end))
        elif start < end:
            held.append((start, end))
    return held


def _in_order(known: list[Span], held: list[tuple[int, int]]) -> list[Span]:
    """Return all that the tagger reads as one word each."""
    return sorted([*known, *(Span(start, end, "NAME", 1.0) for start, end in held)])


def _is_tagged(text: str, language: str | None) -> bool:
    if language is not None:
        return language == "en"
    return 2 * len(HAN.findall(text)) < len(LETTER.findall(text)) or not HAN.search(text)
