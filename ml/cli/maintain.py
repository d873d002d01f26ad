"""The commands of maintenance: verify ledgers, remove what no retention keeps, look at room and certificates."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.table import Table

from ml.cli.acting import DEFAULT_HOME, Home, json_object
from ml.contract import JsonObject
from ml.errors import StageFailed
from ml.pipeline import RESULT
from ml.terminal import Console, echo, one_line

commands = typer.Typer()


@commands.command()
def maintain(
    is_trial: Annotated[bool, typer.Option("--dry-run", help="Show what would go; change nothing.")] = False,
    home: Home = DEFAULT_HOME,
) -> None:
    """Verify all ledgers, remove what no retention keeps, check free space and certificates, and write a report."""
    from ml.maintenance.conduct import conduct

    out = Console()
    report = conduct(home, lambda step: out.print(f"  {step}", highlight=False), is_trial=is_trial)
    _show(out, report)
    if report["faults"]:
        raise StageFailed("maintenance without faults", f"{len(report['faults'])}, listed above", "Follow each remedy.")


@commands.command(hidden=True)
def maintain_step(
    name: str,
    request: Annotated[str, typer.Option(help="`is_trial`; of the report also `outcomes` [JSON].")] = "{}",
) -> None:
    """Run one step of maintenance as the role in the environment (Airflow calls this)."""
    from ml.maintenance.step import run_step

    echo(f"{RESULT}{json.dumps(run_step(name, json_object(request, '--request')))}")


def _show(out: Console, report: JsonObject) -> None:
    from ml.maintenance.summary import readable

    table = Table(box=None, pad_edge=False)
    table.add_column("step")
    table.add_column("would go" if report["is_trial"] else "removed")
    table.add_column("number", justify="right")
    table.add_column("size", justify="right")
    for row in report["removed"]:
        table.add_row(row["step"], row["kind"], f"{row['number']:,}", readable(row["size"]))
    out.print(table)
    for note in report["notes"]:
        out.print(f"{note['step']}: {one_line(note['sentence'])}", markup=False, soft_wrap=True)
    for kind, style in (("warnings", "yellow"), ("faults", "red")):
        for sentence in report[kind]:
            out.print(f"[{style}]{kind[:-1]}[/]  ", end="")
            out.print(one_line(sentence), markup=False, soft_wrap=True)
