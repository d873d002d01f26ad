"""Who a command acts as: options that commands share, and the settings of one role."""

from __future__ import annotations

import getpass
import json
import os
import re
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated

import typer

from ml.config import Role, Settings, load_settings
from ml.contract import JsonObject
from ml.errors import ConfigInvalid
from ml.use_cases import NAMES

DAY = "%Y-%m-%d"
LARGEST_SEED = 2**32 - 1  # numpy's and TensorFlow's
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")
"""What a use case may be called: part of keys, folders and DAG names."""


def _named(name: str) -> str:
    """Return a use case's name; raise `ConfigInvalid` where nothing could be called so."""
    if not NAME.fullmatch(name):
        raise ConfigInvalid(f"one of the use cases {', '.join(NAMES)}", repr(name), "Correct the name.")
    return name


def digested(text: str | None) -> str | None:
    """Return a digest, or none where none was given; raise `ConfigInvalid` where it has another form."""
    if text is not None and not DIGEST.fullmatch(text):
        raise ConfigInvalid(
            "a whole digest: sha256: and 64 hexadecimal digits in lower case",
            repr(text[:80]),
            "Copy it from `tradewind history` or the page that shows it.",
        )
    return text


def _reasoned(reason: str) -> str:
    """Return a reason; raise `ConfigInvalid` where it says nothing."""
    if not reason.strip():
        raise ConfigInvalid("a reason", repr(reason), "Say why: the ledger keeps it.")
    return reason


UseCaseName = Annotated[str, typer.Argument(help="recommend, …", callback=_named)]
Reason = Annotated[str, typer.Option(help="Kept in the ledger.", callback=_reasoned)]
Home = Annotated[Path, typer.Option(envvar="TRADEWIND_HOME", help="Folder of the embedded stack.")]
DEFAULT_HOME = Path(".tradewind")


def acting(home: Path, role: Role, *secrets: str) -> Settings:
    """Return the settings of a role: from the environment where it names one, or its secrets, else from the embedded stack.

    Raises:
        ConfigInvalid: `TRADEWIND_SECRETS` names the secrets of another role.
    """
    settings = load_settings()
    if settings.s3_role is not None:
        return settings
    if place := os.environ.get("TRADEWIND_SECRETS"):  # in a container
        from ml.stack.role_secrets import as_settings

        return as_settings(Path(place), role, secrets)
    from ml.stack import up as stack

    settings = stack.load(home).settings(role, *secrets)
    return settings.model_copy(update={"store_admin": settings.home / "store"}) if role == "custodian" else settings


def reader(home: Path) -> Settings:
    """Return the settings of who only looks."""
    return acting(home, "read")


def known(settings: Settings, use_case: str) -> str:
    """Return the name of a use case that exists, or that a ledger tells of.

    Raises:
        ConfigInvalid: There is none.
    """
    from ml.store import Bucket

    _named(use_case)
    if use_case not in NAMES and next(Bucket.open(settings, "ledger").keys(f"{use_case}/"), None) is None:
        raise ConfigInvalid(f"one of the use cases {', '.join(NAMES)}", repr(use_case), "Correct the name.")
    return use_case


def address(host: str) -> str:
    """Return an address to listen on.

    Raises:
        ConfigInvalid: It is none; an empty one would mean every network of this machine.
    """
    try:
        return host if host == "localhost" else str(ip_address(host))
    except ValueError as error:
        raise ConfigInvalid("an IP address, or localhost, as --host", repr(host), "Correct it.") from error


def json_object(text: str, option: str) -> JsonObject:
    """Return the JSON object that an option holds.

    Raises:
        ConfigInvalid: It holds none.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise ConfigInvalid(f"a JSON object as {option}", repr(text[:80]), 'Give one, as {"name": "value"}.')
    return value


def caller() -> str:
    """Return the name under which the ledger keeps what this person does."""
    try:
        return f"local:{getpass.getuser()}"
    except (KeyError, OSError):  # a user without an entry in the system's list
        return f"local:{os.getuid()}"
