"""Types of the fields that requests and events share: what a client may send, and the one form in which it counts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime
from typing import Annotated, Any, get_args
from unicodedata import category

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)

FIRST_YEAR, LAST_YEAR = 1971, 2200
"""Of every date and time: within them no offset leaves the calendar, and seconds since 1970 are above 0."""
MISSING = frozenset({
    *("nan", "null", "none", "undefined", "<na>", "\\n"),
    *("#n/a", "#ref!", "#value!", "#name?", "#null!", "#num!", "#div/0!"),
})  # fmt: skip
"""What programs and spreadsheets write where an identifier is missing, in lower case."""
LONGEST_IDENTIFIER = 200  # characters
NO_IDENTIFIER = "identifiers that mean a missing one, hold signs that do not show, or are over 200 characters long"
WHOLE = re.compile(r"([+-]?[0-9]+)\.0+")
NUMBER = re.compile(r"[+-]?[0-9]*\.?[0-9]*")
EXACT = 2**53  # from here on a float stands for several whole numbers


class Sent(BaseModel):
    """What a client sends: no field but the ones named, no number that is none, no truth value for a number."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse `true` where a number belongs: it would be taken for 1."""
        if _holds_truth(value) and _is_of_numbers(cls.model_fields[str(info.field_name)].annotation):
            raise ValueError("a number")
        return value


def _holds_truth(value: Any) -> bool:
    return isinstance(value, bool) or (isinstance(value, list) and any(map(_holds_truth, value)))


def _is_of_numbers(annotation: Any) -> bool:
    parts = {annotation, *_parts(annotation)}
    return bool(parts & {int, float}) and bool not in parts


def _parts(annotation: Any) -> Iterator[Any]:
    """Yield the types that a field's type is made of, without what only describes them."""
    for part in get_args(annotation):
        if isinstance(part, type) or get_args(part):
            yield part
            yield from _parts(part)


def identifier(value: object) -> str:
    """Return an identifier in the form that ingest gives it: text without space around it, a whole number as its digits.

    Raises:
        ValueError: It is neither, or is what programs write where an identifier is missing.
    """
    if isinstance(value, float) and value.is_integer() and abs(value) < EXACT:
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    text = value.strip() if isinstance(value, str) else ""
    whole = WHOLE.fullmatch(text)
    text = whole[1] if whole else text
    if not text or not is_identifier(text):
        raise ValueError("an identifier: printable text or a whole number")
    return text


def is_identifier(text: str) -> bool:
    """Tell whether text can name something, in data and in requests: it shows, and is no word for a missing value."""
    return is_shown(text) and text.lower() not in MISSING


def is_shown(text: str) -> bool:
    """Tell whether all signs of a text show, spaces of every width among them, and it is not too long for an identifier."""
    shows = text.isprintable() or all(char.isprintable() or category(char) == "Zs" for char in text)
    return shows and len(text) <= LONGEST_IDENTIFIER


def code(value: object) -> str:
    """Return an identifier that is kept as it is, since it names a thing: nothing in it looks like a person's name or address.

    Raises:
        ValueError: It is no identifier, has spaces or an @, begins with a +, or has letters beyond ASCII and no digit.
    """
    text = identifier(value)
    is_plain = text.isascii() or any(char.isdigit() for char in text)
    if not is_plain or text.startswith("+") or "@" in text or any(char.isspace() for char in text):
        raise ValueError("a code of a thing: without spaces, @ or a leading +, in ASCII or with a digit")
    return text


def _told_as_text(value: Any) -> Any:
    """Refuse a number for a day or a time: whether it counts seconds or milliseconds would be a guess."""
    if isinstance(value, int | float) or (isinstance(value, str) and NUMBER.fullmatch(value.strip())):
        raise ValueError("text in ISO 8601, such as 2026-11-23T18:05:00")
    return value


def _in_calendar(moment: Any) -> Any:
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise ValueError(f"a date from {FIRST_YEAR} to {LAST_YEAR}")
    return moment


NOT_EMPTY: dict[str, JsonValue] = {"minLength": 1}
Identifier = Annotated[
    str, BeforeValidator(identifier), Field(max_length=LONGEST_IDENTIFIER, json_schema_extra=NOT_EMPTY)
]
"""Names a customer, an article, a terminal; see `identifier`."""
Article = Annotated[
    str,
    BeforeValidator(identifier),
    Field(max_length=LONGEST_IDENTIFIER, description="the shop's article number", json_schema_extra=NOT_EMPTY),
]
Code = Annotated[str, BeforeValidator(code), Field(max_length=100, json_schema_extra=NOT_EMPTY)]
"""Names an article, a terminal, a channel in what is stored as it was sent; see `code`."""
Moment = Annotated[
    datetime,
    BeforeValidator(_told_as_text),
    AfterValidator(_in_calendar),
    Field(description="local time of the shop, or with an offset; years 1971 to 2200"),
]
ShopTime = Annotated[
    datetime, WithJsonSchema({"type": "string", "description": "local time of the shop: ISO 8601 without an offset"})
]
"""Of an answer; OpenAPI's `date-time` would have an offset."""
Day = Annotated[date, BeforeValidator(_told_as_text), AfterValidator(_in_calendar)]
