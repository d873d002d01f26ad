"""Finds personal data in free text, English and Chinese: by checksum, form and cue, and by a tagger for the rest."""

from __future__ import annotations

import re
from typing import Literal

from ml.privacy.pii_chinese import HAN, find_chinese
from ml.privacy.pii_pattern import find_patterns, is_order
from ml.privacy.pii_span import KINDS, Span, without_overlap
from ml.privacy.pii_tagger import tag

PLACEHOLDER = re.compile(rf"\[(?:{'|'.join(KINDS)})\]")
NUMBERS = ("PHONE", "CARD", "ID")
LETTER = re.compile(r"[^\W\d_]")


def find(text: str, language: Literal["en", "zh"] | None = None, keep: re.Pattern[str] | None = None) -> list[Span]:
    """Return what is personal in a text, in text order, without overlaps.

    Args:
        text: A message or any other free text; may be empty.
        language: Which rules to apply; by default Chinese ones where Chinese characters stand, and the tagger where
            they are the minority. E-mail, cards, accounts, ids and phones with their country code are found in any.
        keep: What is never personal in this text, such as the form of the shop's order numbers.

    Returns:
        Spans; placeholders that `redact` left are none.
    """
    patterns = (PLACEHOLDER, keep) if keep else (PLACEHOLDER,)
    held = [Span(one.start(), one.end(), "NAME", 2.0) for pattern in patterns for one in pattern.finditer(text)]
    known = without_overlap([*held, *find_patterns(text), *([] if language == "en" else find_chinese(text))])
    tagged = tag(text, known) if _is_tagged(text, language) else []
    found = [*known, *(span for span in tagged if not (span.type in NUMBERS and is_order(text, span.start)))]
    return [span for span in found if span not in held] if held else sorted(found)


def _is_tagged(text: str, language: str | None) -> bool:
    if language is not None:
        return language == "en"
    return 2 * len(HAN.findall(text)) < len(LETTER.findall(text)) or not HAN.search(text)
