"""The one rule by which a time with an offset is told as the shop's local time while serving; `ml.sources.times` is its twin.

The source's zone travels in the fitted state of a version, so that both agree: with a zone, an instant is told in it; without,
it stands as it is written, as ingest leaves it. Of versions from before this rule it is told in UTC, as it always was. A time
without an offset is the shop's local time already; in the hour that clocks repeat in autumn, both instants get the same one.
"""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from typing import Literal, TypeAlias
from zoneinfo import ZoneInfo

from ml.contract import JsonObject

TIME_ZONE = "time_zone"
"""Of a fitted state: IANA name of the zone of the shop's local time; null where the source says none."""

Zone: TypeAlias = tzinfo | Literal["as written"]


def zone_of(state: JsonObject) -> Zone:
    """Return the zone in which a version's shop tells its times."""
    if TIME_ZONE not in state:
        return UTC
    name = state[TIME_ZONE]
    return "as written" if name is None else ZoneInfo(name)


def local(moment: datetime, zone: Zone) -> datetime:
    """Return the shop's local time, without an offset."""
    if moment.tzinfo is None or zone == "as written":
        return moment.replace(tzinfo=None, fold=0)
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)
