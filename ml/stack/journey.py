"""`make run`: the stack up, one retraining through Airflow followed task by task, and what came of it."""

from __future__ import annotations

import time
from datetime import date
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ml.errors import DataRejected, GateFailed, StageFailed, TradewindError
from ml.pipeline import STAGES
from ml.stack import up as stack
from ml.stack.airflow import USER
from ml.stack.orchestrator import ENDED, Orchestrator, TaskState
from ml.stack.summary import show

POLL_SECONDS = 0.5
LOG_LINES = 25
COLOURS = {"success": "green", "failed": "red", "upstream_failed": "red", "running": "yellow", "skipped": "cyan"}
REFUSALS: dict[str, type[TradewindError]] = {"validate": DataRejected, "evaluate": GateFailed}


def travel(home: Path, use_case: str, as_of: date | None) -> None:
    """Bring the stack up, retrain one use case and show what is live.

    Raises:
        DataRejected: The data checks refused; production stays as it was.
        GateFailed: The gate refused; production stays as it was.
        StageFailed: Another stage ended badly.
    """
    out = Console(highlight=False)
    began = time.monotonic()
    out.print("[bold]Tradewind[/]  starting the stack")
    running = stack.up(home, lambda line: out.print(f"  {line}"))
    out.print(f"  up after {time.monotonic() - began:.0f} s")
    orchestrator = Orchestrator(running.airflow_url, running.secrets["airflow_password"])
    dag_id = f"retrain_{use_case}"
    run_id = orchestrator.trigger(dag_id, {"as_of": as_of.isoformat()} if as_of else {})
    out.print(f"\n[bold]{dag_id}[/]  run {run_id}")
    tasks = _follow(out, orchestrator, dag_id, run_id)
    _raise_if_failed(out, orchestrator, dag_id, run_id, tasks)
    show(out, running, use_case, run_id)
    out.print(
        f"\ndone in {time.monotonic() - began:.0f} s · Airflow login: {USER} / {running.secrets['airflow_password']}"
    )


def _follow(out: Console, orchestrator: Orchestrator, dag_id: str, run_id: str) -> dict[str, TaskState]:
    """Show the run's tasks until it has ended, and return their last states."""
    began = time.monotonic()
    tasks: dict[str, TaskState] = {}
    with Live(console=out, refresh_per_second=4, auto_refresh=out.is_terminal, transient=True) as live:
        while orchestrator.state(dag_id, run_id) not in ENDED:
            before, tasks = tasks, orchestrator.tasks(dag_id, run_id)
            if out.is_terminal:
                live.update(_table(tasks, time.monotonic() - began))
            else:
                _tell_changes(out, before, tasks, time.monotonic() - began)
            time.sleep(POLL_SECONDS)
    tasks = orchestrator.tasks(dag_id, run_id)
    out.print(_table(tasks, time.monotonic() - began))
    return tasks


def _tell_changes(out: Console, before: dict[str, TaskState], tasks: dict[str, TaskState], seconds: float) -> None:
    """Print a line for each task whose state changed: progress where nothing can be redrawn."""
    for name, task in tasks.items():
        if (name not in before or before[name].state != task.state) and task.state in COLOURS:
            out.print(f"  {seconds:5.0f} s  {name:<10} {task.state}")


def _table(tasks: dict[str, TaskState], seconds: float) -> Group:
    table = Table(box=None, pad_edge=False, show_header=True)
    for heading, side in (("task", "left"), ("state", "left"), ("time [s]", "right"), ("try", "right")):
        table.add_column(heading, justify=side)  # type: ignore[arg-type]
    order = [*STAGES[: STAGES.index("promote")], "approve", *STAGES[STAGES.index("promote") :]]
    for name in order:
        task = tasks.get(name, TaskState(name=name, state="waiting", seconds=None, tries=0))
        spent = f"{task.seconds:.1f}" if task.seconds is not None else ""
        state = Text(task.state, style=COLOURS.get(task.state, "dim"))
        table.add_row(name, state, spent, str(task.tries) if task.tries > 1 else "")
    return Group(table, Text(f"{seconds:.0f} s", style="dim"))


def _raise_if_failed(
    out: Console, orchestrator: Orchestrator, dag_id: str, run_id: str, tasks: dict[str, TaskState]
) -> None:
    failed = [task for task in tasks.values() if task.state == "failed"]
    if not failed:
        return
    first = min(failed, key=lambda task: (*STAGES, "approve").index(task.name))
    lines = orchestrator.log(dag_id, run_id, first.name, first.tries)
    out.print(f"\nthe log of [bold]{first.name}[/] ends with")
    for line in lines[-LOG_LINES:]:
        out.print(f"  {line}", markup=False)
    kind = REFUSALS.get(first.name, StageFailed)
    raise kind(f"{first.name} to succeed", first.state, "Read the lines above, mend the cause and run again.")
