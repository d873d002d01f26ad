"""What the assistant says of its own, in each language: `replies/<language>.yaml`, which a shop may word otherwise."""

from __future__ import annotations

from datetime import date
from functools import lru_cache
from pathlib import Path

import yaml

REPLIES = Path(__file__).parent / "replies"


@lru_cache(maxsize=8)
def _replies(language: str) -> dict[str, str]:
    known: dict[str, str] = yaml.safe_load((REPLIES / f"{language}.yaml").read_text(encoding="utf-8"))
    return known


def say(language: str, key: str, **values: object) -> str:
    """Return a reply; values are put in as they are and never read as a template."""
    return _replies(language)[key].format(**values)


def told_day(language: str, day: date) -> str:
    """Return a day as people write it."""
    return f"{day.year}年{day.month}月{day.day}日" if language == "zh" else f"{day.day} {day:%B %Y}"


def joined(language: str, sentences: list[str]) -> str:
    """Return sentences as one text."""
    return ("" if language == "zh" else " ").join(sentences)
