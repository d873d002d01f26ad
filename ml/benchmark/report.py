"""`tradewind bench`: measures, shows the tables as they come, and keeps them in docs/benchmarks.md."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

from rich.markdown import Markdown

import ml
from ml.benchmark import load, table
from ml.benchmark.comparison import Comparison
from ml.benchmark.run import Measured, loaded, measure, plan
from ml.errors import ConfigInvalid
from ml.terminal import Console

PROJECT = Path(ml.__file__).parent.parent
DOCUMENT = Path("docs/benchmarks.md")
IMAGES = DOCUMENT.parent / "images"


def report(use_case: str, home: Path, *, data_dir: Path | None, file: Path | None, only: str | None) -> None:
    """Measure one use case's comparisons, print their tables and keep them.

    Args:
        use_case: Whose.
        home: Folder that keeps results, so that a run that was cut off goes on.
        data_dir: Folder of the public data sets.
        file: Data of the same shape to use instead; then nothing is written to the document.
        only: Name of one comparison.

    Raises:
        ConfigInvalid: There is no such comparison, or no data were named.
        SourceInvalid: The data are not there or lack a column.
    """
    out = Console()
    for comparison in _chosen(use_case, only):
        place = file or _public(comparison, data_dir)
        measured = _measured(out, comparison, place, home / "bench" / use_case)
        section = table.markdown(comparison, table.lines(measured), _origin(use_case, comparison))
        out.print(Markdown(section))
        if file is None:
            table.put(PROJECT / DOCUMENT, f"{use_case}/{comparison.name}", section + _picture(comparison, place))


def _chosen(use_case: str, only: str | None) -> tuple[Comparison, ...]:
    known = load(use_case)
    chosen = tuple(one for one in known if only in (None, one.name))
    if not chosen:
        names = ", ".join(one.name for one in known)
        raise ConfigInvalid(f"one of the comparisons {names}", repr(only), "Correct --only.")
    return chosen


def _public(comparison: Comparison, data_dir: Path | None) -> Path | None:
    if comparison.data is None:
        return None
    if data_dir is None:
        raise ConfigInvalid(
            f"the folder that holds {comparison.data}", "none", "Set TRADEWIND_DATA_DIR, or give --data PATH."
        )
    return data_dir / comparison.data


def _measured(out: Console, comparison: Comparison, place: Path | None, kept: Path) -> list[Measured]:
    steps, found = len(plan(comparison)), []
    for number, one in enumerate(measure(comparison, place, kept), start=1):
        told = " ".join(f"{name}={value:.4f}" for name, value in one.figures.items())
        out.print(f"  {number}/{steps} {comparison.name} {one.peer} seed {one.seed}: {told} in {one.seconds:.1f} s")
        found.append(one)
    return found


def _picture(comparison: Comparison, place: Path | None) -> str:
    """Draw a comparison's picture beside the document, and return the line that shows it."""
    if comparison.picture is None:
        return ""
    path = IMAGES / f"{comparison.name}.svg"
    (PROJECT / path).write_text(comparison.picture(loaded(comparison, place)))
    return f"\n![{comparison.title}]({path.relative_to(DOCUMENT.parent)})\n"


def _origin(use_case: str, comparison: Comparison) -> str:
    command = f"make bench USE_CASE={use_case} ONLY={comparison.name}"
    commit = _commit()
    where = f"{os.cpu_count()} cores, Python {platform.python_version()}"
    return f"`{command}` at commit {commit}, {where}. ± is half a 95 % interval of the mean over seeds (Student's t)."


def _commit() -> str:
    asked = ["git", "describe", "--always", "--dirty=+changes"]
    done = subprocess.run(asked, cwd=PROJECT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"
