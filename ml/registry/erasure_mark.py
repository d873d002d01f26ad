"""Who was erased, as everybody has to know it who publishes, serves or logs: one signed mark a customer.

`<use case>/<name of the key>.json` in the bucket `erasures`, which only a custodian writes, and neither training nor readers
may read. Marks from before that bucket are `old_mark`'s.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TypeVar

from ml.config import Settings
from ml.errors import IntegrityBroken
from ml.files import canonical
from ml.packaging.oci import parsed
from ml.packaging.signing import Signer, Verifier
from ml.registry.erasure import named
from ml.registry.ledger import Ledger
from ml.registry.old_mark import OldMarks
from ml.store import Bucket

MARK_TYPE = "application/vnd.tradewind.erasure-mark+json"
MARK_SCHEMA = "tradewind/erasure-mark/1"
MARK_BYTES = 64 * 1024

Written = TypeVar("Written")

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Mark:
    """One customer who was erased from one use case."""

    use_case: str
    customers: tuple[str, ...]
    """Names of the destroyed keys: one, or one for each spelling of the customer; none of a mark of before."""
    units: tuple[str, ...]
    """Pseudonyms under which serving knew them; none of a mark of before."""
    when: str
    """UTC, ISO 8601."""

    @property
    def key(self) -> str:
        """Return the mark's key in the bucket."""
        unit = f"unit-{self.units[0]}" if self.units else ""
        return f"{self.use_case}/{self.customers[0] if self.customers else unit}.json"


class Marks:
    """The marks of all use cases; what was read and did not change is not read again."""

    def __init__(self, settings: Settings) -> None:
        self._bucket = Bucket.open(settings, "erasures")
        self._verifier = Verifier.open(settings)
        self._old = OldMarks(settings)
        self._read: dict[tuple[str, str], Mark | None] = {}

    def __call__(self, use_case: str) -> dict[str, str]:
        """Return the moment of each erasure by pseudonym [UTC, ISO 8601]."""
        units = {unit: mark.when for mark in self.signed(use_case) for unit in mark.units}
        return self._old.units(use_case) | units

    def customers(self, use_case: str) -> frozenset[str]:
        """Return the names of the keys of those who were erased."""
        named_now = {name for mark in self.signed(use_case) for name in mark.customers}
        return frozenset(named_now | set(self._old.names(use_case)))

    def signed(self, use_case: str) -> list[Mark]:
        """Return the marks that a trusted key signed."""
        found = list(self._bucket.entries(f"{use_case}/"))
        for one in found:
            if one not in self._read:
                self._read[one] = self._opened(use_case, one[0])
        return [mark for one in found if (mark := self._read[one]) is not None]

    def _opened(self, use_case: str, key: str) -> Mark | None:
        """Return a mark; one that no trusted key signed counts for nothing, and is told."""
        try:
            data = self._bucket.find(key, MARK_BYTES)
            fields = parsed(self._verifier.verify(data, MARK_TYPE)) if data is not None else {}
        except IntegrityBroken as error:
            log.warning("mark of an erasure passed over key=%s reason=%s", key, error.received)
            return None
        lists = {name: tuple(map(str, fields.get(name, ()))) for name in ("customers", "units")}
        mark = Mark(use_case=str(fields.get("use_case")), when=str(fields.get("when")), **lists)
        if (mark.use_case, mark.key) != (use_case, key):
            log.warning("mark of an erasure passed over key=%s reason=%s", key, "it is of another place")
            return None
        return mark


def write(settings: Settings, mark: Mark) -> None:
    """Write a mark, signed; from then on nobody publishes, serves or logs the customer.

    Args:
        settings: Role `custodian`, with the signing key.
        mark: An older one of the same customer is replaced.
    """
    data = Signer.open(settings).sign(MARK_TYPE, canonical({"schema": MARK_SCHEMA, **asdict(mark)}))
    Bucket.open(settings, "erasures").put(mark.key, data, "application/json")


def resign(old: Settings, new: Settings, use_case: str) -> int:
    """Sign the marks with a new key that the old one signed; without it the erased would return. Return how many there were.

    Args:
        old: Role `custodian`, trusting the old key.
        new: The same, with the new signing key.
        use_case: Name of the use case.
    """
    marks = Marks(old).signed(use_case)
    for mark in marks:
        write(new, mark)
    return len(marks)


def in_force(settings: Settings, use_case: str) -> dict[str, str]:
    """Return the moment of each erasure by pseudonym, after a look whether as many are marked as the ledger proves.

    Args:
        settings: A role that may read `erasures` and `ledger`.
        use_case: Name of the use case.

    Raises:
        IntegrityBroken: Marks are missing, so that the erased would return.
    """
    proven = proven_customers(settings, use_case)
    marks = Marks(settings)(use_case)
    if len(marks) < len(proven):
        raise IntegrityBroken(
            f"marks of {len(proven)} customers whom the ledger of {use_case} proves erased",
            f"{len(marks)}",
            "Restore the bucket `erasures` from a copy, or erase these customers again: that writes them anew.",
        )
    return marks


def settled(settings: Settings, use_case: str, write: Callable[[Mapping[str, str]], Written]) -> Written:
    """Write something without those who are erased by the time it is there.

    Who erases marks a customer first and then looks everywhere; so the look after the writing finds a mark of whoever did not
    find what was written.

    Args:
        settings: A role that may read `erasures` and `ledger`.
        use_case: Name of the use case.
        write: Writes without the pseudonyms that it is given; called again while more are marked meanwhile.

    Returns:
        What the last writing returned.

    Raises:
        IntegrityBroken: Marks are missing, so that the erased would return.
    """
    erased, marks = in_force(settings, use_case), Marks(settings)
    while True:
        done = write(erased)
        known, erased = erased, marks(use_case)
        if erased.keys() <= known.keys():
            return done


def proven_customers(settings: Settings, use_case: str) -> frozenset[str]:
    """Return the names of the keys of those whose erasure the ledger proves."""
    bucket, view = Bucket.open(settings, "ledger"), Ledger.open(settings, use_case)
    return frozenset(
        name
        for entry in view.entries
        if entry.action == "erase" and entry.record
        for name in (
            [erased_name(entry.request)] if entry.request else [named(bucket, use_case, entry.record).customer]
        )
        if name
    )


def erasure_request(customer: str) -> str:
    """Return how a ledger entry names the erasure of a customer."""
    return f"erase {customer}"


def erased_name(request: str) -> str:
    """Return the name of the key that an entry of an erasure is about."""
    return request.removeprefix("erase ")
