"""Signs what promotion vouches for: DSSE envelopes with Ed25519, verified with public keys alone.

Format and pre-authentication encoding: https://github.com/secure-systems-lab/dsse (v1.0.2).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from ml.config import Settings, require_secret
from ml.errors import ConfigInvalid, IntegrityBroken
from ml.files import canonical, parse_object

DISTRUST = "Do not use it; find out who wrote it, or add the key that signed it."
PEM_BLOCK = re.compile(r"-----BEGIN PUBLIC KEY-----.+?-----END PUBLIC KEY-----", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class KeyPair:
    """An Ed25519 pair in PEM; the private half belongs in a file that only its owner reads."""

    private: str
    public: str


def generate_key() -> KeyPair:
    """Return a new pair."""
    key = Ed25519PrivateKey.generate()
    return KeyPair(
        private=key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        public=key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
    )


def key_id(key: Ed25519PublicKey) -> str:
    """Return `sha256:<hexadecimal>` of the key's SubjectPublicKeyInfo in DER."""
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"sha256:{hashlib.sha256(spki).hexdigest()}"


def pae(payload_type: str, payload: bytes) -> bytes:
    """Return the bytes DSSE signs: `DSSEv1 SP LEN(type) SP type SP LEN(body) SP body`, lengths in bytes."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


class Signer:
    """Holds one private key: promotion has one, and the judging role."""

    def __init__(self, private_pem: str) -> None:
        try:
            key = load_pem_private_key(private_pem.encode(), password=None)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise _no_key("an Ed25519 private key in PEM") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise _no_key("an Ed25519 private key in PEM")
        self._key = key
        self.key_id = key_id(key.public_key())

    @classmethod
    def open(cls, settings: Settings) -> Signer:
        """Return the signer of the settings' `signing_key`."""
        return cls(require_secret(settings.signing_key, "signing_key"))

    def sign(self, payload_type: str, payload: bytes) -> bytes:
        """Return a DSSE envelope as canonical JSON; equal payloads give equal bytes (Ed25519 draws no chance)."""
        signature = self._key.sign(pae(payload_type, payload))
        return canonical(
            {
                "payloadType": payload_type,
                "payload": base64.b64encode(payload).decode(),
                "signatures": [{"keyid": self.key_id, "sig": base64.b64encode(signature).decode()}],
            }
        )


class Verifier:
    """Holds the public keys that are trusted: more than one while a key is being replaced."""

    def __init__(self, public_pems: str) -> None:
        found = [_public(block) for block in PEM_BLOCK.findall(public_pems)]
        if not found:
            raise _no_key("one or more Ed25519 public keys in PEM")
        self._keys = {key_id(key): key for key in found}

    @classmethod
    def open(cls, settings: Settings) -> Verifier:
        """Return the verifier of the settings' `verify_key`.

        Raises:
            ConfigInvalid: None is set: nothing is believed without a key.
        """
        if settings.verify_key is None:
            raise ConfigInvalid("TRADEWIND_VERIFY_KEY", "nothing", "Set it to the public key(s) of promotion [PEM].")
        return cls(settings.verify_key)

    @property
    def key_ids(self) -> frozenset[str]:
        """Ids of the trusted keys."""
        return frozenset(self._keys)

    def verify(self, envelope: bytes, payload_type: str) -> bytes:
        """Return the payload of an envelope that one trusted key signed as this type.

        Raises:
            IntegrityBroken: It is no envelope, is of another type, or no trusted key signed it.
        """
        kind, payload, signatures = _opened(envelope)
        if kind != payload_type:
            raise _distrusted(f"an envelope of type {payload_type}", repr(kind)[:100])
        message = pae(kind, payload)
        if not any(_is_valid(key, signature, message) for key in self._keys.values() for signature in signatures):
            raise _distrusted(f"a signature by one of {', '.join(sorted(self._keys))}", "none that holds")
        return payload


def unverified(envelope: bytes, payload_type: str) -> bytes:
    """Return the payload of an envelope of this type whoever signed it: for bytes that something else vouches for.

    Raises:
        IntegrityBroken: It is no envelope, or one of another type.
    """
    kind, payload, _ = _opened(envelope)
    if kind != payload_type:
        raise _distrusted(f"an envelope of type {payload_type}", repr(kind)[:100])
    return payload


def _opened(envelope: bytes) -> tuple[str, bytes, list[bytes]]:
    value = parse_object(envelope, "a DSSE envelope", DISTRUST)
    try:
        payload = base64.b64decode(value["payload"], validate=True)
        signatures = [base64.b64decode(item["sig"], validate=True) for item in value["signatures"]]
        return str(value["payloadType"]), payload, signatures
    except (ValueError, KeyError, TypeError, RecursionError, binascii.Error) as error:
        raise _distrusted("a DSSE envelope", type(error).__name__) from error


def _is_valid(key: Ed25519PublicKey, signature: bytes, message: bytes) -> bool:
    try:
        key.verify(signature, message)
    except InvalidSignature:
        return False
    return True


def _public(pem: str) -> Ed25519PublicKey:
    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _no_key("one or more Ed25519 public keys in PEM") from error
    if not isinstance(key, Ed25519PublicKey):
        raise _no_key("one or more Ed25519 public keys in PEM")
    return key


def combine(public_pems: Iterable[str]) -> str:
    """Return several public keys as the one text `verify_key` takes: the new key beside the old ones."""
    return "\n".join(pem.strip() for pem in public_pems) + "\n"


def _no_key(expected: str) -> ConfigInvalid:
    return ConfigInvalid(expected, "something else", "Set the key that `generate_key` made.")


def _distrusted(expected: str, received: str) -> IntegrityBroken:
    return IntegrityBroken(expected, received, DISTRUST)
