"""What the model server may open for a customer: a key of its own each, which leads to nothing else that is stored of them.

`<use case>/<two digits>.json` in the bucket `serving-keys`, wrapped by a key that follows from the pseudonym key, each under a
keyed hash. What such a key opens is versioned with the data; the key is not, and goes with an erasure.
"""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Collection, Iterable, Mapping
from itertools import groupby

from ml.config import Settings
from ml.errors import IntegrityBroken
from ml.files import canonical
from ml.privacy.cipher import DataKey, MasterKey
from ml.privacy.pseudonym import read_key
from ml.store import Bucket

SCHEMA = "tradewind/serving-keys/1"
OWN = "own:"
"""Begins a value that its customer alone reads back; `own:<table>.<column>:<cell in base64>`."""
NAME_LENGTH = 32  # hexadecimal characters: 128 bits
SHARD_LENGTH = 2  # hexadecimal characters: 256 objects a use case


class Shares:
    """The serving keys of all use cases."""

    def __init__(self, bucket: Bucket, pseudonym_key: bytes) -> None:
        self._bucket = bucket
        self._key = pseudonym_key
        self._wrapping = MasterKey.sharing(pseudonym_key)

    @classmethod
    def open(cls, settings: Settings) -> Shares:
        """Return them as the settings' S3 user sees them, with the pseudonym key."""
        return cls(Bucket.open(settings, "serving-keys"), read_key(settings))

    def find(self, use_case: str, unit: str) -> DataKey | None:
        """Return the key of a customer, by pseudonym; none where there is none, or none any more.

        Raises:
            IntegrityBroken: It was altered, or another pseudonym key wrapped it.
        """
        name = self._name(use_case, unit)
        text = _parsed(self._bucket.find(_shard(use_case, name))).get(name)
        return None if text is None else DataKey(self._wrapping.unwrap(name, base64.b64decode(text)))

    def give(self, use_case: str, keys: Mapping[str, bytes], but: Collection[str] = ()) -> None:
        """Keep the serving keys of customers, by pseudonym.

        Args:
            use_case: Name of the use case.
            keys: `DataKey.serving` by pseudonym.
            but: Who was erased: theirs are removed.
        """
        named = {self._name(use_case, unit): material for unit, material in keys.items() if unit not in but}
        wrapped = {name: base64.b64encode(self._wrapping.wrap(name, key)).decode() for name, key in named.items()}
        for shard, names in groupby(sorted(wrapped), lambda name: _shard(use_case, name)):
            self._change(shard, {name: wrapped[name] for name in names})
        self.remove(use_case, but)

    def held(self, use_case: str, units: Iterable[str]) -> frozenset[str]:
        """Return the wrapped keys of customers that there are."""
        names = [self._name(use_case, unit) for unit in units]
        found = (_parsed(self._bucket.find(_shard(use_case, name))).get(name) for name in names)
        return frozenset(text for text in found if text is not None)

    def remove(self, use_case: str, units: Iterable[str]) -> None:
        """Destroy the serving keys of customers; to repeat it does no harm."""
        names = sorted(self._name(use_case, unit) for unit in units)
        for shard, gone in groupby(names, lambda name: _shard(use_case, name)):
            self._change(shard, dict.fromkeys(gone))
            self._bucket.forget_older(shard)

    def _change(self, shard: str, changes: Mapping[str, str | None]) -> None:
        def change(data: bytes | None) -> bytes | None:
            before = _parsed(data)
            after = {name: text for name, text in {**before, **changes}.items() if text is not None}
            return None if after == before else canonical({"schema": SCHEMA, "keys": after})

        self._bucket.update(shard, change, "application/json")

    def _name(self, use_case: str, unit: str) -> str:
        text = f"serving key\0{use_case}\0{unit}"
        return hmac.digest(self._key, text.encode(), "sha256").hex()[:NAME_LENGTH]


def own(place: str, key: DataKey, value: str) -> str:
    """Return a value of `table.column` as its customer alone reads it back."""
    return f"{OWN}{place}:{base64.urlsafe_b64encode(DataKey(key.serving).seal(place, value)).decode()}"


def read_own(text: str, key: DataKey) -> str:
    """Return the value; the key is the customer's serving key.

    Raises:
        IntegrityBroken: It is another customer's, or was altered.
    """
    place, _, cell = text.removeprefix(OWN).partition(":")
    try:
        data = base64.urlsafe_b64decode(cell)
    except ValueError:
        data = b""
    return key.open(place, data)


def _shard(use_case: str, name: str) -> str:
    return f"{use_case}/{name[:SHARD_LENGTH]}.json"


def _parsed(data: bytes | None) -> dict[str, str]:
    if data is None:
        return {}
    try:
        found = json.loads(data)
        if found["schema"] == SCHEMA:
            return dict(found["keys"])
    except (ValueError, LookupError, TypeError, RecursionError):
        pass
    raise IntegrityBroken(f"serving keys in {SCHEMA}", "something else", "Run anonymise again: retrain.")
