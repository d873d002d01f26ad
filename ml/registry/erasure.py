"""The signed proof that a customer was erased: which versions had seen them, and what is to become of these."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Literal, TypeAlias

from ml.config import Settings
from ml.errors import IntegrityBroken
from ml.files import canonical, sha256
from ml.packaging.oci import parsed
from ml.packaging.record import STATEMENT, STATEMENT_TYPE
from ml.packaging.signing import Signer, Verifier, unverified
from ml.registry.ledger import Ledger
from ml.store import Bucket

PREDICATE = "https://tradewind.dev/erasure/v1"

Policy: TypeAlias = Literal["retrain", "withdraw", "keep"]


@dataclass(frozen=True, kw_only=True)
class Touched:
    """A version whose training data had the customer."""

    digest: str
    channels: tuple[str, ...]
    """On which it is live."""
    is_certain: bool
    """False where its data or its record are gone, so that nobody can tell."""


@dataclass(frozen=True, kw_only=True)
class Erasure:
    """What was decided about one customer of one use case, frozen before anything is destroyed."""

    use_case: str
    customer: str
    """Name of the destroyed key: a keyed hash."""
    key_ring: str
    versions: tuple[Touched, ...]
    policy: Policy
    """For the versions: retrain without the customer, withdraw them, or keep them."""
    because: str
    """Why they may be kept."""
    who: str
    when: str
    why: str
    spellings: tuple[str, ...] = ()
    """Names of the keys of the customer's other spellings, destroyed with it."""
    confirmed: str = ""
    """When a last look found nothing of the customer in any place [UTC, ISO 8601]; empty of a plan, and of a proof of before."""

    overwritten: str = ""
    """When the keys' bytes were taken off the store's disks, and how that was seen; or why not."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all keys that are destroyed."""
        return tuple(dict.fromkeys((self.customer, *self.spellings)))

    def sealed(self, signer: Signer) -> bytes:
        """Return the proof: an in-toto statement about the key ring and the versions, in a DSSE envelope."""
        named = [("key-ring", self.key_ring), *(("version", one.digest) for one in self.versions)]
        statement = {
            "_type": STATEMENT,
            "subject": [
                {"name": f"tradewind/{self.use_case}/{kind}", "digest": {"sha256": digest.removeprefix("sha256:")}}
                for kind, digest in named
            ],
            "predicateType": PREDICATE,
            "predicate": asdict(self),
        }
        return signer.sign(STATEMENT_TYPE, canonical(statement))

    @classmethod
    def from_json(cls, data: bytes) -> Erasure:
        """Return the erasure that JSON holds."""
        fields = parsed(data)
        touched = (Touched(**{**one, "channels": tuple(one["channels"])}) for one in fields.pop("versions"))
        spellings = tuple(fields.pop("spellings", ()))
        return cls(**fields, versions=tuple(touched), spellings=spellings)


def opened(envelope: bytes, verifier: Verifier) -> Erasure:
    """Return the erasure that a proof states.

    Raises:
        IntegrityBroken: No trusted key signed it, or it states something else.
    """
    return _stated(verifier.verify(envelope, STATEMENT_TYPE))


def _stated(payload: bytes) -> Erasure:
    statement = parsed(payload)
    if statement.get("predicateType") != PREDICATE:
        raise IntegrityBroken(PREDICATE, repr(statement.get("predicateType")), "Look for the proof of the erasure.")
    return Erasure.from_json(canonical(statement["predicate"]))


def keep(bucket: Bucket, use_case: str, proof: bytes) -> str:
    """Write a proof beside the ledger and return its digest, which a ledger entry then names."""
    digest = sha256(proof)
    bucket.put(proof_key(use_case, digest), proof, "application/json")
    return digest


def of_version(settings: Settings, view: Ledger, digest: str) -> Iterator[Erasure]:
    """Yield the proven erasures in a ledger of customers whom a version was trained on, oldest first.

    Raises:
        IntegrityBroken: A proof is missing, or is not the one that the ledger names.
    """
    bucket = Bucket.open(settings, "ledger")
    for entry in view.entries:
        if entry.action == "erase" and entry.record:
            found = named(bucket, view.use_case, entry.record)
            if digest in {one.digest for one in found.versions}:
                yield found


def named(bucket: Bucket, use_case: str, digest: str) -> Erasure:
    """Return the erasure of a proof that a verified entry names: its digest vouches for it, also after its key was replaced.

    Raises:
        IntegrityBroken: There is none, or it is another.
    """
    proof = bucket.find(proof_key(use_case, digest))
    found = sha256(proof) if proof is not None else "none"
    if proof is None or found != digest:
        raise IntegrityBroken(f"the proof of erasure {digest} of {use_case}", found, "Restore it from a copy.")
    return _stated(unverified(proof, STATEMENT_TYPE))


def proof_key(use_case: str, digest: str) -> str:
    """Return the key of a proof in the `ledger` bucket."""
    return f"erasures/{use_case}/{digest.removeprefix('sha256:')}.json"
