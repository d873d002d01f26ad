"""What is live on a channel, as the ledger says it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Live:
    """The version a channel serves, and the entry that says so."""

    use_case: str
    channel: str
    digest: str
    seq: int
    """Sequence number of the entry; servers remember the highest they saw and refuse less."""
    entry: str
    """Digest of the ledger entry's bytes."""
    since: str
    """UTC, ISO 8601."""
    action: str
    who: str
    why: str
    run_id: str | None
    gate: str | None
    """Digest of the gate's `verdict.json`."""
    record: str | None
    """Digest of the signed version record's envelope."""
