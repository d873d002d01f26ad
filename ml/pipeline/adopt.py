"""Takes over, once and on record, what versions before 2026-12 left unsigned in the store: marks of erasures, and histories.

Whoever may write the buckets could have added to either, so marks have to agree with the erasures that were begun and proven,
histories are taken over only when a person, or the first start of a newer version, says so, and the ledger keeps what it was.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime

from ml.config import Settings
from ml.errors import IntegrityBroken
from ml.registry import old_mark
from ml.registry.erasure import named
from ml.registry.erasure_mark import Mark, Marks, write
from ml.registry.ledger import Ledger
from ml.registry.old_mark import Adoption
from ml.serving import snapshot
from ml.store import Bucket

SHOWN = 5

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Adopted:
    """What came of it in one use case."""

    use_case: str
    marks: int = 0
    histories: str | None = None
    """Digest of the histories that are signed now and were not."""
    problems: tuple[str, ...] = ()
    """Sentences about what was not taken over."""


def adopt_marks(settings: Settings, use_case: str, who: str, *, unproven: bool = False) -> Adopted:
    """Turn the unsigned marks of before into signed ones, once; nothing happens where there never were any.

    Until then they count where the ledger proves erasures of that time, so nobody returns; afterwards what lies in their
    places is a problem.

    Args:
        settings: Role `custodian`, with the signing key.
        use_case: Name of the use case.
        who: By whom.
        unproven: Whether a person has looked at marks that no erasure accounts for, and wants them all the same.

    Raises:
        IntegrityBroken: The ledger, or the list of names, does not hold.
    """
    entries = Ledger.open(settings, use_case).entries
    if (before := old_mark.adopted(settings, use_case, entries)) is not None:
        return _left_over(settings, use_case, before)
    there = old_mark.lying(settings, use_case)
    if not (old_mark.old_proofs(entries) or there.names or there.units):
        return Adopted(use_case=use_case)
    if not unproven and (problem := _unaccounted(settings, there, old_mark.old_proofs(entries))):
        return Adopted(use_case=use_case, problems=(problem,))
    _sign(settings, there)
    old_mark.record(settings, there, old_mark.ERASURES, who)
    old_mark.clear(settings, there)
    log.info("marks of erasures adopted use_case=%s marks=%d", use_case, len(there.names) + len(there.units))
    return Adopted(use_case=use_case, marks=len(there.names) + len(there.units))


def adopt_histories(settings: Settings, use_case: str, who: str) -> Adopted:
    """Sign published histories that nobody signed, once; nothing happens where they are signed or there are none.

    Args:
        settings: Role `custodian`, with the signing key.
        use_case: Name of the use case.
        who: By whom.

    Raises:
        IntegrityBroken: The record is none, or the table is not the one that it names.
    """
    if snapshot.unsigned_record(settings, use_case) is None:
        return Adopted(use_case=use_case)
    if Ledger.open(settings, use_case).answered(old_mark.HISTORIES) is not None:
        problem = "Unsigned histories, though those of before were signed already. Publish them again: start a new run."
        return Adopted(use_case=use_case, problems=(problem,))
    mark = snapshot.sign_again(settings, settings, use_case)
    old_mark.record(settings, Adoption(use_case=use_case, histories=mark), old_mark.HISTORIES, who)
    return Adopted(use_case=use_case, histories=mark)


def _left_over(settings: Settings, use_case: str, known: Adoption) -> Adopted:
    """Remove what an adoption that was killed left; tell what came after it."""
    try:
        there = old_mark.lying(settings, use_case)
    except IntegrityBroken as error:
        return Adopted(use_case=use_case, problems=(f"{error} It counts for nothing: the old marks were adopted.",))
    units = tuple(sorted(set(there.units) & set(known.units)))
    old_mark.clear(settings, Adoption(use_case=use_case, names=known.names, units=units))
    strange = [*sorted(set(there.names) - set(known.names)), *sorted(set(there.units) - set(known.units))]
    if not strange:
        return Adopted(use_case=use_case)
    shown = ", ".join(ascii(name)[:80] for name in strange[:SHOWN])
    told = (
        f"{len(strange)} unsigned marks of erasures came after the old ones were adopted, such as {shown}:"
        f" they count for nothing. Find out who wrote {_places(use_case)}, and delete them."
    )
    return Adopted(use_case=use_case, problems=(told,))


def _unaccounted(settings: Settings, there: Adoption, proofs: list[str]) -> str | None:
    """Return the sentence about marks that no erasure accounts for; none where all are accounted for."""
    ledger = Bucket.open(settings, "ledger")
    proven = {named(ledger, there.use_case, digest).customer for digest in proofs}
    prefix = f"{there.use_case}/erasures/"  # an erasure writes what it will do there, and only custodians may
    keys = Bucket.open(settings, "keys").keys(prefix)
    begun = {key.removeprefix(prefix).removesuffix(".json") for key in keys}
    signed = {name for mark in Marks(settings).signed(there.use_case) for name in mark.customers}
    expected = (proven | begun) - signed
    names = sorted(set(there.names) - proven - begun)
    if not names and len(there.units) <= len(expected):
        return None
    return (
        f"{len(names)} names and {len(there.units)} pseudonyms are marked as erased without a signature, and"
        f" {len(expected)} erasures account for them. Find out who wrote {_places(there.use_case)} and delete what is forged,"
        " or take all of it over with `tradewind adopt --unproven`."
    )


def _sign(settings: Settings, there: Adoption) -> None:
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    is_marked = {name for mark in Marks(settings).signed(there.use_case) for name in mark.customers}
    for name in (name for name in there.names if name not in is_marked):
        write(settings, Mark(use_case=there.use_case, customers=(name,), units=(), when=now))
    for unit, when in old_mark.moments(settings, there):
        write(settings, Mark(use_case=there.use_case, customers=(), units=(unit,), when=when))


def _places(use_case: str) -> str:
    return f"state/{old_mark.old_prefix(use_case)} and runs/{old_mark.old_list(use_case)}"
