"""The ledger as a page: verified, filtered, newest first, a part at a time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from urllib.parse import urlencode

from ml.config import Settings
from ml.errors import ModelNotFound
from ml.registry.entry import Entry
from ml.registry.ledger import Ledger

SHOWN = 50  # entries of a page


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Which entries are shown; what is empty lets all pass."""

    action: str = ""
    who: str = ""
    since: date | None = None

    @property
    def query(self) -> str:
        """Return it as it stands in an address."""
        return urlencode({"action": self.action, "who": self.who, "since": self.since or ""})

    def passes(self, entry: Entry) -> bool:
        """Tell whether an entry is shown."""
        is_recent = self.since is None or entry.when[:10] >= self.since.isoformat()
        return self.action in ("", entry.action) and self.who in ("", entry.who) and is_recent


@dataclass(frozen=True, kw_only=True)
class LedgerPage:
    """Some entries, and what one can choose among."""

    filter: Filter
    entries: list[Entry]
    total: int
    """Of the whole ledger."""
    actions: list[str]
    people: list[str]
    number: int
    """From 1."""
    pages: int


def ledger_page(settings: Settings, use_case: str, wanted: Filter, number: int) -> LedgerPage:
    """Return a page of the ledger.

    Raises:
        IntegrityBroken: The ledger does not hold: then none of it is shown.
        ModelNotFound: There is no such page.
    """
    entries = Ledger.open(settings, use_case).entries
    passing = [entry for entry in reversed(entries) if wanted.passes(entry)]
    pages = max(1, -(-len(passing) // SHOWN))
    if number > pages:
        raise ModelNotFound(f"a page up to {pages}", str(number), "Go back.")
    return LedgerPage(
        filter=wanted,
        entries=passing[(number - 1) * SHOWN : number * SHOWN],
        total=len(entries),
        actions=sorted({str(entry.action) for entry in entries}),
        people=sorted({entry.who for entry in entries}),
        number=number,
        pages=pages,
    )
