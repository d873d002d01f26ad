"""A sentence with places for what was seen, so that the same finding can be told in more than one language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TypeAlias

from ml.contract import JsonObject

Value: TypeAlias = "str | int | float | date | Message | Sequence[Value]"
Values: TypeAlias = "dict[str, Value]"


@dataclass(frozen=True)
class Message:
    """An English template, by which a translation is looked up, and the values that fill it."""

    template: str
    values: Mapping[str, Value] = field(default_factory=dict)

    def __str__(self) -> str:
        """Return the sentence in English."""
        return self.template.format(**{name: _plain(value) for name, value in self.values.items()})

    def record(self) -> JsonObject:
        """Return the sentence as JSON that a reader's language can be put to."""
        return {"text": self.template, "values": {name: _json(value) for name, value in self.values.items()}}


def told(words: str | Message) -> Message:
    """Return words as a message, whatever braces they hold."""
    return words if isinstance(words, Message) else Message(words.replace("{", "{{").replace("}", "}}"))


def _plain(value: Value) -> str | int | float:
    if isinstance(value, int | float | str):
        return value
    return ", ".join(map(str, value)) if isinstance(value, Sequence) else str(value)


def _json(value: Value) -> object:
    if isinstance(value, Message):
        return value.record()
    if isinstance(value, date):
        return {"date": value.isoformat()}
    return [_json(part) for part in value] if isinstance(value, Sequence) and not isinstance(value, str) else value
