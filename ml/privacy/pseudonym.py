"""Keyed pseudonyms for direct identifiers: the same person stays the same, and nobody without the key learns who."""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import TYPE_CHECKING

from ml.config import Settings, require_secret
from ml.errors import ConfigInvalid

if TYPE_CHECKING:
    import pandas as pd

KEY_BYTES = 32
LENGTH = 32  # hexadecimal characters: 128 bits, so two of a billion customers collide with p < 2e-21
WHOLE = re.compile(r"(\d+)\.0+", re.ASCII)  # a whole number as a decimal
FINGERPRINT_LABEL = b"tradewind pseudonym key fingerprint v1"


def pseudonym(key: bytes, domain: str, value: str) -> str:
    """Return HMAC-SHA256(key, domain NUL value), truncated (RFC 2104, section 5).

    Args:
        key: 32 random bytes.
        domain: What the value names, such as `customer_id`: equal values of two domains stay unlinkable.
        value: The identifier.
    """
    return hmac.digest(key, f"{domain}\0{value}".encode(), "sha256").hex()[:LENGTH]


def spellings(customer: str) -> tuple[str, ...]:
    """Return the forms under which files and clients may have named one customer, as a source makes it first.

    A source trims text, and reads numbers with gaps as whole ones: `1234.0` is `1234` there. Upper and lower case differ.
    """
    trimmed = customer.strip()
    found = WHOLE.fullmatch(trimmed)
    normal = found[1] if found else trimmed
    decimal = (f"{normal}.0",) if normal.isascii() and normal.isdigit() else ()
    return tuple(dict.fromkeys((normal, trimmed, customer, *decimal)))


def fingerprint(key: bytes) -> str:
    """Return what tells keys apart and reveals none: a stage depends on it, so another key means other output."""
    return f"sha256:{hashlib.sha256(hmac.digest(key, FINGERPRINT_LABEL, 'sha256')).hexdigest()}"


def read_key(settings: Settings) -> bytes:
    """Return the pseudonym key.

    Raises:
        ConfigInvalid: It is missing or is not 64 hexadecimal digits.
    """
    text = require_secret(settings.pseudonym_key, "pseudonym_key")
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise ConfigInvalid(
            f"TRADEWIND_PSEUDONYM_KEY of {2 * KEY_BYTES} hexadecimal digits",
            f"{len(text)} characters that are none",
            "Set it to the key the stack generated.",
        )
    return key


def pseudonymise(values: pd.Series, key: bytes, domain: str) -> pd.Series:
    """Return a column's pseudonyms; each distinct value is hashed once, missing ones stay missing."""
    names = {value: pseudonym(key, domain, value) for value in values.dropna().unique()}
    return values.map(names).astype("str")
