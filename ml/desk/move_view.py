"""What an operator sees before moving a channel: the versions that can be live, and what the ledger says of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ml.config import Settings
from ml.registry.entry import MOVES, Entry
from ml.registry.ledger import Ledger
from ml.registry.live import Live

CHANNEL = "production"


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One version that can be made live."""

    action: Literal["rollback", "promote"]
    entry: Entry
    """The newest one that names it."""


@dataclass(frozen=True, kw_only=True)
class MovePage:
    """What is live, and what could be instead."""

    use_case: str
    live: Live | None
    choices: tuple[Choice, ...]
    """Newest first."""
    seq: int
    """Of the newest entry."""

    @property
    def matter(self) -> str:
        """What a form is made for: the ledger as it was shown."""
        return f"move {self.use_case} {self.seq}"


def move_page(settings: Settings, use_case: str) -> MovePage:
    """Return the versions that were live on production before, and those that the ledger knows otherwise."""
    view = Ledger.open(settings, use_case)
    live, choices = view.live(CHANNEL), dict[str, Choice]()
    was_live = {entry.to_digest for entry in view.entries if entry.action in MOVES and entry.channel == CHANNEL}
    for entry in reversed(view.entries):
        digest = entry.to_digest
        if digest and digest not in choices and not (live and digest == live.digest):
            choices[digest] = Choice(action="rollback" if digest in was_live else "promote", entry=entry)
    return MovePage(use_case=use_case, live=live, choices=tuple(choices.values()), seq=len(view.entries))
