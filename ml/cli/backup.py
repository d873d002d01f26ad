"""The commands that copy an installation, and put a copy into an empty one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ml.cli.acting import DEFAULT_HOME, Home
from ml.terminal import echo

commands = typer.Typer()

MIB = 1024 * 1024
Passphrase = Annotated[
    Path, typer.Option("--passphrase-file", help="Holds at least 16 characters; for its owner alone (mode 0600).")
]
Keys = Annotated[Path | None, typer.Option(help="The encrypted keys' file; default keys.sealed in the folder.")]


@commands.command()
def backup(
    folder: Annotated[Path, typer.Argument(help="New or empty; one that a killed backup began is completed.")],
    passphrase_file: Passphrase,
    keys: Keys = None,
    home: Home = DEFAULT_HOME,
) -> None:
    """Copy an installation that runs: buckets, Airflow's database, ports; secrets and customers' keys encrypted."""
    from ml.stack import up as stack
    from ml.stack.backup import back_up
    from ml.stack.sealed_keys import read_passphrase

    made = back_up(stack.load(home), folder, read_passphrase(passphrase_file), keys)
    echo(f"{made.objects} objects, {made.size / MIB:.1f} MiB in {folder}; encrypted keys in {made.keys}")


@commands.command()
def restore(
    folder: Annotated[Path, typer.Argument(help="What `tradewind backup` made.")],
    passphrase_file: Passphrase,
    keys: Keys = None,
    erasures: Annotated[
        Path | None, typer.Option(help="A later backup: whoever was erased by then stays erased.")
    ] = None,
    home: Home = DEFAULT_HOME,
) -> None:
    """Put a backup into an empty installation: verify all of it, replay golden requests, apply erasures again."""
    from ml.stack.restore import restore as put_back
    from ml.stack.restore import verified
    from ml.stack.sealed_keys import read_passphrase
    from ml.use_cases import NAMES, load

    whole = verified(folder, read_passphrase(passphrase_file), keys)
    for one in put_back(whole, home, {name: load(name) for name in NAMES}, erasures):
        answers = ", ".join(f"{number} golden requests agree on {name}" for name, number in one.answered.items())
        echo(
            f"{one.use_case}: {one.entries} ledger entries and {one.documents} documents hold; "
            f"{one.erased_again} things of erased customers removed; {answers or 'nothing is live'}"
        )
    echo(f"start it with: tradewind up --home {home}")
