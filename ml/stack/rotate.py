"""Replaces the signing keys of an embedded stack, and signs anew what an old key said where that is believed no more."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path

from pydantic import SecretStr

from ml.config import Role, Settings
from ml.errors import ConfigInvalid
from ml.packaging.signing import KeyPair, generate_key
from ml.pipeline import RUN_KEYS
from ml.pipeline.accepted import sign_again as sign_accepted
from ml.registry.erasure_mark import resign
from ml.registry.rotation import vouch
from ml.serving.snapshot import sign_again as sign_histories
from ml.stack import secret
from ml.stack.up import Stack

OWN: tuple[str, ...] = ("signing", *RUN_KEYS.values())
"""Keys that the stack's own roles sign with."""
CUSTOMER = "customer"
"""Signs customers' tokens; the shop's back end holds it, so it is replaced by name alone."""


def rotate(
    running: Stack, names: Collection[str], use_cases: Iterable[str], tell: Callable[[str], None], *, leaked: bool
) -> None:
    """Let new keys sign from now on.

    Args:
        running: Whose keys; its store has to answer where a key leaked.
        names: Of `OWN`, or `CUSTOMER`.
        use_cases: What they sign for.
        tell: Receives one line about whatever was signed anew.
        leaked: Whether what the old keys sign is believed no more.

    Raises:
        ConfigInvalid: There is no such key.
        IntegrityBroken: Something that the old key signed does not hold: no key was replaced.
    """
    if unknown := sorted(set(names) - {*OWN, CUSTOMER}):
        raise ConfigInvalid(f"keys of {', '.join((*OWN, CUSTOMER))}", ", ".join(map(repr, unknown)), "Correct --key.")
    pairs = {name: generate_key() for name in names}
    if leaked:
        for use_case in use_cases:
            for sentence in _signed_anew(running, pairs, use_case):
                tell(f"{use_case}: signed anew {sentence}")
    secret.replace_keys(_secrets_file(running.home), pairs, is_old_trusted=not leaked)


def _signed_anew(running: Stack, pairs: dict[str, KeyPair], use_case: str) -> Iterator[str]:
    """Sign with the new keys what outlives a run; yield what it was."""
    if (pair := pairs.get("signing")) is not None:
        old, new = _both(running, "promote", "signing", pair)
        yield ", ".join(vouch(old, new, use_case)) or "no version"
        old, new = _both(running, "custodian", "signing", pair)
        yield f"{resign(old, new, use_case)} marks of erasures, histories {sign_histories(old, new, use_case) or 'none'}"
    if (pair := pairs.get(RUN_KEYS["ingest"])) is not None:
        old, new = _both(running, "ingest", RUN_KEYS["ingest"], pair)
        yield f"the list of {sign_accepted(old, new, use_case)} accepted runs"


def _both(running: Stack, role: Role, name: str, pair: KeyPair) -> tuple[Settings, Settings]:
    """Return the settings of a role with its old key, and with the new one alone."""
    private, public = secret.names_of(name)
    old = running.settings(role, private)
    return old, old.model_copy(update={private: SecretStr(pair.private), public: pair.public})


def _secrets_file(home: Path) -> Path:
    return home.absolute() / "secrets.json"
