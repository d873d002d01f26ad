"""The keys of one use case's customers, wrapped by the master key: one object in the `keys` bucket.

A key is made when a customer first comes and never changes, so equal rows give equal ciphertext on one ring. To destroy it
is to erase the customer from everything ever stored; a mark that stays keeps a later ingest from making a new one.
"""

from __future__ import annotations

import base64
import hmac
import json
import logging
from collections.abc import Callable, Iterable
from functools import cached_property

from ml.config import Settings
from ml.contract import JsonObject
from ml.errors import IntegrityBroken
from ml.files import canonical, sha256
from ml.privacy.cipher import DataKey, MasterKey, new_key
from ml.store import Bucket

RING_SCHEMA = "tradewind/key-ring/1"
NAMES = "names"
CUSTOMER, TABLE = "customer", "table"
NAME_LENGTH = 32  # hexadecimal characters: 128 bits

log = logging.getLogger(__name__)


class KeyRing:
    """A view of the ring; every change reads it anew and is written only over what was read."""

    def __init__(self, bucket: Bucket, master: MasterKey, use_case: str) -> None:
        self._bucket = bucket
        self._master = master
        self._key = ring_key(use_case)
        self._held: JsonObject = {}
        self._change(lambda ring: ring)
        self._names = self._unwrapped(NAMES, self._held["names"])
        self._made: dict[str, DataKey] = {}

    @classmethod
    def open(cls, settings: Settings, use_case: str) -> KeyRing:
        """Return the ring of a use case; the first call makes it.

        Args:
            settings: Role `ingest` or `custodian`, with the master key.
            use_case: Name of the use case.

        Raises:
            ConfigInvalid: The master key is missing, or the role may not use the `keys` bucket.
            IntegrityBroken: Another master key wrapped the ring.
        """
        return cls(Bucket.open(settings, "keys"), MasterKey.open(settings), use_case)

    @property
    def id(self) -> str:
        """What tells rings apart and reveals no key: a stage depends on it."""
        return sha256(hmac.digest(self._names, b"tradewind key ring v1", "sha256"))

    @property
    def row_key(self) -> bytes:
        """The key of the marks by which rows are found again."""
        return hmac.digest(self._names, b"tradewind row mark v1", "sha256")

    def name(self, customer: str) -> str:
        """Return under which name a customer's key lies: a keyed hash that leads to no pseudonym."""
        return self._name(CUSTOMER, customer)

    def of_customers(self, customers: Iterable[str]) -> dict[str, DataKey]:
        """Return the key of each customer; those who come for the first time get one.

        Raises:
            IntegrityBroken: One of them was erased.
        """
        return self._keys({customer: self.name(customer) for customer in customers})

    def of_table(self, table: str) -> DataKey:
        """Return the key of a table's rows that belong to no customer."""
        return self._keys({table: self._name(TABLE, table)})[table]

    def holds(self, name: str) -> bool | None:
        """Tell whether there is a key under a name; none where there never was one, false where it was destroyed."""
        return None if name not in self._held["keys"] else self._held["keys"][name] is not None

    def wrapped(self, names: Iterable[str]) -> frozenset[str]:
        """Return the keys under some names as the ring holds them; without those that are destroyed or never were."""
        return frozenset(held for name in names if (held := self._held["keys"].get(name)) is not None)

    def key(self, name: str) -> DataKey:
        """Return the key under a name, which must be there."""
        if name not in self._made:
            self._made[name] = DataKey(self._unwrapped(name, self._held["keys"][name]))
        return self._made[name]

    @cached_property
    def by_token(self) -> dict[bytes, DataKey]:
        """All keys that are left, by the token their cells begin with."""
        keys = (self.key(name) for name, wrapped in self._held["keys"].items() if wrapped is not None)
        return {key.token: key for key in keys}

    def destroy(self, *names: str) -> None:
        """Destroy keys, in every version the bucket keeps, and mark that they are gone; to repeat it does no harm."""
        self._change(lambda ring: {**ring, "keys": {**ring["keys"], **dict.fromkeys(names)}})
        self._bucket.forget_older(self._key)
        for name in names:
            self._made.pop(name, None)
        log.info("keys destroyed ring=%s", self._key)

    def _keys(self, names: dict[str, str]) -> dict[str, DataKey]:
        if missing := [name for name in names.values() if name not in self._held["keys"]]:
            made = {name: _text(self._master.wrap(name, new_key())) for name in sorted(missing)}
            self._change(lambda ring: {**ring, "keys": {**made, **ring["keys"]}})
        if gone := sum(self._held["keys"][name] is None for name in names.values()):
            raise erased(f"{gone} customers")
        return {owner: self.key(name) for owner, name in names.items()}

    def _name(self, kind: str, value: str) -> str:
        return hmac.digest(self._names, f"{kind}\0{value}".encode(), "sha256").hex()[:NAME_LENGTH]

    def _change(self, change: Callable[[JsonObject], JsonObject]) -> None:
        """Read the ring, change it and write it; read again if somebody else was faster."""

        def changed(found: bytes | None) -> bytes:
            before = _parsed(found) if found else self._new()
            self._held = change(before)
            return found if found is not None and self._held == before else canonical(self._held)

        self._bucket.update(self._key, changed, "application/json")

    def _new(self) -> JsonObject:
        return {"schema": RING_SCHEMA, "names": _text(self._master.wrap(NAMES, new_key())), "keys": {}}

    def _unwrapped(self, name: str, text: str) -> bytes:
        return self._master.unwrap(name, base64.b64decode(text))


def ring_key(use_case: str) -> str:
    """Return the key of a ring in the `keys` bucket."""
    return f"{use_case}/ring.json"


def erased(received: str) -> IntegrityBroken:
    """Return the error of who meets data of an erased customer."""
    return IntegrityBroken(
        "data of customers who have a key",
        f"{received} erased since this was stored or frozen",
        "Nobody can read that again; start a new run, which leaves them out.",
    )


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _parsed(data: bytes) -> JsonObject:
    ring: JsonObject = json.loads(data)
    if ring.get("schema") != RING_SCHEMA:
        raise IntegrityBroken(RING_SCHEMA, repr(ring.get("schema")), "Read it with a newer Tradewind.")
    return ring
