"""Marks of erasures as versions before 2026-12 wrote them, unsigned: lists of names in `runs`, pseudonyms in `state`.

They count only where the ledger proves erasures of that time, and only until the ledger says that they were taken over: then
signed marks stand in their place, and what lies there is a problem that is reported and counts for nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from ml.config import GRANTS, BucketName, Settings
from ml.errors import IntegrityBroken
from ml.files import canonical, parse, sha256
from ml.packaging.oci import parsed
from ml.registry.entry import Entry, Move
from ml.registry.ledger import Ledger, tell
from ml.store import Bucket

ADOPTION_SCHEMA = "tradewind/adoption/1"
ERASURES, HISTORIES = "adopt erasures", "adopt histories"
"""How ledger entries name what was taken over; each once a use case."""
MOMENT_BYTES = 64 * 1024
SHOWN = 5

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Adoption:
    """What was taken over once, as a document beside the ledger keeps it; an entry names its digest."""

    use_case: str
    names: tuple[str, ...] = ()
    """Names of keys from the list in `runs`."""
    units: tuple[str, ...] = ()
    """Pseudonyms from the marks in `state`."""
    histories: str | None = None
    """Digest of the table of histories."""

    def told(self) -> bytes:
        """Return the document."""
        return canonical({"schema": ADOPTION_SCHEMA, **asdict(self)})


class OldMarks:
    """The unsigned marks of all use cases that count; what did not change is not read again."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._units = _readable(settings, "state")
        self._names = _readable(settings, "runs")
        self._read: dict[tuple[str, str], str] = {}
        self._ended: set[str] = set()

    def units(self, use_case: str) -> dict[str, str]:
        """Return the moment of each erasure by pseudonym [UTC, ISO 8601]."""
        found = list(self._units.entries(old_prefix(use_case))) if self._units is not None else []
        if self._units is None or not found or not self._count(use_case, [key for key, _ in found]):
            return {}
        for one in found:
            if one not in self._read:
                self._read[one] = moment(self._units, one[0])
        return {key.rpartition("/")[2]: self._read[key, tag] for key, tag in found}

    def names(self, use_case: str) -> list[str]:
        """Return the names of keys.

        Raises:
            IntegrityBroken: The list counts and is none: to pass it over would bring those back who stood in it.
        """
        if self._names is None or not self._names.exists(old_list(use_case)):
            return []
        return old_names(self._names, use_case) if self._count(use_case, [old_list(use_case)]) else []

    def _count(self, use_case: str, keys: list[str]) -> bool:
        """Tell whether such marks count; those that do not are reported."""
        if use_case not in self._ended:
            try:
                entries = Ledger.open(self._settings, use_case).entries
            except IntegrityBroken as error:
                log.warning("unsigned marks of erasures not judged use_case=%s: %s", use_case, error)
                return False  # publications, which need the ledger, wait until it holds
            if not is_adopted(entries) and old_proofs(entries):
                return True
            self._ended.add(use_case)
            log.warning("unsigned marks of erasures count for nothing keys=%s", ", ".join(map(ascii, keys[:SHOWN])))
        return False


def is_adopted(entries: tuple[Entry, ...]) -> bool:
    """Tell whether the unsigned marks of before were taken over."""
    return any(map(_is_adoption, entries))


def old_proofs(entries: tuple[Entry, ...]) -> list[str]:
    """Return the digests of the proofs of erasures of that time: their entries name no request."""
    return [entry.record for entry in entries if entry.action == "erase" and entry.record and not entry.request]


def record(settings: Settings, adoption: Adoption, request: str, who: str) -> Entry:
    """Let the ledger say, signed, what was taken over; who reads it takes over nothing more.

    Args:
        settings: Role `custodian`, with the signing key.
        adoption: What was taken over.
        request: `ERASURES` or `HISTORIES`.
        who: By whom.
    """
    data = adoption.told()
    bucket, digest = Bucket.open(settings, "ledger"), sha256(data)
    bucket.put(adoption_key(adoption.use_case, digest), data, "application/json")
    why = f"unsigned, of a version before: {len(adoption.names)} names, {len(adoption.units)} pseudonyms"
    why = why if request == ERASURES else f"unsigned, of a version before: histories {adoption.histories}"
    move = Move(channel="privacy", action="adopt", digest=None, who=who, why=why, record=digest, request=request)
    return tell(settings, adoption.use_case, move)


