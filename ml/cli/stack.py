"""The commands that start, stop and look after the embedded stack, and prepare containers."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from ml.cli.acting import DAY, DEFAULT_HOME, Home
from ml.config import load_settings
from ml.private import make_private
from ml.terminal import Console

commands = typer.Typer()


@commands.command()
def up(home: Home = DEFAULT_HOME) -> None:
    """Start the embedded stack: object store, Airflow, model server; what runs is reused."""
    from ml.stack import up as stack

    out = Console()
    running = stack.up(home, lambda line: out.print(f"  {line}", highlight=False))
    out.print(f"Airflow {running.airflow_url} · model server {running.server_url}", highlight=False)


@commands.command()
def run(
    use_case: Annotated[list[str] | None, typer.Argument(help="What to retrain; default all.")] = None,
    as_of: Annotated[
        datetime | None, typer.Option(formats=[DAY], help="Read data up to this day; default today.")
    ] = None,
    home: Home = DEFAULT_HOME,
) -> None:
    """Start the stack, retrain and promote through Airflow, and show what is live."""
    from ml.stack.journey import travel
    from ml.use_cases import NAMES, load

    chosen = tuple(load(name).name for name in use_case or NAMES)
    travel(home, chosen, as_of.date() if as_of else None)


@commands.command()
def down(home: Home = DEFAULT_HOME) -> None:
    """Stop all that `up` or `run` started; data stay."""
    from ml.stack import up as stack

    out = Console()
    stopped = stack.down(home, lambda line: out.print(f"  {line}", highlight=False))
    out.print(f"stopped: {', '.join(stopped) or 'nothing was running'}", highlight=False)


@commands.command(hidden=True)
def keep(home: Home = DEFAULT_HOME) -> None:
    """Look after the parts of the embedded stack (`up` starts this)."""
    from ml.stack import up as stack
    from ml.stack.keep import keep as look_after

    look_after(make_private(home), stack.mend)


@commands.command()
def users(home: Home = DEFAULT_HOME) -> None:
    """Show the logins of the embedded Airflow with what each may do."""
    from ml.stack import up as stack
    from ml.stack.summary import show_users

    show_users(Console(), stack.load(home).secrets)


@commands.command()
def clean(
    home: Home = DEFAULT_HOME,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Stop the stack and forget its data, versions, ledger, caches and secrets."""
    from ml.stack import up as stack

    if not yes:
        typer.confirm(f"Forget everything in {home}?", abort=True)
    stack.clean(home)
    Console().print(f"forgot {home}", highlight=False)


@commands.command()
def compose_env(
    home: Home = DEFAULT_HOME,
    production: Annotated[bool, typer.Option(help="Refuse images that are not named by digest.")] = False,
) -> None:
    """Write `.env` and the secret files that docker-compose.yml needs; secrets that exist stay."""
    from ml.pipeline.place import PROJECT
    from ml.stack.compose import prepare
    from ml.stack.images import require_digests

    if production:
        require_digests(PROJECT)
    Console().print(f"wrote {prepare(PROJECT, home, load_settings().s3_prefix)}", highlight=False)


@commands.command()
def make_buckets() -> None:
    """Make the object store's missing buckets, as the S3 user in the environment; compose calls this once."""
    from ml.stack.compose import wait_and_make_buckets

    wait_and_make_buckets(load_settings())
