"""The commands that other programs call: containers, Airflow, DVC and `tune`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from ml.cli.acting import UseCaseName, address, json_object
from ml.config import load_settings
from ml.pipeline import RESULT
from ml.private import make_private
from ml.terminal import echo

commands = typer.Typer()


@commands.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.", callback=address)] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8500,
    health_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="A listener for /health and /metrics alone; default none.")
    ] = None,
) -> None:
    """Run the model server; settings come from the environment."""
    from ml.pages import PAGES
    from ml.serving.run import serve as listen
    from ml.use_cases import NAMES, load

    settings = load_settings()
    make_private(settings.home)
    listen(settings, {name: load(name) for name in NAMES}, host, (port, health_port), PAGES)


@commands.command()
def stage(name: str, use_case: UseCaseName) -> None:
    """Run one file-to-file stage in this folder, a run's workspace (DVC calls this)."""
    from ml.pipeline.file_stage import run_file_stage

    run_file_stage(name, use_case)


@commands.command()
def trial(
    use_case: UseCaseName,
    folder: Annotated[Path, typer.Option(help="Holds train, valid and state of a run's features.")],
    train: Annotated[str, typer.Option(help="Section `train` of the parameters [JSON].")],
) -> None:
    """Train once and tell the primary metric on validation rows (`tune` calls this)."""
    from ml.pipeline.tune import try_once
    from ml.use_cases import load

    echo(f"{RESULT}{try_once(load(use_case), folder, json_object(train, '--train'))}")


@commands.command()
def task(
    name: str,
    use_case: UseCaseName,
    request: Annotated[str, typer.Option(help="What the run was asked for [JSON].")],
) -> None:
    """Run one stage of one run, handing over through the object store (Airflow calls this)."""
    from ml.pipeline.task import run_task

    echo(f"{RESULT}{json.dumps(run_task(name, use_case, json_object(request, '--request')))}")
