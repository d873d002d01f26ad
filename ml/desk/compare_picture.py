"""Draws a comparison; what was drawn once is kept, since what gates stored of two versions does not change."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import lru_cache

from ml.contract import JsonObject
from ml.desk.compare_view import Comparison, Line
from ml.desk.language import Language
from ml.explanation import chart

KEPT = 64  # pictures
CHANGE, PART = "relative change [%]; to the right is better", "{figure} by {column}"


def change_picture(found: Comparison, language: Language) -> str:
    """Return SVG of how much better the first is in each metric, relative to the other; empty where no gate says so."""
    axis = language.say(CHANGE)
    rows = [
        {"name": line.name, "role": "ships", **{end: 100 * value for end, value in known.items()}}
        for line in found.metrics
        if (known := _known(line.relative))
    ]
    return _drawn("changes", json.dumps(rows), axis) if rows else ""


def part_pictures(found: Comparison, language: Language) -> dict[str, str]:
    """Return SVG of the primary figure of both in each part of the test rows, by column."""
    names = found.one.label, found.other.label
    rows = {column: [*_both(lines, names)] for column, lines in found.parts.items()}
    axes = {column: language.say(PART, figure=found.primary, column=column.replace("_", " ")) for column in rows}
    return {column: _drawn("paired_intervals", json.dumps(part), axes[column]) for column, part in rows.items() if part}


def _both(lines: Iterable[Line], names: tuple[str, str]) -> Iterator[JsonObject]:
    for line in lines:
        for name, role, estimate in zip(names, ("ships", "production"), (line.one, line.other), strict=True):
            if known := _known(estimate):
                yield {"group": line.name, "name": name, "role": role, **known}


def _known(estimate: JsonObject | None) -> JsonObject | None:
    ends = {name: (estimate or {}).get(name) for name in ("value", "low", "high")}
    return None if None in ends.values() else ends


@lru_cache(maxsize=KEPT)
def _drawn(kind: str, rows: str, axis: str) -> str:
    draw = {"changes": chart.changes, "paired_intervals": chart.paired_intervals}[kind]
    return draw(json.loads(rows), axis, axis)
