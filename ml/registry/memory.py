"""The newest ledger entry a machine ever saw, on its own disk: a ledger without it was cut, replaced or set back."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from ml.errors import IntegrityBroken
from ml.files import parse_object, write_json
from ml.registry.checkpoint import Mark

MEMORY_BYTES = 1024 * 1024


def memory_path(home: Path) -> Path:
    """Return where the model server of a home keeps its memory."""
    return home / "server" / "ledger.json"


class Memory:
    """The marks of all use cases in one file; a missing file is an empty memory."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def mark(self, use_case: str) -> Mark | None:
        """Return the newest entry seen of a use case; none before the first.

        Raises:
            IntegrityBroken: The file is unreadable; what it protects from would pass unseen.
        """
        return self._marks().get(use_case)

    def keep(self, use_case: str, mark: Mark | None) -> None:
        """Remember an entry."""
        known = self._marks()
        if mark is not None and mark != known.get(use_case):
            write_json(self._path, {name: asdict(one) for name, one in {**known, use_case: mark}.items()})

    def _marks(self) -> dict[str, Mark]:
        action = "Compare the ledgers with a checkpoint (`tradewind verify --ledger`), then delete the file."
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise IntegrityBroken(f"to read {self._path}", type(error).__name__, action) from error
        found = parse_object(data, f"the ledger memory {self._path}", action, MEMORY_BYTES)
        if not all(isinstance(mark, dict) for mark in found.values()):
            raise IntegrityBroken(f"marks by use case in {self._path}", "other values", action)
        return {name: Mark.of(mark) for name, mark in found.items()}
