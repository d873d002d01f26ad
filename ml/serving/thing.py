"""Identifiers of things in events: kept as they were sent where they name a thing for certain, as keyed digests elsewhere.

A shop may call a product `Rot/Grün 4`. Nobody can tell such a name from a customer's by its letters, so it is kept only
where a version in production, or the server's histories, know it as a thing's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from ml.config import Settings
from ml.field import code
from ml.privacy.pseudonym import pseudonym, read_key

PRODUCT_ID = "product_id"
A_WORD = re.compile(r"[A-Za-z]{2}|[^\x00-\x7f]|^\+|@")
FEW_DIGITS = 6  # no telephone number is shorter
STORED = frozenset({PRODUCT_ID, "terminal_id", "store_id"})
"""Fields that name a thing of the shop; they are kept, in histories and in the log."""

Known = Callable[[str, str], bool]
"""(field, identifier) -> whether it names a thing that the shop itself has told of."""
Digest = Callable[[str, str], str]
"""(field, identifier) -> its keyed digest."""


def digest_of(settings: Settings) -> Digest | None:
    """Return how this server makes digests; none where it has no key."""
    return partial(pseudonym, read_key(settings)) if settings.pseudonym_key else None


def without_unknown(value: Any, known: Known, digest: Digest) -> Any:
    """Return a JSON value in which unknown things that may be persons bear their digest instead, at any depth."""
    if isinstance(value, Mapping):
        return {name: _named(name, item, known, digest) for name, item in value.items()}
    if isinstance(value, list):
        return [without_unknown(item, known, digest) for item in value]
    return value


def named(field: str, identifier: str, known: Known, digest: Digest) -> str:
    """Return the name under which a thing is kept: its identifier if that is known or impersonal, else the digest."""
    return identifier if is_impersonal(identifier) or known(field, identifier) else digest(field, identifier)


def is_impersonal(identifier: str) -> bool:
    """Tell whether an identifier has the form of a code, or neither a word nor the digits of a telephone number."""
    try:
        return bool(code(identifier))
    except ValueError:
        return A_WORD.search(identifier) is None and sum(map(str.isdigit, identifier)) < FEW_DIGITS


def _named(name: str, item: Any, known: Known, digest: Digest) -> Any:
    is_thing = name in STORED and isinstance(item, str)
    return named(name, item, known, digest) if is_thing else without_unknown(item, known, digest)
