"""Replaces personal data in free text by placeholders that say what stood there."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from ml.privacy.pii_find import find, places_held
from ml.privacy.pii_span import Span, outside

if TYPE_CHECKING:
    import pandas as pd

ROUNDS = 12  # searches of one text


@dataclass(frozen=True)
class Redacted:
    """A text without what was found in it."""

    text: str
    """With `[NAME]`, `[EMAIL]`, … in its place."""
    counts: Counter[str] = field(default_factory=Counter)
    """Spans by type."""


def redact(text: str, language: Literal["en", "zh"] | None = None, keep: re.Pattern[str] | None = None) -> Redacted:
    """Return the text with placeholders; to redact the result again changes nothing.

    What is left is searched again until nothing is found, since a placeholder may betray its neighbour: two or three
    times for most texts. A text in which something is found for the `ROUNDS`th time is replaced whole, but for what is
    kept: so nobody can write one that takes longer.

    Args:
        text: A message or any other free text; may be empty.
        language: Which rules to apply; by default by script.
        keep: What is left as it stands although it may look like a phone number: the shop's order numbers.

    Returns:
        A text in which every placeholder stands for at least one letter or digit: no longer than nine times the given
        one, and than twice in all but the oddest.
    """
    counts: Counter[str] = Counter()
    for attempt in range(1, ROUNDS + 1):
        spans = find(text, language, keep)
        if not spans:
            break
        if attempt == ROUNDS:
            whole = Span(0, len(text), spans[0].type, spans[0].score)
            spans = list(outside([whole], places_held(text, keep), text))
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
