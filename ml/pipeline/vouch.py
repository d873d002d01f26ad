"""Signs and verifies what the stages of a run leave for each other in the object store.

Whoever may write a bucket is not believed: a statement names what it is about, and counts only with the signature of the
role whose stage makes such statements.
"""

from __future__ import annotations

import json

from ml.config import Role, Settings, require_secret
from ml.contract import JsonObject
from ml.errors import ConfigInvalid, IntegrityBroken
from ml.files import canonical
from ml.packaging.signing import Signer, Verifier
from ml.pipeline import RUN_KEYS

STATEMENT_LIMIT_BYTES = 64 * 1024 * 1024


def sign(settings: Settings, role: Role, kind: str, statement: JsonObject) -> bytes:
    """Return a DSSE envelope of a statement, signed with the role's key; equal statements give equal bytes.

    Raises:
        ConfigInvalid: This process does not hold the role's key.
    """
    name = f"{RUN_KEYS[role]}_key"
    return Signer(require_secret(getattr(settings, name), name)).sign(kind, canonical(statement))


def verify(settings: Settings, role: Role, kind: str, envelope: bytes, about: JsonObject) -> JsonObject:
    """Return a statement that the role signed, and that is about what was asked for.

    Args:
        settings: Those of a process that holds the public keys.
        role: Whose signature counts.
        kind: The payload type of such statements.
        envelope: What the object store gave.
        about: Fields that the statement must bear, such as `use_case` and `run_id`: one of another run is refused.

    Raises:
        ConfigInvalid: The role's public key is not set.
        IntegrityBroken: The role did not sign it, or it is about something else.
    """
    name = f"{RUN_KEYS[role]}_verify_key"
    keys = getattr(settings, name)
    if keys is None:
        raise ConfigInvalid(f"TRADEWIND_{name.upper()}", "nothing", f"Set it to the public key(s) of `{role}` [PEM].")
    statement: JsonObject = json.loads(Verifier(keys).verify(envelope, kind))
    other = {field: statement.get(field) for field, value in about.items() if statement.get(field) != value}
    if other:
        wanted = {field: about[field] for field in other}
        raise IntegrityBroken(f"a statement of {wanted}", f"one of {other}", "Find out who wrote it; start a new run.")
    return statement
