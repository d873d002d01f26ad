"""Which places a run may read its source from: asked when a run is frozen, and again before each ingest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from ml.config import Settings
from ml.contract import JsonObject
from ml.errors import ConfigInvalid
from ml.sources.location import LISTED, PROJECT, ensure_listed, is_listed, resolve

PARAMS = "params.yaml"


def configured(settings: Settings, project: Path = PROJECT) -> Settings:
    """Return the settings with the places that the project's own `params.yaml` names among those that may be read.

    Only who may change the installed project can change that file: it is not the copy that travels with a run.
    """
    sections = yaml.safe_load((project / PARAMS).read_text(encoding="utf-8"))
    own = {f"{PARAMS}: {use_case}": section.get("source", {}) for use_case, section in sections.items()}
    found = {
        f"{name} {number}".removesuffix(" 0"): resolve(place, settings)
        for name, spec in own.items()
        for number, place in enumerate(locations(spec))
    }
    return settings.model_copy(update={"source_locations": {**found, **settings.source_locations}})


def admitted(settings: Settings, source: Mapping[str, Any]) -> JsonObject:
    """Return what a form or a run asks of the source, with names of places replaced by the places.

    Args:
        settings: Those of `configured`.
        source: The keys of a `source` section that are asked for.

    Raises:
        ConfigInvalid: It names a place that nobody configured, or a mapping elsewhere.
    """
    ensure_places(settings, source)
    _ensure_mapping(settings, source.get("mapping"))
    if not isinstance(source.get("location"), str):
        return dict(source)
    return {**source, "location": resolve(source["location"], settings)}


def ensure_places(settings: Settings, source: Mapping[str, Any]) -> None:
    """Refuse a `source` section that names a place which nobody configured; its mapping is the operator's or was admitted before.

    Raises:
        ConfigInvalid: It does.
    """
    for place in locations(source):
        ensure_listed(resolve(place, settings), settings.source_locations.values())


def locations(source: Mapping[str, Any]) -> Iterator[str]:
    """Yield the places that a `source` section names, its parts' included."""
    parts = source.get("parts") or ()
    for one in (source, *(part for part in parts if isinstance(part, Mapping))):
        if isinstance(one.get("location"), str):
            yield one["location"]


def _ensure_mapping(settings: Settings, mapping: object) -> None:
    """Refuse a mapping's path that leads out of the location and of every configured folder."""
    if not isinstance(mapping, str):
        return
    path = PurePosixPath(mapping)
    is_below = not path.is_absolute() and ".." not in path.parts and not mapping.startswith("~")
    folders = [place for place in settings.source_locations.values() if "://" not in place]
    if "://" in mapping or not (is_below or is_listed(mapping, folders)):
        raise ConfigInvalid("a source.mapping below the location or a configured folder", "another path", LISTED)
