"""Replaces personal data in free text by placeholders that say what stood there."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from ml.privacy.pii_find import find
from ml.privacy.pii_span import Span

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Redacted:
    """A text without what was found in it."""

    text: str
    """With `[NAME]`, `[EMAIL]`, … in its place."""
    counts: Counter[str] = field(default_factory=Counter)
    """Spans by type."""


def redact(text: str, language: Literal["en", "zh"] | None = None, keep: re.Pattern[str] | None = None) -> Redacted:
    """Return the text with placeholders; to redact the result again changes nothing.

    What is left is searched again until nothing is found, since a placeholder may betray its neighbour. Each round leaves
    fewer characters that are no placeholder, so there is a last one.

    Args:
        text: A message or any other free text; may be empty.
        language: Which rules to apply; by default by script.
        keep: What is left as it stands although it may look like a phone number: the shop's order numbers.
    """
    counts: Counter[str] = Counter()
    while spans := find(text, language, keep):
        counts.update(span.type for span in spans)
        text = _replaced(text, spans)
    return Redacted(text, counts)


def redact_column(values: pd.Series, keeps: str = "") -> tuple[pd.Series, Counter[str]]:
    """Return a column's texts redacted, and the spans by type over all its rows; missing values stay missing.

    Args:
        values: Texts.
        keeps: What is left as it stands, as `Column.keeps` says it.
    """
    known, keep = values.dropna().map(str), re.compile(keeps) if keeps else None
    done = {text: redact(text, keep=keep) for text in known.unique()}
    counts: Counter[str] = Counter()
    for text, rows in known.value_counts().items():
        counts.update({kind: spans * int(rows) for kind, spans in done[str(text)].counts.items()})
    return values.map({text: one.text for text, one in done.items()}).astype("str"), counts


def _replaced(text: str, spans: Sequence[Span]) -> str:
    parts, at = [], 0
    for span in spans:
        parts += [text[at : span.start], f"[{span.type}]"]
        at = span.end
    return "".join([*parts, text[at:]])
