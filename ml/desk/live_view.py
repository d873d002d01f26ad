"""What is live for a use case, why, and how good it was on the rows the gate judged it by."""

from __future__ import annotations

from dataclasses import dataclass, field

from ml.config import Settings
from ml.desk.document import Judgement, gate
from ml.errors import StorageUnavailable, TradewindError
from ml.registry.entry import Entry
from ml.registry.ledger import Ledger
from ml.registry.live import Live

CHANNEL, CANDIDATE = "production", "candidate"


@dataclass(frozen=True, kw_only=True)
class Now:
    """What a page says of a use case at this moment."""

    live: Live | None = None
    """None before the first promotion."""
    judged: Judgement | None = None
    waits: Live | None = None
    """The version on the channel `candidate`, where it is another one."""
    history: tuple[Entry, ...] = field(default=())
    """Everything the ledger says, newest first."""
    problem: str | None = None
    """Why the above could not be read."""


def made_by(settings: Settings, use_case: str, run: str) -> list[str]:
    """Return the versions that moves of the ledger name as a run's, newest first; none where the ledger does not hold."""
    view = _held(settings, use_case)
    entries = reversed(view.entries) if view else ()
    return list(dict.fromkeys(one.to_digest for one in entries if one.run_id == run and one.to_digest))


def run_of(settings: Settings, use_case: str, digest: str) -> str | None:
    """Return the run whose version it was when it last went live; none where it never did, or the ledger does not hold."""
    view = _held(settings, use_case)
    return view.run_of(digest) if view else None


def _held(settings: Settings, use_case: str) -> Ledger | None:
    try:
        return Ledger.open(settings, use_case)
    except StorageUnavailable:
        raise
    except TradewindError:
        return None


def look(settings: Settings, use_case: str) -> Now:
    """Return what is live; a ledger that does not hold is said, not raised, but `StorageUnavailable` is."""
    try:
        view = Ledger.open(settings, use_case)
        live, waits = view.live(CHANNEL), view.live(CANDIDATE)
        return Now(
            live=live,
            judged=None if live is None else gate(settings, use_case, live.digest, live.run_id),
            waits=waits if waits and not (live and live.digest == waits.digest) else None,
            history=tuple(reversed(view.entries)),
        )
    except StorageUnavailable:
        raise
    except TradewindError as error:
        return Now(problem=str(error))
