"""What the served version asks of a request beside its schema, such as how many weeks its model was trained on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

from pydantic import BaseModel

from ml.contract import Limits, Unfit

Place: TypeAlias = tuple[str | int, ...]


def check(request: BaseModel, limits: Limits) -> None:
    """Refuse a request that does not keep to the limits.

    Raises:
        Unfit: With the first field that does not.
    """
    for model, place in _models(request, ()):
        for name in type(model).model_fields:
            keywords = limits.get(f"{type(model).__name__}.{name}", {})
            expected = _broken(getattr(model, name), keywords)
            if expected:
                raise Unfit((*place, name), expected)


def _models(value: Any, place: Place) -> Iterator[tuple[BaseModel, Place]]:
    if isinstance(value, BaseModel):
        yield value, place
        value = {name: getattr(value, name) for name in type(value).model_fields}
    named = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in named:
        yield from _models(item, (*place, name))


def _broken(value: Any, keywords: Any) -> str | None:
    """Return what was expected instead of a value; none where it keeps to the limits."""
    if value is None:
        return None
    least, most = keywords.get("minItems", 0), keywords.get("maxItems")
    if most is not None and not least <= len(value) <= most:
        return f"{most} values" if least == most else f"{least} to {most} values"
    if "maximum" in keywords and value > keywords["maximum"]:
        return f"at most {keywords['maximum']}"
    return None
