"""Who a command acts as: options that commands share, and the settings of one role."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated

import typer

from ml.config import Role, Settings, load_settings

UseCaseName = Annotated[str, typer.Argument(help="recommend, …")]
Reason = Annotated[str, typer.Option(help="Kept in the ledger.")]
Home = Annotated[Path, typer.Option(envvar="TRADEWIND_HOME", help="Folder of the embedded stack.")]
DEFAULT_HOME = Path(".tradewind")


def acting(home: Path, role: Role, *secrets: str) -> Settings:
    """Return the settings of a role: from the environment where it names one, else from the embedded stack."""
    settings = load_settings()
    if settings.s3_role is not None:
        return settings
    from ml.stack import up as stack

    settings = stack.load(home).settings(role, *secrets)
    return settings.model_copy(update={"store_admin": settings.home / "store"}) if role == "custodian" else settings


def reader(home: Path) -> Settings:
    """Return the settings of who only looks."""
    return acting(home, "read")


def caller() -> str:
    """Return the name under which the ledger keeps what this person does."""
    return f"local:{getpass.getuser()}"
