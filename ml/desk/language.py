"""The language of a page: sentences by their English template, dates and numbers as readers of it write them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from babel import Locale, dates, negotiate_locale
from babel.messages.pofile import read_po

CATALOGUES = Path(__file__).with_name("locale")
LANGUAGES = {"en": "English", "zh": "中文"}
"""Code and own name; a catalogue `locale/<code>.po` holds every language but English."""
LIST = {"en": ", ", "zh": "、"}
DAY = {"en": "y-MM-dd", "zh": "y年M月d日"}


@dataclass(frozen=True, kw_only=True)
class Language:
    """How a page speaks."""

    code: str
    words: Mapping[str, str]
    """Translation by English template; what it lacks stays English."""

    def say(self, template: str, **values: Any) -> str:
        """Return a sentence with its places filled."""
        return (self.words.get(template) or template).format(**values)

    def told(self, record: Any) -> Any:
        """Return what a `data_checks.message.Message` was recorded as; other values stay."""
        if isinstance(record, list):
            return LIST[self.code].join(str(self.told(part)) for part in record)
        if not isinstance(record, dict):
            return record
        if "date" in record:
            return self.day(record["date"])
        return self.say(record["text"], **{name: self.told(value) for name, value in record["values"].items()})

    def day(self, iso: str | None) -> str:
        """Return a date; nothing as a dash."""
        if iso is None:
            return "–"
        return dates.format_date(date.fromisoformat(iso), DAY[self.code], Locale(self.code))


def choose(asked: str | None, accepted: str) -> Language:
    """Return the language asked for, else the first known one of an `Accept-Language` header, else English."""
    wanted = [part.partition(";")[0].strip().partition("-")[0] for part in accepted.split(",")]
    code = asked if asked in LANGUAGES else negotiate_locale(wanted, list(LANGUAGES)) or "en"
    return Language(code=code, words=_words(code))


@cache
def _words(code: str) -> Mapping[str, str]:
    path = CATALOGUES / f"{code}.po"
    if not path.exists():
        return {}
    with path.open("rb") as file:
        catalogue = read_po(file, locale=code)
    return {str(one.id): str(one.string) for one in catalogue if one.id and one.string}
