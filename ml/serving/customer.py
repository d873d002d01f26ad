"""Who asks: the customer's own token, signed by the shop, short-lived, verified here with the public key alone.

A JSON Web Token (RFC 7519) with Ed25519 (RFC 8037): `sub` the customer's id, `aud` this server, `exp`, `iat`, `jti`. The
server cannot make one: the private key is the shop's.
"""

from __future__ import annotations

import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from ml.errors import ConfigInvalid
from ml.field import identifier
from ml.packaging.signing import PEM_BLOCK

if TYPE_CHECKING:
    from jwt.types import Options

CUSTOMER_HEADER = "Tradewind-Customer"
PROOF_HEADER = "Tradewind-Proof"
AUDIENCE = "tradewind-service"
ALGORITHM = "EdDSA"
LONGEST = timedelta(hours=1)  # a stolen token is of no use for longer
LEEWAY_S = 10  # clocks differ
TOKEN_CHARACTERS = 2000
CUSTOMER_CHARACTERS = 200  # of a customer's id, as every request has it
CLAIMS = ["sub", "aud", "exp", "iat", "jti"]
SIGNATURE_ALONE: Options = {
    "verify_exp": False,
    "verify_aud": False,
    "verify_iat": False,
    "verify_nbf": False,
    "verify_sub": False,
    "verify_jti": False,
    "verify_iss": False,
}
LATEST_S = 1e11  # of a time, since 1970; NaN and infinities are none


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What a request proves."""

    outcome: Literal["proved", "none", "refused"]
    customer: str | None = None
    is_unfit: bool = False
    """Whether it is refused for claims of the wrong types, under a signature that holds."""


class _Unfit(Exception):
    """A signed token whose claims are of the wrong types."""


class Customers:
    """Verifies customers' tokens; without a public key nobody can prove anything.

    Args:
        public_pem: The shop's public key, or several while one follows another.
        has_ended: Tells whether a token was signed out.

    Raises:
        ConfigInvalid: One of them is no Ed25519 key.
    """

    def __init__(self, public_pem: str | None, has_ended: Callable[[str], bool] = lambda _: False) -> None:
        self._has_ended = has_ended
        self._keys = [_public(key) for key in PEM_BLOCK.findall(public_pem or "")]

    def proof(self, token: str | None) -> Proof:
        """Return whose token it is; a token that does not hold proves nothing, whatever it says."""
        if not token:
            return Proof(outcome="none")
        if not _is_spelled_once(token) or self._has_ended(token):
            return Proof(outcome="refused")
        try:
            found = next((name for key in self._keys if (name := _subject(token, key))), None)
        except _Unfit:
            return Proof(outcome="refused", is_unfit=True)
        return Proof(outcome="proved" if found else "refused", customer=found)


def sign(private_pem: str, customer: str, lifetime: timedelta) -> str:
    """Return a token for a customer, as the shop's own back end makes it after a sign-in.

    Raises:
        ValueError: The lifetime is longer than the server accepts.
    """
    if not timedelta(0) < lifetime <= LONGEST:
        raise ValueError(f"a lifetime of up to {LONGEST.total_seconds():.0f} s")
    now = datetime.now(UTC)
    claims = {"sub": customer, "aud": AUDIENCE, "iat": now, "exp": now + lifetime, "jti": secrets.token_urlsafe(16)}
    return jwt.encode(claims, private_pem, algorithm=ALGORITHM)


def _public(pem: str) -> Ed25519PublicKey:
    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if isinstance(key, Ed25519PublicKey):
        return key
    raise ConfigInvalid(
        "TRADEWIND_CUSTOMER_VERIFY_KEY of Ed25519 public keys in PEM",
        "another",
        "Set the key of whoever signs customers in.",
    )


def _is_spelled_once(token: str) -> bool:
    """Tell whether a token is short enough and its signature's base64 is the one spelling of its bytes.

    Readers of base64 pass over stray characters and the last unused bits: else a token that was signed out would hold
    again under another spelling. What stands before the signature is signed as it is spelled.
    """
    signature = token.rpartition(".")[2]
    try:
        spelled = urlsafe_b64encode(urlsafe_b64decode(f"{signature}==")).rstrip(b"=").decode()
    except ValueError:
        return False
    return len(token) <= TOKEN_CHARACTERS and spelled == signature


def _subject(token: str, key: Ed25519PublicKey) -> str | None:
    """Return the customer whose token it is by this key.

    Raises:
        _Unfit: The key signed it, and yet a claim is of another type than tokens have: a mistake of who signs.
    """
    try:
        signed = jwt.decode(token, key, [ALGORITHM], options=SIGNATURE_ALONE)
    except (jwt.InvalidTokenError, ValueError, RecursionError):
        return None
    if not all(_is_fit(signed[name], name) for name in CLAIMS if name in signed):
        raise _Unfit
    try:
        claims = jwt.decode(
            token,
            key,
            [ALGORITHM],
            audience=AUDIENCE,
            leeway=LEEWAY_S,
            options={"require": CLAIMS, "strict_aud": True},
        )
    except jwt.InvalidTokenError:
        return None
    lives = claims["exp"] - claims["iat"]
    try:
        name = identifier(claims["sub"])
    except ValueError:
        return None
    is_name = len(name) <= CUSTOMER_CHARACTERS
    return name if is_name and 0 < lives <= LONGEST.total_seconds() else None


def _is_fit(value: object, name: str) -> bool:
    if name not in ("exp", "iat"):
        return isinstance(value, str) or name == "aud"
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LATEST_S
