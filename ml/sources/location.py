"""Which places a source may read: those that the operator configured, by name or exactly as written; and who gets a password.

A form's reader may name any place; this machine would connect to it, and hand it the database's password. So a run reads only what
`TRADEWIND_SOURCE_LOCATIONS` or the project's `params.yaml` lists, and the password goes to a listed account alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import sqlalchemy as sa

import ml
from ml.config import Settings
from ml.errors import ConfigInvalid

PROJECT = Path(ml.__file__).parent.parent
S3 = "s3://"
LISTED = "Choose one of those that TRADEWIND_SOURCE_LOCATIONS lists, or ask the operator to add it."


def resolve(location: str, settings: Settings) -> str:
    """Return the configured place that a name stands for; a place stands for itself."""
    return settings.source_locations.get(location, location)


def is_listed(location: str, listed: Iterable[str]) -> bool:
    """Tell whether a place is one of those listed, or lies below a listed folder or S3 prefix."""
    return any(_is_within(location, place) for place in listed)


def ensure_listed(location: str, listed: Iterable[str]) -> None:
    """Refuse a place that is not listed.

    Raises:
        ConfigInvalid: It is not; the message does not repeat it, for it may hold a password.
    """
    if not is_listed(location, listed):
        raise ConfigInvalid("a source.location that the operator configured", "another one", LISTED)


def password(url: sa.URL, settings: Settings) -> str | None:
    """Return the password for a database's account; none where none is set.

    Driver, user, host, port, database and options have to be those of one configured place: an option may name another host.

    Raises:
        ConfigInvalid: There is a password, and nothing says that it belongs to this account.
    """
    if settings.source_password is None or url.get_backend_name() == "sqlite":
        return None
    owner = settings.source_password_for
    listed = settings.source_locations
    databases = {name: found for name, place in listed.items() if (found := _database(place)) is not None}
    own = {name: found for name, found in databases.items() if owner in ("", name)}
    if url not in own.values():
        raise ConfigInvalid(
            "a database that TRADEWIND_SOURCE_PASSWORD belongs to",
            f"{url.render_as_string(hide_password=True)}, which is not configured",
            "List it in TRADEWIND_SOURCE_LOCATIONS (and TRADEWIND_SOURCE_PASSWORD_FOR), or correct the location.",
        )
    if len({one.set(database="any") for one in own.values()}) > 1:
        raise ConfigInvalid(
            "TRADEWIND_SOURCE_PASSWORD_FOR: the name of the database that the password belongs to",
            f"several accounts: {', '.join(sorted(own))}",
            "Set it to one of them.",
        )
    return settings.source_password.get_secret_value()


def _is_within(location: str, place: str) -> bool:
    if location.startswith(S3) or place.startswith(S3):
        return location == place or location.startswith(f"{place.rstrip('/')}/")
    if "://" in location or "://" in place:
        asked = _database(location)
        return asked is not None and asked == _database(place)
    return folder_of(location).is_relative_to(folder_of(place))


def folder_of(location: str) -> Path:
    """Return the folder that a location names, absolutely or relative to the project; links are followed."""
    return (PROJECT / Path(location).expanduser()).resolve()


def _database(location: str) -> sa.URL | None:
    if "://" not in location or location.startswith(S3):
        return None
    try:
        return sa.make_url(location)
    except (sa.exc.ArgumentError, ValueError):
        return None
