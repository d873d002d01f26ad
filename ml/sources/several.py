"""Several sources that together hold a use case's tables: purchases in a database, pages in a folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import TYPE_CHECKING

from ml.contract import Table
from ml.errors import ConfigInvalid
from ml.files import canonical, sha256
from ml.sources.source import Source, SourceState

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, kw_only=True)
class Part:
    """One source and what it holds."""

    tables: frozenset[str]
    source: Source


class Several:
    """Sources one after another; the first one's clock and days count, and it is asked for what no part names.

    Raises:
        ConfigInvalid: There is no part, or two hold the same table.
    """

    def __init__(self, parts: Sequence[Part]) -> None:
        named = [name for part in parts for name in part.tables]
        if not parts or len(named) != len(set(named)):
            raise ConfigInvalid("source.parts that share no table", f"{sorted(named)}", "Name each table in one part.")
        self._parts = parts

    def freeze(self, tables: Sequence[Table], as_of_requested: date, now: datetime | None = None) -> SourceState:
        """Return what the first part holds, with the digest of all."""
        states = [part.source.freeze(own, as_of_requested, now) for part, own in self._split(tables)]
        zones = {state.time_zone for state in states} - {None}
        if len(zones) > 1:
            raise ConfigInvalid(
                "one time zone for all parts of a source", ", ".join(sorted(map(str, zones))), "Correct the mappings."
            )
        first = _without_today(states)
        digest = self.digest(tables, first.last_day)
        return replace(first, digest=digest, time_zone=zones.pop() if zones else None)

    def digest(self, tables: Sequence[Table], last_day: date) -> str:
        """Return the digest of the parts' digests."""
        return sha256(canonical([part.source.digest(own, last_day) for part, own in self._split(tables)]))

    def read(self, table: Table, last_day: date) -> Iterator[pa.Table]:
        """Yield the table from the part that holds it."""
        (part,) = (part for part, own in self._split([table]) if own)
        return part.source.read(table, last_day)

    def _split(self, tables: Sequence[Table]) -> list[tuple[Part, list[Table]]]:
        """Return each part with its tables."""
        elsewhere = {name for part in self._parts[1:] for name in part.tables}
        first = (self._parts[0], [table for table in tables if table.name not in elsewhere])
        return [first, *((part, [table for table in tables if table.name in part.tables]) for part in self._parts[1:])]


def _without_today(states: Sequence[SourceState]) -> SourceState:
    """Return the first state; where it holds nothing that bears a date, up to the day that is over in the others."""
    first = states[0]
    over = min(state.as_of_data for state in states if state.clock == first.clock)
    return replace(first, as_of_data=min(first.as_of_data, over), last_day=min(first.last_day, over))
