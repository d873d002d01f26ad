"""Gives a stage's process the secrets of its own role, and no way to those of another.

Which role a stage or a step of maintenance runs as stands in `ml.pipeline.ROLES` and `UPKEEP`, what its process is handed in
`ml.pipeline.SECRETS`; nothing else decides it. `TRADEWIND_SECRETS` names a folder with one file a role; a worker that runs
the stages of one role alone (`ml/stack/worker.py`) is given that role's file.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ml.config import ROLES, Role, Settings, is_secret, load_settings
from ml.contract import JsonObject
from ml.environment import inherited, settings_of
from ml.errors import ConfigInvalid
from ml.files import write_private
from ml.pipeline import FOREIGN, PUBLIC, SECRETS, UPKEEP
from ml.pipeline import ROLES as OF_STAGES
from ml.stack.secret import load_or_generate, s3_variables

ROLE_OF: dict[str, Role | None] = {**OF_STAGES, **UPKEEP}
FOLDER_MODE = 0o700
ALWAYS = frozenset({"TRADEWIND_LOG"})
"""What a stage's process takes over beside the settings that are no secrets."""


def split(known: Mapping[str, str], folder: Path, roles: Iterable[Role] = ROLES) -> Path:
    """Write one file a role with what its stages need of a stack's secrets; return the folder.

    Neither logins, keys of Airflow, the store's administrator nor its inner keys are in any of them.
    """
    folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    folder.chmod(FOLDER_MODE)
    for role in roles:
        part = json.dumps(_part(known, role), indent=1, sort_keys=True)
        write_private(folder / f"{role}.json", part.encode())  # anew: in containers the old one is its worker's
    return folder


def read(place: Path, role: Role) -> dict[str, str]:
    """Return the secrets of one role.

    Args:
        place: A folder that `split` filled, or one file, with the secrets of this role.
        role: Whose.

    Raises:
        ConfigInvalid: There is no such file, or others may read it.
    """
    return _part(load_or_generate(_file(place, role)), role)


def as_settings(place: Path, role: Role, secrets: Sequence[str]) -> Settings:
    """Return the settings of a command that acts as a role: those of the environment, with the role's secrets.

    Args:
        place: As in `read`.
        role: Who acts.
        secrets: What it needs beside its S3 user and the public keys.

    Raises:
        ConfigInvalid: They are not there.
    """
    path = _file(place, role)
    known = load_or_generate(path)
    own = {name: known[name] for name in PUBLIC if name in known} | {name: known.get(name) for name in secrets}
    own |= {f"s3_{part}_key": known.get(f"s3_{role}_{part}_key") for part in ("access", "secret")}
    if missing := sorted(name for name, value in own.items() if value is None):
        wanted = f"the secrets of `{role}` in {path}"
        raise ConfigInvalid(wanted, f"no {', '.join(missing)}", f"Call this where the role `{role}` acts.")
    given = {name: value for name, value in load_settings().model_dump(exclude_unset=True).items() if value is not None}
    return Settings(**{**given, **own, "s3_role": role})


def stage_command(stage: str, use_case: str, request: JsonObject) -> list[str]:
    """Return the command that runs a stage of a use case, or a step of maintenance, which belongs to none."""
    words = ["maintain-step", stage] if stage in UPKEEP else ["task", stage, use_case]
    return [sys.executable, "-m", "ml", *words, "--request", json.dumps(request)]


def stage_environment(stage: str, place: Path | None, given: Mapping[str, str]) -> dict[str, str]:
    """Return the whole environment of the process that runs a stage.

    Args:
        stage: Its name.
        place: As in `read`; None where the stage acts as no role.
        given: The environment of the worker; of its secrets only those reach the stage that open other people's systems
            and are this stage's.
    """
    role, held = ROLE_OF[stage], SECRETS.get(stage, ())
    known = read(place, role) if role and place else {}
    allowed = ALWAYS | {_variable(name) for name in FOREIGN if name in held}
    allowed |= {_variable(name) for name, setting in Settings.model_fields.items() if not is_secret(setting)}
    return {
        **inherited(given),
        **{name: value for name, value in settings_of(given).items() if name in allowed},
        **(s3_variables(known, role) if role else {}),
        **{_variable(name): known[name] for name in (*PUBLIC, *held) if name in known},
    }


def _file(place: Path, role: Role) -> Path:
    path = place / f"{role}.json" if place.is_dir() else place
    if not path.is_file():
        raise ConfigInvalid(f"the secrets of `{role}` in {path}", "no file", "Point TRADEWIND_SECRETS at them.")
    return path


def _part(known: Mapping[str, str], role: Role) -> dict[str, str]:
    stages = {name for stage, names in SECRETS.items() if ROLE_OF[stage] == role for name in names}
    names = {*stages, *PUBLIC, f"s3_{role}_access_key", f"s3_{role}_secret_key"}
    return {name: known[name] for name in sorted(names) if name in known}


def _variable(name: str) -> str:
    return f"TRADEWIND_{name.upper()}"
