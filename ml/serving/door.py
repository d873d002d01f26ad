"""What is personal stops here: identifiers become pseudonyms before a request is answered, logged or stored."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import Any

from pydantic import BaseModel

from ml.config import Settings
from ml.contract import JsonObject, UseCase
from ml.field import identifier
from ml.privacy.pseudonym import pseudonym, read_key
from ml.privacy.redact import redact
from ml.shop_time import Zone, local


class Door:
    """The door of one use case.

    A field that bears the name of a raw column is treated as `anonymise` treats that column: pseudonyms are the
    same here and there, free text is redacted, dropped and encrypted columns do not enter.
    """

    def __init__(self, settings: Settings, use_case: UseCase) -> None:
        columns = [column for table in use_case.data.tables for column in table.columns]
        identity = use_case.service.identity
        self._hidden = {column.name for column in columns if column.treatment == "pseudonym"}
        self._hidden |= ({identity} if identity else set()) | use_case.service.hidden
        self._digested = use_case.service.digested
        self._dropped = {column.name for column in columns if column.treatment in ("drop", "encrypt")} - self._hidden
        self._written = {
            column.name: re.compile(column.keeps) if column.keeps else None
            for column in columns
            if column.treatment == "redact" and column.name not in self._hidden
        }
        self._times = tuple(dict.fromkeys(t.time_column for t in use_case.data.tables if t.time_column))
        self._identity = identity
        self._is_proved = use_case.service.is_proved
        self._key = read_key(settings) if self._hidden | self._digested else b""

    def admit(self, request: BaseModel, unit: str | None, zone: Zone) -> tuple[BaseModel, str | None]:
        """Return the request without personal values and with all times as the shop's local ones, and its customer's pseudonym.

        Args:
            request: As the client sent it.
            zone: In which times with an offset are told.
            unit: A pseudonym the client holds already (the platform's own parts know no other name); where identity must be
                proved, the one its token proves, or none: what the request says then does not count.
        """
        fields = self.hide(_told(request.model_dump(exclude_unset=True), zone))
        if self._identity is not None and (unit is not None or self._is_proved):
            fields[self._identity] = unit
        known = fields.get(self._identity) if self._identity else None
        return type(request).model_validate(fields), known

    def unit(self, value: str) -> str:
        """Return the pseudonym of a customer; raise `ValueError` where it is no identifier."""
        return pseudonym(self._key, self._identity or "unit", identifier(value))

    def digest(self, field: str, value: str) -> str:
        """Return the keyed digest of what a field holds."""
        return pseudonym(self._key, field, value)

    def event(self, event: BaseModel, zone: Zone) -> JsonObject:
        """Return an event as it is kept: plain JSON, without personal values, its times the shop's local ones."""
        kept: JsonObject = self.hide(_plain(_told(event.model_dump(exclude_unset=True), zone)))
        return kept

    def logged(self, line: Any, history: JsonObject | None = None) -> Any:
        """Return what a line of the log holds of an answer or an event: digests where the use case says so.

        Args:
            line: Plain JSON.
            history: What the answer rested on: what it holds under such a field is found in the answer's words, too.
        """
        if not self._digested:
            return line
        known = dict(self._found(history or {})) | dict(self._found(line))
        longest = sorted(known, key=len, reverse=True)
        return _replaced(line, re.compile("|".join(map(re.escape, longest))), known) if known else line

    def _found(self, value: Any) -> Iterator[tuple[str, str]]:
        """Yield what digested fields hold at any depth, and its digest."""
        if isinstance(value, Mapping):
            for name, item in value.items():
                held = item if isinstance(item, list) else [item]
                if name in self._digested:
                    yield from ((one, self.digest(name, one)) for one in held if isinstance(one, str) and one)
                yield from self._found(item)
        elif isinstance(value, list):
            for item in value:
                yield from self._found(item)

    def hide(self, value: Any) -> Any:
        """Return a JSON value with identifiers replaced and dropped columns left out, at any depth."""
        if isinstance(value, Mapping):
            return {name: self._field(name, item) for name, item in value.items() if name not in self._dropped}
        if isinstance(value, list):
            return [self.hide(item) for item in value]
        return value

    def time_of(self, event: JsonObject, arrived: datetime) -> str:
        """Return when an event happened, or when it arrived if it does not say; both the shop's local time."""
        said = next((event[name] for name in self._times if event.get(name)), None)
        moment = arrived if said is None else datetime.fromisoformat(str(said))
        return moment.isoformat(timespec="microseconds")

    def _field(self, name: str, value: Any) -> Any:
        if name not in self._hidden and name not in self._written:
            return self.hide(value)
        if isinstance(value, list):
            return [self._field(name, item) for item in value]
        if name in self._written:
            return redact(value, keep=self._written[name]).text if isinstance(value, str) else self.hide(value)
        return None if value is None else pseudonym(self._key, name, str(value).strip())


def _told(value: Any, zone: Zone) -> Any:
    """Return a value whose times are all the shop's local ones."""
    if isinstance(value, Mapping):
        return {name: _told(item, zone) for name, item in value.items()}
    if isinstance(value, list):
        return [_told(item, zone) for item in value]
    return local(value, zone) if isinstance(value, datetime) else value


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.isoformat() if isinstance(value, date) else value


def _replaced(value: Any, form: re.Pattern[str], known: Mapping[str, str]) -> Any:
    if isinstance(value, Mapping):
        return {name: _replaced(item, form, known) for name, item in value.items()}
    if isinstance(value, list):
        return [_replaced(item, form, known) for item in value]
    return form.sub(lambda found: known[found[0]], value) if isinstance(value, str) else value
