"""How a shop's own tables and columns become ours: a typed YAML file."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from ml.contract import Table
from ml.errors import ConfigInvalid
from ml.parameter import ensure_known
from ml.sources.describe import like
from ml.sources.time_format import fault_of

MAPPING_SCHEMA = "tradewind/mapping/1"
NO_VALUE = ("NULL", "null", "\\N", "-", "N/A", "n/a", "#N/A", "NaN", "nan")
"""What means a missing value in a CSV file where the mapping says nothing; an empty field always does."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


def _known_zone(value: str | None) -> str | None:
    if value is not None:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("no IANA time zone, such as Europe/Berlin") from None
    return value


ZoneName = Annotated[str | None, AfterValidator(_known_zone)]


class ColumnMapping(_Strict):
    """Where one of our columns comes from."""

    source: str | None = Field(None, alias="from")
    """Their column; none means our name."""
    constant: str | int | float | bool | None = None
    """The same value in every row, instead of a column."""
    format: str | None = None
    """Of a text timestamp, as in `strptime`: `%d.%m.%Y %H:%M`; none means ISO 8601."""
    time_zone: ZoneName = None
    """IANA zone of the shop's local time, `Europe/Berlin`: times with an offset are told in it, those without are in it."""
    divide_by: float = Field(1, gt=0, allow_inf_nan=False)
    """For amounts in a smaller unit: 100 turns cents into the currency."""
    verbatim: bool = False
    """Take an identifier as it is written, also where it looks like a decimal number: `1E3`, `39.0`."""

    @field_validator("format")
    @classmethod
    def _readable_format(cls, value: str | None) -> str | None:
        if value is not None and (fault := fault_of(value)):
            raise ValueError(fault)
        return value

    @model_validator(mode="after")
    def _one_origin(self) -> ColumnMapping:
        if self.source is not None and self.constant is not None:
            raise ValueError("give either `from` or `constant`")
        if self.constant is None and "constant" in self.model_fields_set:
            raise ValueError("`constant` has no value")
        return self


class TableMapping(_Strict):
    """Where one of our tables comes from."""

    source: str | None = Field(None, alias="from")
    """Their table, file or folder; none means our name."""
    columns: Mapping[str, ColumnMapping] = Field(default_factory=dict)
    """Our column ← theirs; one that is not listed is taken under our name."""
    delimiter: str = Field(",", pattern=r"^[\t -!#-/:-@\[-`{-~]$")
    """Between CSV fields: one ASCII sign or a tab, no letter, digit or quote."""
    decimal: Literal[".", ","] = "."
    """Decimal mark of numbers that are text."""
    grouping: Literal[".", ",", " ", "'"] | None = None
    """Between groups of three digits; none means the other mark, where the number can be read in one way only."""
    encoding: str = "utf-8"
    """Of CSV and Markdown files, as Python names it."""
    time_zone: ZoneName = None
    """Of its columns that name none; by default the mapping's."""
    missing: tuple[str, ...] | None = None
    """What means a missing value beside an empty one; none means `NO_VALUE` for CSV, and nothing for Parquet and databases."""

    def theirs(self, ours: str) -> str | None:
        """Return their name of one of our columns; none where a constant stands in its place."""
        mapped = self.columns.get(ours, ColumnMapping())
        return None if mapped.constant is not None else mapped.source or ours

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str) -> str:
        try:
            "".encode(codecs.lookup(value).name)  # bytes to bytes, such as base64, is no encoding of text
        except (LookupError, ValueError):
            raise ValueError("no encoding of text, such as utf-8, utf-16-le, latin-1 or gb18030") from None
        return value

    @field_validator("missing", mode="before")
    @classmethod
    def _as_text(cls, value: Any) -> Any:
        """Return the listed words as text: unquoted `NULL` and `0` are no text in YAML."""
        return [_word(one) for one in value] if isinstance(value, list | tuple) else value

    @model_validator(mode="after")
    def _marks_differ(self) -> TableMapping:
        if self.grouping == self.decimal:
            raise ValueError("`grouping` and `decimal` are the same mark")
        return self

    @field_validator("columns", mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        return {name: {"from": item} if isinstance(item, str) else item for name, item in value.items()}


def _word(value: Any) -> Any:
    if value is None:
        return "NULL"
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


class SourceMapping(_Strict):
    """A shop's mapping file."""

    schema_: Literal["tradewind/mapping/1"] = Field("tradewind/mapping/1", alias="schema")
    time_zone: ZoneName = None
    """IANA zone of the shop's local time, for all columns that name none; the model server tells times in it, too."""
    tables: Mapping[str, TableMapping] = Field(default_factory=dict)

    def of(self, table: Table) -> TableMapping:
        """Return the mapping of one of our tables; ours under our names where nothing is said."""
        mapped = self.tables.get(table.name, TableMapping())
        return mapped if mapped.time_zone else mapped.model_copy(update={"time_zone": self.time_zone})

    def zone(self, tables: Iterable[Table]) -> str | None:
        """Return the zone in which the times of these tables are told; none where nothing says one.

        Raises:
            ConfigInvalid: They are told in several: the model server could not tell a request's time as the shop's.
        """
        found = {zone for table in tables for zone in self._zones(table)} - {None}
        if len(found) > 1:
            raise ConfigInvalid(
                "one time_zone for all times that a use case reads",
                ", ".join(sorted(map(str, found))),
                "Correct the mapping: the shop's local time is one.",
            )
        return found.pop() if found else None

    def _zones(self, table: Table) -> Iterator[str | None]:
        mapped = self.of(table)
        for column in table.columns:
            if column.type == "timestamp":
                own = mapped.columns.get(column.name)
                yield own.time_zone if own and own.time_zone else mapped.time_zone

    def check(self, tables: Mapping[str, Table]) -> None:
        """Refuse columns that the contract does not have, and tables that are one of its own misspelt.

        Raises:
            ConfigInvalid: A mapped column is unknown to its table, or a table looks like one that is not mapped.
        """
        unmapped = [name for name in tables if name not in self.tables]
        for name, mapped in self.tables.items():
            if name in tables:
                ensure_known(
                    f"tables.{name}.columns of the mapping", mapped.columns, (c.name for c in tables[name].columns)
                )
            elif close := like(name, unmapped):  # others may be read by another use case
                raise ConfigInvalid(f"the table {close} in the mapping", name, "Correct its name.")


def parse_mapping(value: str | bytes | Mapping[str, Any] | None) -> SourceMapping:
    """Return the mapping from YAML text, a parsed one, or none for our own names throughout.

    Raises:
        ConfigInvalid: It is no YAML, or has unknown or contradictory keys.
    """
    try:
        loaded = yaml.safe_load(value) if isinstance(value, str | bytes) else value
        return SourceMapping.model_validate(loaded or {})
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)  # the message itself quotes the file, whatever file it is
        line = f"a fault in line {mark.line + 1}" if mark else "a fault"
        raise ConfigInvalid("YAML in the column mapping", line, "Correct the file.") from error
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ConfigInvalid("a valid column mapping", faults, "Correct the keys named; see docs/sources.md.") from error
