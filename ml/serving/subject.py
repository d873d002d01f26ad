"""Whose histories count for a request or an event: the customer's, and those of what else it names, such as a terminal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_args, get_origin

from ml.contract import JsonObject, Service

MARK = "="  # between field and value; no pseudonym has one


def unit_of(field: str, value: object) -> str:
    """Return the unit under which the history of something that is no customer is kept."""
    return f"{field}{MARK}{value}"


def is_customer(unit: str) -> bool:
    """Tell whether a unit is a customer's pseudonym."""
    return MARK not in unit


@dataclass(frozen=True)
class Subjects:
    """The subjects of one use case."""

    service: Service

    def units(self, field_of: Callable[[str], Any], customer: str | None) -> list[str]:
        """Return the units that a request or an event names, the customer first.

        Args:
            field_of: Returns a field of the request or the event; none where it has no such field.
            customer: The customer's pseudonym, if one is named.
        """
        named = {name: field_of(name) for name in self.service.related}
        values = {name: value if isinstance(value, list) else [value] for name, value in named.items()}
        others = [unit_of(name, one) for name, several in values.items() for one in several if one is not None]
        return [*([customer] if customer else []), *others]

    def history(self, units: list[str], look: Callable[[str], JsonObject | None]) -> JsonObject | None:
        """Return what is known of all of them: the customer's own history, and under each other field what it has.

        Under a field that is a list: what each of its values has, by value.
        """
        known = {unit: found for unit in units if (found := look(unit)) is not None}
        merged: JsonObject = {}
        for unit, found in known.items():
            field, _, value = unit.partition(MARK)
            if is_customer(unit):
                merged |= found
            elif self._is_list(field):
                merged.setdefault(field, {})[value] = found
            else:
                merged[field] = found
        return merged if known else None

    def observe(self, unit: str, history: JsonObject | None, event: JsonObject) -> JsonObject:
        """Return a unit's history after an event."""
        observe = self.service.observe if is_customer(unit) else self.service.related[unit.partition(MARK)[0]]
        return observe(history, event)

    def _is_list(self, field: str) -> bool:
        """Tell whether a request names several of a field."""
        told = self.service.request.model_fields.get(field)
        kinds = (told.annotation, *get_args(told.annotation)) if told else ()
        return any(get_origin(kind) is list for kind in kinds)
