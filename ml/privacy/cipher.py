"""Encrypts values so that they come back, and so that equal values of one customer in one column stay equal.

AES-SIV (RFC 5297) with 2 x 256-bit keys: deterministic, and altered bytes are refused.
"""

from __future__ import annotations

import hmac
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from ml.config import Settings, require_secret
from ml.errors import ConfigInvalid, IntegrityBroken

KEY_BYTES = 64
TOKEN_BYTES = 16
TOKEN_LABEL = b"tradewind key token v1"
SERVING_LABEL = b"tradewind serving key v1"
SHARING_LABEL = b"tradewind sharing key v1"


class DataKey:
    """The key of one customer, or of a table's rows that belong to none."""

    def __init__(self, material: bytes) -> None:
        self._cipher = AESSIV(material)
        self.token = hmac.digest(material, TOKEN_LABEL, "sha256")[:TOKEN_BYTES]
        """Says which key opens a cell; it follows from the key, so nobody can tell whose it was once the key is gone."""
        self.serving = hmac.digest(material, SERVING_LABEL, "sha512")
        """Key of what the customer alone reads back through the server; it leads to no other value of the customer."""

    def seal(self, place: str, value: str) -> bytes:
        """Return the value's cell: the key's token, then the ciphertext.

        Args:
            place: `table.column`: equal values of other columns give other cells.
            value: May be empty.
        """
        return self.token + self._cipher.encrypt(value.encode(), [place.encode()])

    def open(self, place: str, cell: bytes) -> str:
        """Return the value in a cell of this key.

        Raises:
            IntegrityBroken: The cell was altered, or comes from another place.
        """
        try:
            return self._cipher.decrypt(cell[TOKEN_BYTES:], [place.encode()]).decode()
        except InvalidTag as error:
            raise altered(place) from error


class MasterKey:
    """Wraps all other keys; it lies in the secrets, never in the object store."""

    def __init__(self, material: bytes) -> None:
        self._cipher = AESSIV(material)

    @classmethod
    def open(cls, settings: Settings) -> MasterKey:
        """Return the settings' master key.

        Raises:
            ConfigInvalid: It is missing or is not 128 hexadecimal digits.
        """
        text = require_secret(settings.master_key, "master_key")
        try:
            material = bytes.fromhex(text)
        except ValueError:
            material = b""
        if len(material) != KEY_BYTES:
            raise ConfigInvalid(
                f"TRADEWIND_MASTER_KEY of {2 * KEY_BYTES} hexadecimal digits",
                f"{len(text)} characters that are none",
                "Set it to the key the stack generated.",
            )
        return cls(material)

    @classmethod
    def sharing(cls, pseudonym_key: bytes) -> MasterKey:
        """Return the key that wraps what the server is given: it follows from the pseudonym key, which the server holds."""
        return cls(hmac.digest(pseudonym_key, SHARING_LABEL, "sha512"))

    def wrap(self, name: str, material: bytes) -> bytes:
        """Return a key as it is stored under a name."""
        return self._cipher.encrypt(material, [name.encode()])

    def unwrap(self, name: str, wrapped: bytes) -> bytes:
        """Return the key that is stored under a name.

        Raises:
            IntegrityBroken: Another master key wrapped it, or it was altered or moved.
        """
        try:
            return self._cipher.decrypt(wrapped, [name.encode()])
        except InvalidTag as error:
            raise altered(name) from error


def new_key() -> bytes:
    """Return a random key."""
    return secrets.token_bytes(KEY_BYTES)


def altered(place: str) -> IntegrityBroken:
    """Return the error of who meets bytes that do not belong to the key and the place."""
    return IntegrityBroken(
        f"bytes of {place} that this key encrypted", "others", "Is TRADEWIND_MASTER_KEY that of this store?"
    )
