"""Where the server learns what is live and gets its bytes: the registry, behind the two verbs it needs."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from ml.config import Settings
from ml.contract import JsonObject
from ml.registry.evidence import ensure_accepted
from ml.registry.ledger import Ledger
from ml.registry.live import Live
from ml.registry.memory import Memory, memory_path


class Versions(Protocol):
    """What is live, and the verified files of a version."""

    def live(self, use_case: str) -> Live | None:
        """Return what is live; none if nothing ever was."""
        ...

    def ensure_accepted(self, live: Live) -> None:
        """Look at the gate report behind a move; raise `GateFailed` if it refuses the version."""
        ...

    def fetch(self, use_case: str, digest: str, folder: Path) -> Path:
        """Bring a version's files into a folder, verified, and return the folder they are in."""
        ...

    def record(self, use_case: str, digest: str) -> JsonObject:
        """Return what promotion signed about a version."""
        ...

    def strangers(self, use_case: str) -> tuple[str, ...]:
        """Return the keys of objects in the ledger that are no entries."""
        ...


class RegistryVersions:
    """One channel of the registry; each ledger entry is read and verified once, and the highest is kept in mind."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._ledgers: dict[str, Ledger] = {}
        self._memory = Memory(memory_path(settings.home))

    def live(self, use_case: str) -> Live | None:
        """Return what the verified ledger says is live on the settings' channel."""
        if use_case in self._ledgers:
            self._ledgers[use_case].refresh()
        else:
            self._ledgers[use_case] = self._opened(use_case)
        view = self._ledgers[use_case]
        self._memory.keep(use_case, view.mark())
        return view.live(self._settings.channel)

    def ensure_accepted(self, live: Live) -> None:
        """Look at the gate report that the version's signed record names."""
        ensure_accepted(self._settings, live.use_case, live.digest, live.gate)

    def fetch(self, use_case: str, digest: str, folder: Path) -> Path:
        """Download, verify and unpack a version."""
        from ml.registry.fetch import fetch_version

        return fetch_version(self._settings, use_case, digest, folder)

    def record(self, use_case: str, digest: str) -> JsonObject:
        """Return the newest version record that a trusted key signed."""
        from ml.registry.fetch import fetch_record

        return fetch_record(self._settings, use_case, digest).payload

    def strangers(self, use_case: str) -> tuple[str, ...]:
        """Return what lies among a ledger's entries and is none; looked at again only while there is some."""
        view = self._ledgers.get(use_case)
        return view.strangers() if view else ()

    def _opened(self, use_case: str) -> Ledger:
        """Return the ledger, held against the checkpoints, the pointers and what this server saw before."""
        view = Ledger.open(self._settings, use_case, self._memory.mark(use_case))
        view.stale_channels()
        return view
