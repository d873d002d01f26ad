"""`tradewind sequences`: tells progress, shows the table of figures, and writes it where it is asked for."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path

from rich.table import Table

from ml.benchmark.sequence_run import OURS, Line, peak_gb, run
from ml.files import write_json
from ml.terminal import Console

SCHEMA = "tradewind/sequences/2"


def report(path: Path, seed: int, *, out: Path | None, with_peers: bool) -> None:
    """Measure a file of sequences and show the figures.

    Args:
        path: Lines `user item item …`.
        seed: Of all that is drawn.
        out: JSON file for the figures; none to show them only.
        with_peers: Whether peers are shown beside ours.

    Raises:
        SourceInvalid: The file is not as expected.
    """
    console, began = Console(), time.monotonic()
    lines = run(path, seed, lambda text: Console(stderr=True).print(text, markup=False, highlight=False))
    shown = [line for line in lines if with_peers or line.name == OURS]
    console.print(_table(shown))
    seconds = round(time.monotonic() - began, 1)
    cpu_seconds = round(time.process_time(), 1)
    console.print(f"{seconds:.0f} s, {cpu_seconds:.0f} CPU seconds, at most {peak_gb():.1f} GB of memory")
    if out is not None:
        figures = {line.name: asdict(line) for line in shown}
        took = {"seconds": seconds, "cpu_seconds": cpu_seconds, "peak_gb": peak_gb()}
        write_json(out, {"schema": SCHEMA, "seed": seed, **took, "figures": figures})


def _table(lines: list[Line]) -> Table:
    table = Table("", "HR@10", "NDCG@10", "ours ÷ this: HR@10", "NDCG@10", "history's items", "chosen on validation")
    for line in lines:
        candidates = "may come again" if line.with_seen else "left out"
        ratios = ("", "") if line.name == OURS else (_cell(line.ours_hit, 3), _cell(line.ours_ndcg, 3))
        table.add_row(line.name, _cell(line.hit, 4), _cell(line.ndcg, 4), *ratios, candidates, line.note)
    return table


def _cell(figure: tuple[float, float], digits: int) -> str:
    return f"{figure[0]:.{digits}f} ± {figure[1]:.{digits}f}"
