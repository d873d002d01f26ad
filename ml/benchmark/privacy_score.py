"""Scores found spans as presidio-research's span evaluator does: F2 over spans of a type that cover 90 % of each other.

Precision and recall of spans with beta 2, F2 = 5·P·R / (4·P + R). Spans of one type with nothing but skip words between
them are one; skip words at the ends of a span do not count; a span is right if it is of the type and the intersection
over union of characters is at least 0.9 (microsoft/presidio-research, `evaluation/span_evaluator.py`, whose overall figure
does not ask for the type: `f2_untyped`). Its skip words also hold spaCy's stop words; here they are those of `SKIP`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ml.benchmark.privacy_data import Labelled

IOU = 0.9
WORD = re.compile(r"\w+")
SKIP = frozenset(
    (
        "s street st de rue via and a the or do as of day address country state city zip po apt unit corner box suite mr mrs "
        "ms miss"
    ).split()
)


@dataclass
class Tally:
    """Spans counted by type."""

    right: Counter[str] = field(default_factory=Counter)
    wanted: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)

    def add(self, text: str, wanted: Iterable[Labelled], found: Iterable[Labelled], *, typed: bool = True) -> None:
        """Count one text."""
        left = joined(text, found)
        self.found.update(kind for _, _, kind in left)
        for start, end, kind in joined(text, wanted):
            self.wanted[kind] += 1
            hit = next((one for one in left if (one[2] == kind or not typed) and _iou((start, end), one) >= IOU), None)
            if hit:
                self.right[kind] += 1
                left.remove(hit)

    def f2(self, kinds: Iterable[str] | None = None) -> float:
        """Return F2 over some types, or all; 0 where nothing is right."""
        return f2(*(sum(one[kind] for kind in kinds) if kinds else one.total() for one in self._counts()))

    def recall(self, kinds: Sequence[str]) -> float:
        """Return the share of wanted spans that were found; 0 if none is wanted."""
        return sum(self.right[kind] for kind in kinds) / max(sum(self.wanted[kind] for kind in kinds), 1)

    def precision(self, kinds: Sequence[str]) -> float:
        """Return the share of found spans that are right; 0 if none was found."""
        return sum(self.right[kind] for kind in kinds) / max(sum(self.found[kind] for kind in kinds), 1)

    def _counts(self) -> tuple[Counter[str], Counter[str], Counter[str]]:
        return self.right, self.wanted, self.found


def f2(right: int, wanted: int, found: int) -> float:
    """Return F2 = 5·right / (4·wanted + found)."""
    return 5 * right / (4 * wanted + found) if right else 0.0


def joined(text: str, spans: Iterable[Labelled]) -> list[Labelled]:
    """Return spans of one type with nothing but skip words between them as one, without skip words at their ends."""
    together: list[Labelled] = []
    for start, end, kind in sorted(spans):
        if together and together[-1][2] == kind and not _words(text, together[-1][1], start):
            together[-1] = (together[-1][0], max(end, together[-1][1]), kind)
        else:
            together.append((start, end, kind))
    return [(words[0][0], words[-1][1], kind) for start, end, kind in together if (words := _words(text, start, end))]


def _words(text: str, start: int, end: int) -> list[tuple[int, int]]:
    return [one.span() for one in WORD.finditer(text, start, end) if one.group().lower() not in SKIP]


def _iou(one: tuple[int, int], other: Labelled) -> float:
    common = min(one[1], other[1]) - max(one[0], other[0])
    return max(common, 0) / (max(one[1], other[1]) - min(one[0], other[0]))
