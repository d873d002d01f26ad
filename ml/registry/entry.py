"""One entry of a use case's ledger: what moved on a channel, by whom, why, on which evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal, TypeAlias

from ml.contract import LEDGER_SCHEMA
from ml.errors import IntegrityBroken
from ml.files import canonical
from ml.packaging.oci import parsed
from ml.packaging.signing import Signer, Verifier, unverified

ENTRY_TYPE = "application/vnd.tradewind.ledger-entry+json"

Action: TypeAlias = Literal[
    "promote", "rollback", "ask", "approve", "reject", "decide", "collect", "collected", "erase", "decrypt", "adopt"
]
MOVES: tuple[Action, ...] = ("promote", "rollback")
"""What changes a channel; the other entries tell of a decision or a clean-up and move nothing."""
ANSWERS: tuple[Action, ...] = ("approve", "reject")
"""What a person says of the version that a run asks about."""


@dataclass(frozen=True, kw_only=True)
class Move:
    """What someone wants to happen to a channel, or to be kept about one."""

    channel: str
    """`production`, `candidate`, …"""
    action: Action
    digest: str | None
    """The version that goes live, is asked about, approved or rejected; none where no version is meant."""
    who: str
    why: str
    run_id: str | None = None
    """The run that made the version; none for a rollback."""
    gate: str | None = None
    """Digest of the gate's `verdict.json`."""
    record: str | None = None
    """Digest of the signed version record's envelope; of an erasure, of its proof; of an adoption, of its list."""
    approval: Mapping[str, str] | None = None
    """`by`, `at` and `reason` of the person who approved; none where nobody was asked."""
    decision: Mapping[str, str | int | None] | None = None
    """`kind`, `verdict`, `rule` and `until` of a `decide`: what a data owner decided about a run's data; of released rows
    their number, `count`, and the digest of their marks, `rows`."""
    request: str | None = None
    """Names what a person asked for, once: a request that stands in the ledger is not carried out again."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One committed move; `previous` chains it to the bytes of the entry before."""

    use_case: str
    seq: int
    previous: str | None
    """Digest of the previous entry's bytes; none for the first."""
    id: str
    """Random, so that a writer who is told "taken" can tell its own entry from another's."""
    channel: str
    action: Action
    from_digest: str | None
    """What was live on the channel before; none if nothing was."""
    to_digest: str | None
    who: str
    when: str
    """UTC, ISO 8601."""
    why: str
    run_id: str | None
    gate: str | None
    record: str | None
    approval: Mapping[str, str] | None = None
    decision: Mapping[str, str | int | None] | None = None
    request: str | None = None

    def sealed(self, signer: Signer) -> bytes:
        """Return the entry as signed bytes."""
        return signer.sign(ENTRY_TYPE, canonical(_written(self)))


def opened(data: bytes, verifier: Verifier | None) -> Entry:
    """Return the entry in signed bytes.

    Args:
        data: A DSSE envelope.
        verifier: None where a checkpoint vouches for the bytes.

    Raises:
        IntegrityBroken: The signature does not hold, or the payload is no entry of this schema.
    """
    payload = parsed(verifier.verify(data, ENTRY_TYPE) if verifier else unverified(data, ENTRY_TYPE))
    if payload.pop("schema", None) != LEDGER_SCHEMA:
        raise IntegrityBroken(LEDGER_SCHEMA, "a signed payload of another schema", "Read it with a newer Tradewind.")
    try:
        return Entry(**{"from_digest": payload.pop("from"), "to_digest": payload.pop("to"), **payload})
    except (KeyError, TypeError) as error:
        raise IntegrityBroken(
            f"the fields of {LEDGER_SCHEMA}", str(error), "Read it with a newer Tradewind."
        ) from error


def _written(entry: Entry) -> dict[str, object]:
    fields = asdict(entry)
    return {"schema": LEDGER_SCHEMA, "from": fields.pop("from_digest"), "to": fields.pop("to_digest"), **fields}
