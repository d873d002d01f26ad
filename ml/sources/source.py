"""What every source can do: say what it holds up to a day, and hand it over in the contract's types."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, get_args
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ml.contract import JsonObject, Table
from ml.errors import ConfigInvalid

if TYPE_CHECKING:
    import pyarrow as pa

Kind: TypeAlias = Literal["complete_journey", "files", "sql", "online_retail", "several"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Clock: TypeAlias = Literal["wall", "replay"]
LATER = "Ask for a later date; a day that is not over where the shop is counts from tomorrow on."


class SourceSpec(BaseModel):
    """The `source` section of `params.yaml`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind
    """Which source."""
    parts: tuple[PartSpec, ...] = ()
    """`several`: the sources that together hold the tables; the first one's clock and days count."""
    location: str | None = None
    """`files`: a folder or `s3://bucket/prefix`; `sql`: a SQLAlchemy URL without its password."""
    mapping: str | dict[str, Any] | None = None
    """The column mapping, or the path of its YAML file: absolute, relative to `location`, or `s3://`."""
    clock: Clock | None = None
    """`wall`: logical dates are dates of the data; `replay`: they are shifted and clamped to the recorded days."""
    replay_shift_days: int = Field(0, ge=-36500, le=36500)
    """Added to the logical date before it is clamped [days]; for the clock `replay` only."""


class PartSpec(SourceSpec):
    """One of several sources."""

    tables: tuple[str, ...] = Field(min_length=1)
    """What it holds."""


@dataclass(frozen=True, kw_only=True)
class SourceState:
    """What a source holds for one logical date."""

    clock: Clock
    as_of_data: date
    """The newest day of the data that is over, not later than the logical date on the data's own clock: the run's "now"."""
    last_day: date
    """The newest day with data that is not later than `as_of_data`."""
    digest: str
    """Digest of everything up to `last_day` and of the mapping; a later date without new data leaves it."""
    time_zone: str | None = None
    """IANA zone in which the tables' times are told; none where the source says none."""


class Source(Protocol):
    """A place that holds the shop's tables."""

    def freeze(self, tables: Sequence[Table], as_of_requested: date, now: datetime | None = None) -> SourceState:
        """Return what the source holds of these tables for a logical date, without a day that is not over.

        Args:
            tables: The use case's.
            as_of_requested: The logical date.
            now: The moment at which it is asked, with its offset; none means this one.

        Raises:
            SourceInvalid: A table or column is missing, or there is no row up to that date.
        """
        ...

    def digest(self, tables: Sequence[Table], last_day: date) -> str:
        """Return the digest of what `read` yields of these tables up to a day."""
        ...

    def read(self, table: Table, last_day: date) -> Iterator[pa.Table]:
        """Yield a table's rows up to a day in chunks, in the contract's columns and types.

        A table that is replaced whole comes as it stood on that day; an optional one that the
        source lacks yields nothing.

        Raises:
            SourceInvalid: The table or a column is missing, or a value has the wrong type.
        """
        ...


def parse_spec(spec: JsonObject) -> SourceSpec:
    """Return the typed section; raise `ConfigInvalid` where it is not valid."""
    try:
        return SourceSpec.model_validate(spec)
    except ValidationError as error:
        faults = "; ".join(f"source.{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ConfigInvalid(
            "a valid `source` section", faults, "Correct the keys named; see docs/sources.md."
        ) from error


def ended(requested: date, zone: str | None, now: datetime | None) -> date:
    """Return the newest day that is over where the shop is, not later than the one requested.

    A day that goes on still lacks rows: whoever learned from it would take a quiet morning for a bad day.

    Args:
        requested: The logical date.
        zone: IANA zone of the shop; none means UTC.
        now: With its offset; none means this moment.
    """
    here = (now or datetime.now(UTC)).astimezone(ZoneInfo(zone) if zone else UTC)
    return min(requested, here.date() - timedelta(days=1))


def replay(requested: date, shift_days: int, first: date, last: date) -> date:
    """Map a logical date onto recorded days: shifted, then clamped to first..last."""
    return min(max(requested + timedelta(days=shift_days), first), last)
