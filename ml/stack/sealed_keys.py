"""The keys of an installation in one encrypted file: a backup that is found without its passphrase opens nothing.

Scrypt (RFC 7914) makes a key of the passphrase, AES-256-GCM encrypts. The plain head is authenticated with the rest.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from ml.contract import JsonObject
from ml.errors import ConfigInvalid, IntegrityBroken
from ml.files import canonical, parse_object

SCHEMA = "tradewind/sealed-keys/1"
COST, BLOCK, PARALLEL = 2**16, 8, 1  # 64 MiB and about a quarter of a second a guess
SHORTEST = 16
"""Characters of a passphrase: the file may be guessed at for years."""
SALT_BYTES, NONCE_BYTES, KEY_BYTES = 16, 12, 32
SEALED_BYTES = 1024**3


def read_passphrase(path: Path) -> str:
    """Return the passphrase in a file, without its line's end.

    Raises:
        ConfigInvalid: Others may read the file, or it holds less than 16 characters.
    """
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        raise ConfigInvalid(f"{path} readable by its owner alone", f"mode {mode:o}", f"Run: chmod 600 {path}")
    try:
        text = path.read_bytes().decode("utf-8").strip("\r\n")
    except UnicodeDecodeError as error:
        raise ConfigInvalid(f"a passphrase in UTF-8 in {path}", "other bytes", "Write text into it.") from error
    if len(text) < SHORTEST:
        raise ConfigInvalid(
            f"a passphrase of at least {SHORTEST} characters in {path}",
            f"{len(text)}",
            "Make one: openssl rand -hex 32",
        )
    return text


def sealed(passphrase: str, value: JsonObject) -> bytes:
    """Return the value, encrypted under the passphrase."""
    salt, nonce = os.urandom(SALT_BYTES), secrets.token_bytes(NONCE_BYTES)
    head = {"schema": SCHEMA, "salt": _text(salt), "nonce": _text(nonce)}
    hidden = AESGCM(_key(passphrase, salt)).encrypt(nonce, canonical(value), canonical(head))
    return canonical({**head, "data": _text(hidden)})


def opened(passphrase: str, data: bytes, what: str) -> JsonObject:
    """Return the value.

    Args:
        passphrase: The one it was encrypted under.
        data: What `sealed` returned.
        what: Names the file in messages.

    Raises:
        ConfigInvalid: It does not open: another passphrase, or bytes that were altered, which cannot be told apart.
        IntegrityBroken: It is no such file.
    """
    box = parse_object(data, what, "Take another copy.", SEALED_BYTES)
    if box.get("schema") != SCHEMA:
        raise IntegrityBroken(f"{SCHEMA} in {what}", repr(box.get("schema"))[:80], "Take another copy.")
    head = {name: box.get(name) for name in ("schema", "salt", "nonce")}
    try:
        salt, nonce, hidden = (
            base64.b64decode(str(box.get(name)), validate=True) for name in ("salt", "nonce", "data")
        )
        plain = AESGCM(_key(passphrase, salt)).decrypt(nonce, hidden, canonical(head))
    except (InvalidTag, ValueError) as error:
        raise ConfigInvalid(
            f"{what} to open with this passphrase",
            "another passphrase, or a file that was altered",
            "Give the passphrase of the day when it was made; else take another copy.",
        ) from error
    value: JsonObject = json.loads(plain)
    return value


def _key(passphrase: str, salt: bytes) -> bytes:
    kdf = Scrypt(salt=salt, length=KEY_BYTES, n=COST, r=BLOCK, p=PARALLEL)
    return kdf.derive(passphrase.encode())


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