def adopted(settings: Settings, use_case: str, entries: tuple[Entry, ...]) -> Adoption | None:
    """Return what was taken over of marks; none where nothing was.

    Raises:
        IntegrityBroken: The document is missing, or is not the one that the ledger names.
    """
    for entry in filter(_is_adoption, entries):
        if entry.record:
            data = Bucket.open(settings, "ledger").find(adoption_key(use_case, entry.record))
            if data is None or sha256(data) != entry.record:
                found = "none" if data is None else sha256(data)
                raise IntegrityBroken(f"the list of adopted marks {entry.record}", found, "Restore it from a copy.")
            fields = parsed(data)
            return Adoption(use_case=use_case, names=tuple(fields["names"]), units=tuple(fields["units"]))
    return None


def lying(settings: Settings, use_case: str) -> Adoption:
    """Return what lies in the places of before, whether it counts or not.

    Raises:
        IntegrityBroken: The list of names is none.
    """
    units = (key.rpartition("/")[2] for key in Bucket.open(settings, "state").keys(old_prefix(use_case)))
    names = old_names(Bucket.open(settings, "runs"), use_case)
    return Adoption(use_case=use_case, names=tuple(names), units=tuple(sorted(units)))


def clear(settings: Settings, adoption: Adoption) -> None:
    """Remove from the places of before what was taken over, and nothing else."""
    state, runs = Bucket.open(settings, "state"), Bucket.open(settings, "runs")
    for unit in adoption.units:
        state.delete(f"{old_prefix(adoption.use_case)}{unit}")
    if adoption.names and set(old_names(runs, adoption.use_case)) <= set(adoption.names):
        runs.delete(old_list(adoption.use_case))


def old_names(runs: Bucket, use_case: str) -> list[str]:
    """Return the names of keys in the list of before.

    Raises:
        IntegrityBroken: It is no list: to pass it over would bring those back who stood in it.
    """
    found = runs.find(old_list(use_case))
    if not found:
        return []
    what, action = f"{old_list(use_case)}, a list of names", "Restore it from a copy; delete it if nobody was in it."
    listed = parse(found, what, action)
    if not isinstance(listed, list):
        raise IntegrityBroken(what, f"a {type(listed).__name__}", action)
    return sorted(map(str, listed))


def old_list(use_case: str) -> str:
    """Return the key in the `runs` bucket of the list of before."""
    return f"{use_case}/erasures.json"


def old_prefix(use_case: str) -> str:
    """Return where the pseudonyms of before lie in the `state` bucket."""
    return f"{use_case}/erased/"


def adoption_key(use_case: str, digest: str) -> str:
    """Return the key of a list of what was taken over, in the `ledger` bucket."""
    return f"adoptions/{use_case}/{digest.removeprefix('sha256:')}.json"


def moments(settings: Settings, adoption: Adoption) -> Iterator[tuple[str, str]]:
    """Yield each pseudonym with the moment of its erasure; that of now where none is told [UTC, ISO 8601]."""
    state, now = Bucket.open(settings, "state"), datetime.now(UTC).isoformat(timespec="milliseconds")
    for unit in adoption.units:
        yield unit, moment(state, f"{old_prefix(adoption.use_case)}{unit}") or now


def moment(state: Bucket, key: str) -> str:
    """Return when a mark of before was written; whatever it holds, its key alone erases."""
    try:
        return (state.find(key, MOMENT_BYTES) or b"").decode("ascii", "replace")
    except IntegrityBroken:
        return ""


def _readable(settings: Settings, name: BucketName) -> Bucket | None:
    granted = settings.s3_role is None or "r" in GRANTS[settings.s3_role].get(name, "")
    return Bucket.open(settings, name) if granted else None


def _is_adoption(entry: Entry) -> bool:
    return entry.action == "adopt" and entry.request == ERASURES
