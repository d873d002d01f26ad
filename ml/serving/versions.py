"""Where the server learns what is live and gets its bytes: the registry, behind the two verbs it needs."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from ml.config import Settings
from ml.contract import JsonObject
from ml.registry.ledger import Ledger
from ml.registry.live import Live

CHANNEL = "production"


class Versions(Protocol):
    """What is live, and the verified files of a version."""

    def live(self, use_case: str) -> Live | None:
        """Return what is live; none if nothing ever was."""
        ...

    def fetch(self, use_case: str, digest: str, folder: Path) -> Path:
        """Bring a version's files into a folder, verified, and return the folder they are in."""
        ...

    def record(self, use_case: str, digest: str) -> JsonObject:
        """Return what promotion signed about a version."""
        ...


class RegistryVersions:
    """The registry's production channel; each ledger entry is read and verified once."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._ledgers: dict[str, Ledger] = {}

    def live(self, use_case: str) -> Live | None:
        """Return what the verified ledger says is in production."""
        if use_case in self._ledgers:
            self._ledgers[use_case].refresh()
        else:
            self._ledgers[use_case] = Ledger.open(self._settings, use_case)
        return self._ledgers[use_case].live(CHANNEL)

    def fetch(self, use_case: str, digest: str, folder: Path) -> Path:
        """Download, verify and unpack a version."""
        from ml.registry.fetch import fetch_version

        return fetch_version(self._settings, use_case, digest, folder)

    def record(self, use_case: str, digest: str) -> JsonObject:
        """Return the newest version record that a trusted key signed."""
        from ml.registry.fetch import fetch_record

        return fetch_record(self._settings, use_case, digest).payload
