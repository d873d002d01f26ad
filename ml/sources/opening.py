"""Opens the source that a run reads, by its kind."""

from __future__ import annotations

from ml.config import Settings
from ml.contract import JsonObject
from ml.sources.source import Source, SourceSpec, parse_spec


def open_source(spec: JsonObject, settings: Settings) -> Source:
    """Open the source that a `source` section describes; the kind's libraries load here, not before.

    Raises:
        ConfigInvalid: The section has an unknown key or kind, or lacks what its kind needs.
        SourceInvalid: The source is not where the section says.
    """
    return _opened(parse_spec(spec), settings)


def _opened(parsed: SourceSpec, settings: Settings) -> Source:
    if parsed.location is not None:
        parsed = parsed.model_copy(update={"location": settings.source_locations.get(parsed.location, parsed.location)})
    match parsed.kind:
        case "complete_journey":
            from ml.sources.complete_journey import CompleteJourney

            return CompleteJourney.open(parsed)
        case "files":
            from ml.sources.landing_zone import LandingZone

            return LandingZone.open(parsed, settings)
        case "sql":
            from ml.sources.sql import Database

            return Database.open(parsed, settings)
        case "online_retail":
            from ml.sources.online_retail import OnlineRetail

            return OnlineRetail.open(parsed, settings)
        case "several":
            from ml.sources.several import Part, Several

            return Several(
                [Part(tables=frozenset(part.tables), source=_opened(part, settings)) for part in parsed.parts]
            )
