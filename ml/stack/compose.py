"""What `docker-compose.yml` needs before its first start: `.env`, and one file for each secret that is no variable."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from ml.config import Role, Settings
from ml.errors import ConfigInvalid
from ml.files import write_private
from ml.pipeline import PUBLIC
from ml.privacy.overwrite import PORTS_FILE
from ml.private import make_private
from ml.stack.airflow import passwords
from ml.stack.certificate import private_authority
from ml.stack.objectstore import identities, make_buckets
from ml.stack.role_secrets import split
from ml.stack.seaweed import TLS_FILE, client_toml
from ml.stack.secret import ADMIN, derived, load_all

SERVICE_USER = 10001  # who the services run as where root starts them: a container never needs more
WORKER_USERS: dict[Role, int] = {
    "ingest": 10011,
    "train": 10012,
    "judge": 10013,
    "promote": 10014,
    "read": 10015,
    "retention": 10016,
}
"""Who the worker of each role runs as: nobody else does, so no other service can read its secrets or its work."""
CUSTODIAN_KEYS = ("master_key", "pseudonym_key", "signing_key")
"""What the commands about one customer need: `tradewind erase`, `erasures`, `decrypt`."""
STORE_SECONDS = 120
CERTIFICATE = "store-certificate.pem"
"""What the store's parts show each other; kept, for a container that runs has read it."""
MASTER = {"host": "127.0.0.1", "master.port": 9333, "master.port.grpc": 19333}
"""Where the store's master listens, inside the store's own network."""
VARIABLES = {
    "AIRFLOW_FERNET_KEY": "airflow_fernet",
    "AIRFLOW_SECRET_KEY": "airflow_secret",
    "AIRFLOW_JWT_SECRET": "airflow_jwt",
    "CUSTOMER_VERIFY_KEY": "customer_verify_key",
    "PSEUDONYM_KEY": "pseudonym_key",
    "SERVER_TOKEN": "server_token",
    **{name.upper(): name for name in PUBLIC},
    **{f"S3_{user.upper()}_ACCESS_KEY": f"s3_{user}_access_key" for user in ("serve", "read", ADMIN)},
    **{f"S3_{user.upper()}_SECRET_KEY": f"s3_{user}_secret_key" for user in ("serve", "read", ADMIN)},
}
"""Name in `.env` to name in the generated secrets."""


def prepare(project: Path, home: Path, prefix: str) -> Path:
    """Write `.env` and the secret files; secrets that exist stay as they are.

    Args:
        project: Folder of `docker-compose.yml`; `.env` goes there. Lines of it that are not ours are kept.
        home: The secret files go to `compose/` below it, a folder for its owner alone.
        prefix: Of the bucket names.

    Returns:
        Path of `.env`.

    Raises:
        ConfigInvalid: Who calls is one of the users that the workers of the roles run as.
    """
    user = os.getuid() or SERVICE_USER
    if user in WORKER_USERS.values():
        raise ConfigInvalid(f"a user beside {_numbers()}, the workers' own", str(user), "Run this as another user.")
    folder = make_private(home) / "compose"
    folder.mkdir(mode=0o700, exist_ok=True)
    known = load_all(folder / "secrets.json")
    _write(folder / "s3.json", _json(identities(known, prefix)), user)
    if not (folder / CERTIFICATE).exists():
        _write(folder / CERTIFICATE, private_authority("store"), user)
    _write(folder / "custodian.json", _json(_custodian(known)), user)
    _prepare_administration(folder, user)
    _write(folder / "passwords.json", _json(passwords(known)), user)
    for role, worker in WORKER_USERS.items():
        _give(split(known, folder / "roles", [role]) / f"{role}.json", worker)
    (folder / "task-secrets.json").unlink(missing_ok=True)  # of before: all roles' secrets in one file
    values = {name: known[secret] for name, secret in VARIABLES.items()} | {
        "TRADEWIND_UID": str(user),
        "TRADEWIND_SECRET_DIR": str(folder),
        "POSTGRES_PASSWORD": derived(known["airflow_secret"], "postgres"),
    }
    return _write_variables(project / ".env", values)


def wait_and_make_buckets(settings: Settings) -> None:
    """Make the missing buckets as soon as the store answers.

    Raises:
        StorageUnavailable: It did not answer within two minutes.
    """
    from botocore.exceptions import BotoCoreError, ClientError
    from tenacity import RetryError, retry, retry_if_exception_type, stop_after_delay, wait_fixed

    from ml.errors import StorageUnavailable
    from ml.store import connect

    patiently = retry(
        retry=retry_if_exception_type((BotoCoreError, ClientError)),
        stop=stop_after_delay(STORE_SECONDS),
        wait=wait_fixed(1),
    )
    try:
        patiently(make_buckets)(connect(settings), settings.s3_prefix)
    except RetryError as error:
        cause = type(error.last_attempt.exception()).__name__
        raise StorageUnavailable(f"an answer of {settings.s3_endpoint}", cause, "Is it up, with these keys?") from error


def _custodian(known: Mapping[str, str]) -> dict[str, str]:
    names = (*PUBLIC, *CUSTODIAN_KEYS, *(f"s3_custodian_{part}_key" for part in ("access", "secret")))
    return {name: known[name] for name in names}


def _prepare_administration(folder: Path, user: int) -> None:
    """Make what `TRADEWIND_STORE_ADMIN` names: the way to the store's administration, and a place for its volumes."""
    place = folder / "store-admin"
    for one in (place, place / "data"):
        one.mkdir(mode=0o700, exist_ok=True)
        _give(one, user)
    _write(place / TLS_FILE, (folder / CERTIFICATE).read_text(), user)
    _write(place / "security.toml", client_toml(), user)
    _write(place / PORTS_FILE, _json(MASTER), user)


def _json(value: object) -> str:
    return json.dumps(value, indent=1, sort_keys=True)


def _write(path: Path, text: str, user: int) -> None:
    """Write a file that its owner, the services' user, can read and nobody else."""
    write_private(path, text.encode())
    _give(path, user)


def _give(path: Path, user: int) -> None:
    """Make a file another user's; only root can, and the service `permissions` does it again for the workers' files."""
    if os.getuid() == 0:
        os.chown(path, user, 0)


def _numbers() -> str:
    return f"{min(WORKER_USERS.values())} … {max(WORKER_USERS.values())}"


def _write_variables(path: Path, values: Mapping[str, str]) -> Path:
    lines = path.read_text().splitlines() if path.exists() else []
    own = [line for line in lines if line and line.partition("=")[0] not in values]
    ours = [f"{name}={_quoted(value)}" for name, value in sorted(values.items())]
    write_private(path, ("\n".join([*own, *ours]) + "\n").encode())
    return path


def _quoted(value: str) -> str:
    """Return the value on one line; between double quotes compose reads `\\n` as a line's end."""
    return '"' + value.replace("\n", "\\n") + '"' if "\n" in value else value
