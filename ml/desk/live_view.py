"""What is live for a use case, why, and how good it was on the rows the gate judged it by."""

from __future__ import annotations

from dataclasses import dataclass, field

from ml.config import Settings
from ml.contract import JsonObject
from ml.desk.document import Judgement, gate
from ml.errors import TradewindError
from ml.registry.entry import Entry
from ml.registry.ledger import Ledger
from ml.registry.live import Live

CHANNEL = "production"
ENTRIES_SHOWN = 50


@dataclass(frozen=True, kw_only=True)
class Now:
    """What a page says of a use case at this moment."""

    live: Live | None = None
    """None before the first promotion."""
    judged: Judgement | None = None
    history: tuple[Entry, ...] = field(default=())
    """Moves of the channels, newest first."""
    problem: str | None = None
    """Why the above could not be read."""

    @property
    def figures(self) -> list[JsonObject]:
        """The served variant's figures and those of its baselines and predecessor, the variant first."""
        if self.judged is None or self.judged.metrics is None:
            return []
        chosen = self.judged.verdict.get("chosen")
        contenders: list[JsonObject] = self.judged.metrics.get("contenders", [])
        shown = [one for one in contenders if one["name"] == chosen or one["kind"] != "variant"]
        return sorted(shown, key=lambda one: one["name"] != chosen)


def look(settings: Settings, use_case: str, *, history: bool = False) -> Now:
    """Return what is live; a store that is away or a ledger that does not hold is said, not raised."""
    try:
        view = Ledger.open(settings, use_case)
        live = view.live(CHANNEL)
        return Now(
            live=live,
            judged=None if live is None else gate(settings, use_case, live.digest),
            history=tuple(reversed(view.entries[-ENTRIES_SHOWN:])) if history else (),
        )
    except TradewindError as error:
        return Now(problem=str(error))
