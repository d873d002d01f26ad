"""`make run`: the stack up, each use case retrained through Airflow and followed task by task, and what came of it."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ml.config import load_settings
from ml.errors import DataRejected, GateFailed, StageFailed, TradewindError
from ml.pipeline import STAGES
from ml.space import ensure_free
from ml.stack import up as stack
from ml.stack.airflow import USER
from ml.stack.awaited import Tell, awaited
from ml.stack.orchestrator import ENDED, LONGEST_CALL_SECONDS, PARSE_SECONDS, Orchestrator, TaskState
from ml.stack.summary import show
from ml.terminal import Console

POLL_SECONDS = 0.5
LOG_LINES = 25
COLOURS = {"success": "green", "failed": "red", "upstream_failed": "red", "running": "yellow", "skipped": "cyan"}
REFUSALS: dict[str, type[TradewindError]] = {"validate": DataRejected, "review": DataRejected, "evaluate": GateFailed}
ASKING = {"anonymise": "review", "promote": "approve"}
ORDER = tuple(task for stage in STAGES for task in (ASKING.get(stage), stage) if task)
"""The tasks of a run, in the order people see them: before two stages a person may be asked."""


@dataclass
class Journey:
    """One use case's retraining, as it is followed."""

    use_case: str
    run_id: str
    began: float
    """On the monotonic clock [s]."""
    tasks: dict[str, TaskState] = field(default_factory=dict)
    is_over: bool = False

    @property
    def dag_id(self) -> str:
        """Its DAG."""
        return f"retrain_{self.use_case}"

    def look(self, orchestrator: Orchestrator) -> list[TaskState]:
        """Ask Airflow how it stands, and return the tasks whose state changed."""
        self.is_over = orchestrator.state(self.dag_id, self.run_id) in ENDED
        before, self.tasks = self.tasks, orchestrator.tasks(self.dag_id, self.run_id)
        return [one for name, one in self.tasks.items() if name not in before or before[name].state != one.state]

    def failed(self) -> TaskState | None:
        """Return the first task that failed."""
        failed = [task for task in self.tasks.values() if task.state == "failed" and task.name in ORDER]
        return min(failed, key=lambda task: ORDER.index(task.name)) if failed else None


def travel(home: Path, use_cases: Sequence[str], as_of: date | None) -> None:
    """Bring the stack up, retrain the use cases, as many at once as there are cores, and show what is live.

    Raises:
        DataRejected: The data checks refused; production stays as it was.
        GateFailed: The gate refused; production stays as it was.
        StageFailed: Another stage ended badly.
    """
    out = Console()
    began = time.monotonic()
    out.print("[bold]Tradewind[/]  starting the stack")
    running = stack.up(home, lambda line: out.print(f"  {line}"))
    ensure_free(running.home, load_settings().min_free_mb)
    out.print(f"  up after {time.monotonic() - began:.0f} s\n")
    orchestrator = Orchestrator(running.airflow_url, running.secrets["airflow_password"])
    conf = {"as_of": as_of.isoformat()} if as_of else {}
    journeys = _follow(out, orchestrator, use_cases, conf)
    for journey in journeys:
        if journey.failed() is None:
            show(out, running, journey.use_case, journey.run_id)
    out.print(
        f"\ndone in {time.monotonic() - began:.0f} s · Airflow login: {USER} / {running.secrets['airflow_password']}"
    )
    _raise_if_failed(out, orchestrator, journeys)


def _follow(out: Console, orchestrator: Orchestrator, use_cases: Sequence[str], conf: dict[str, str]) -> list[Journey]:
    """Start the runs one after the other, show their tasks until all have ended, and return them."""
    waiting, journeys = list(use_cases), list[Journey]()
    with Live(console=out, refresh_per_second=4, auto_refresh=out.is_terminal, transient=True) as live:
        while waiting or not all(journey.is_over for journey in journeys):
            running = [journey for journey in journeys if not journey.is_over]
            if waiting and len(running) < (os.cpu_count() or 1):
                journeys.append(_started(out, orchestrator, waiting.pop(0), conf))
                continue
            for journey in running:
                with awaited(_teller(out), f"Airflow to tell of {journey.dag_id}", LONGEST_CALL_SECONDS):
                    changed = journey.look(orchestrator)
                _tell_changes(out, journey, changed)
            if out.is_terminal:
                live.update(Group(*map(_table, journeys)))
            time.sleep(POLL_SECONDS)
    out.print(*map(_table, journeys), sep="\n")
    return journeys


def _started(out: Console, orchestrator: Orchestrator, use_case: str, conf: dict[str, str]) -> Journey:
    with awaited(_teller(out), f"Airflow to know and start retrain_{use_case}", PARSE_SECONDS + LONGEST_CALL_SECONDS):
        run_id = orchestrator.trigger(f"retrain_{use_case}", conf)
    out.print(f"[bold]retrain_{use_case}[/]  run {run_id}")
    return Journey(use_case=use_case, run_id=run_id, began=time.monotonic())


def _teller(out: Console) -> Tell:
    return lambda line: out.print(f"  {line}", highlight=False)


def _tell_changes(out: Console, journey: Journey, changed: Sequence[TaskState]) -> None:
    """Print a line for each task whose state changed: progress where nothing can be redrawn."""
    if out.is_terminal:
        return
    for task in changed:
        if task.state in COLOURS:
            out.print(
                f"  {time.monotonic() - journey.began:5.0f} s  {journey.use_case:<10} {task.name:<10} {task.state}"
            )


def _table(journey: Journey) -> Table:
    spent = sum(task.seconds or 0 for task in journey.tasks.values())
    table = Table(
        box=None, pad_edge=False, title=f"{journey.use_case}: {spent:.0f} s of task time", title_justify="left"
    )
    for heading, side in (("task", "left"), ("state", "left"), ("time [s]", "right"), ("try", "right")):
        table.add_column(heading, justify=side)  # type: ignore[arg-type]  # one of the words rich knows
    for name in ORDER:
        task = journey.tasks.get(name, TaskState(name=name, state="waiting", seconds=None, tries=0))
        seconds = f"{task.seconds:.1f}" if task.seconds is not None else ""
        state = Text(task.state, style=COLOURS.get(task.state, "dim"))
        table.add_row(name, state, seconds, str(task.tries) if task.tries > 1 else "")
    return table


def _raise_if_failed(out: Console, orchestrator: Orchestrator, journeys: Sequence[Journey]) -> None:
    """Show where each failed run ended, and raise for the first."""
    failed = [(journey, task) for journey in journeys if (task := journey.failed()) is not None]
    for journey, task in failed:
        lines = orchestrator.log(journey.dag_id, journey.run_id, task.name, task.tries)
        out.print(f"\nthe log of [bold]{task.name}[/] of {journey.dag_id} ends with")
        for line in lines[-LOG_LINES:]:
            out.print(f"  {line}", markup=False)
    if failed:
        journey, task = failed[0]
        kind = REFUSALS.get(task.name, StageFailed)
        raise kind(
            f"{task.name} of {journey.use_case} to succeed",
            task.state,
            "Read the lines above, mend the cause and run again.",
        )
