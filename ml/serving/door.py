"""What is personal stops here: identifiers become pseudonyms before a request is answered, logged or stored."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel

from ml.config import Settings
from ml.contract import JsonObject, UseCase
from ml.privacy.pseudonym import pseudonym, read_key
from ml.privacy.redact import redact


class Door:
    """The door of one use case.

    A field that bears the name of a raw column is treated as `anonymise` treats that column: pseudonyms are the
    same here and there, free text is redacted, dropped and encrypted columns do not enter.
    """

    def __init__(self, settings: Settings, use_case: UseCase) -> None:
        columns = [column for table in use_case.data.tables for column in table.columns]
        identity = use_case.service.identity
        self._hidden = {column.name for column in columns if column.treatment == "pseudonym"}
        self._hidden |= {identity} if identity else set()
        self._dropped = {column.name for column in columns if column.treatment in ("drop", "encrypt")} - self._hidden
        self._written = {
            column.name: re.compile(column.keeps) if column.keeps else None
            for column in columns
            if column.treatment == "redact" and column.name not in self._hidden
        }
        self._times = tuple(dict.fromkeys(t.time_column for t in use_case.data.tables if t.time_column))
        self._identity = identity
        self._is_proved = use_case.service.is_proved
        self._key = read_key(settings) if self._hidden else b""

    def admit(self, request: BaseModel, unit: str | None) -> tuple[BaseModel, str | None]:
        """Return the request without personal values, and its customer's pseudonym.

        Args:
            request: As the client sent it.
            unit: A pseudonym the client holds already (the platform's own parts know no other name); where identity must be
                proved, the one its token proves, or none: what the request says then does not count.
        """
        fields = self.hide(request.model_dump(mode="json", exclude_unset=True))
        if self._identity is not None and (unit is not None or self._is_proved):
            fields[self._identity] = unit
        known = fields.get(self._identity) if self._identity else None
        return type(request).model_validate(fields), known

    def unit(self, value: str) -> str:
        """Return the pseudonym of a customer."""
        return pseudonym(self._key, self._identity or "unit", value)

    def hide(self, value: Any) -> Any:
        """Return a JSON value with identifiers replaced and dropped columns left out, at any depth."""
        if isinstance(value, Mapping):
            return {name: self._field(name, item) for name, item in value.items() if name not in self._dropped}
        if isinstance(value, list):
            return [self.hide(item) for item in value]
        return value

    def time_of(self, event: JsonObject, arrived: datetime) -> str:
        """Return when an event happened on the data's own clock, or when it arrived if it does not say."""
        said = next((event[name] for name in self._times if event.get(name)), None)
        moment = arrived if said is None else datetime.fromisoformat(str(said))
        return _naive(moment).isoformat(timespec="microseconds")

    def _field(self, name: str, value: Any) -> Any:
        if name not in self._hidden and name not in self._written:
            return self.hide(value)
        if isinstance(value, list):
            return [self._field(name, item) for item in value]
        if name in self._written:
            return redact(value, keep=self._written[name]).text if isinstance(value, str) else self.hide(value)
        return None if value is None else pseudonym(self._key, name, str(value))


def _naive(moment: datetime) -> datetime:
    return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)
