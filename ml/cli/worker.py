"""The command that a container starts to run the stages of one role."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from ml.config import Role
from ml.errors import ConfigInvalid

commands = typer.Typer()


@commands.command()
def worker(
    role: Annotated[Role, typer.Argument(help="Whose stages are run.")],
    folder: Annotated[Path, typer.Argument(help="Gets the socket at which Airflow's tasks call.")],
) -> None:
    """Run the stages of one role for Airflow, with the secrets of that role alone (a container starts this).

    `TRADEWIND_SECRETS` names the file with the role's secrets, or a folder with `<role>.json`.
    """
    from ml.stack.worker import Worker

    place = os.environ.get("TRADEWIND_SECRETS")
    if not place:
        raise ConfigInvalid("the role's secrets in TRADEWIND_SECRETS", "nothing", "Name their file.")
    with Worker(role, folder, Path(place)) as server:
        server.serve()
