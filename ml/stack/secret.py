"""The secrets of a stack: generated once, kept in one file that only its owner can read."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from ml.config import ROLES, Role
from ml.errors import ConfigInvalid
from ml.packaging.signing import KeyPair, combine, generate_key
from ml.pipeline import RUN_KEYS

FILE_MODE = 0o600
ADMIN = "admin"  # the S3 user that makes buckets; no stage acts as it


def load_or_generate(path: Path) -> dict[str, str]:
    """Return the secrets in `path`; generate the file on first use.

    Raises:
        ConfigInvalid: Others may read the file, or it holds no secrets.
    """
    if not path.exists():
        _write(path, _generate())
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        raise ConfigInvalid(f"{path} readable by its owner alone", f"mode {mode:o}", f"Run: chmod 600 {path}")
    return _read(path)


def load_all(path: Path) -> dict[str, str]:
    """Return the secrets in `path` of a whole stack; what a newer version of the code needs is added."""
    known = load_or_generate(path)
    missing = {name: value for name, value in _generate().items() if name not in known}
    return known if not missing else _replaced(path, {**known, **missing})


def names_of(name: str) -> tuple[str, str]:
    """Return what the private and the public half of a signing key are called, here and in the settings."""
    return ("signing_key", "verify_key") if name == "signing" else (f"{name}_key", f"{name}_verify_key")


def replace_keys(path: Path, pairs: Mapping[str, KeyPair], *, is_old_trusted: bool) -> None:
    """Sign with new keys from now on; the file appears whole or stays as it was.

    Args:
        path: The secrets file.
        pairs: The new key of each that is replaced: `signing`, `freeze`, `train`, `judge` or `customer`.
        is_old_trusted: Whether what older keys signed is still believed; not after a leak.
    """
    known = load_all(path)
    changed: dict[str, str] = {}
    for name, pair in pairs.items():
        private, public = names_of(name)
        trusted = [pair.public, known[public]] if is_old_trusted else [pair.public]
        changed |= {private: pair.private, public: combine(trusted)}
    _replaced(path, {**known, **changed})


def s3_variables(known: Mapping[str, str], role: Role) -> dict[str, str]:
    """Return the environment of a process that acts as one S3 user."""
    return {
        "TRADEWIND_S3_ROLE": role,
        "TRADEWIND_S3_ACCESS_KEY": known[f"s3_{role}_access_key"],
        "TRADEWIND_S3_SECRET_KEY": known[f"s3_{role}_secret_key"],
    }


def derived(secret: str, purpose: str) -> str:
    """Return a secret that follows from another one [64 hexadecimal digits]: files made before it was needed lack nothing."""
    return hmac.digest(secret.encode(), f"tradewind {purpose}".encode(), hashlib.sha256).hex()


def _read(path: Path) -> dict[str, str]:
    remedy = "Put a copy of it back. Without one, `tradewind clean` forgets the stack and its data."
    try:
        loaded = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigInvalid(f"secrets as JSON in {path}", type(error).__name__, remedy) from error
    if not isinstance(loaded, dict) or not all(isinstance(value, str) for value in loaded.values()):
        raise ConfigInvalid(f"an object of names and texts in {path}", "another shape", remedy)
    return loaded


def _generate() -> dict[str, str]:
    values = {name: secrets.token_urlsafe(64) for name in ("server_token", "airflow_secret", "airflow_jwt")}
    values |= {f"weed_jwt_{i}": secrets.token_urlsafe(32) for i in range(4)}
    values["airflow_password"] = secrets.token_urlsafe(12)
    values["airflow_fernet"] = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    values["pseudonym_key"], values["master_key"] = secrets.token_hex(32), secrets.token_hex(64)
    pair = generate_key()
    values["signing_key"], values["verify_key"] = pair.private, pair.public
    for name in ("customer", *RUN_KEYS.values()):
        own = generate_key()
        values[f"{name}_key"], values[f"{name}_verify_key"] = own.private, own.public
    for user in (ADMIN, *ROLES):
        values[f"s3_{user}_access_key"] = f"{user}-{secrets.token_hex(4)}"
        values[f"s3_{user}_secret_key"] = secrets.token_urlsafe(30)
    return values


def _write(path: Path, values: Mapping[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
    with os.fdopen(descriptor, "w") as file:
        json.dump(dict(values), file, indent=1, sort_keys=True)


def _replaced(path: Path, values: dict[str, str]) -> dict[str, str]:
    """Write the file anew: it appears whole or stays as it was."""
    beside = path.with_name(f".{path.name}.part")
    beside.unlink(missing_ok=True)
    _write(beside, values)
    beside.replace(path)
    return values
