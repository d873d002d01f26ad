"""Turns measurements into a table: figures with their intervals over seeds, times, and which bars were reached."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev

from ml.benchmark.comparison import Bar, Comparison
from ml.benchmark.run import Measured

CONFIDENCE = 0.95


@dataclass(frozen=True, kw_only=True)
class Line:
    """One peer's figures over its seeds."""

    peer: str
    seeds: int
    figures: dict[str, tuple[float, float]]
    """By name: the mean, and half the width of its interval; not-a-number under a single seed."""
    seconds: float
    """Mean time of one measurement [s]."""


def lines(measured: Iterable[Measured]) -> list[Line]:
    """Return one line a peer, in order of first appearance."""
    by_peer: dict[str, list[Measured]] = {}
    for one in measured:
        by_peer.setdefault(one.peer, []).append(one)
    return [_line(peer, several) for peer, several in by_peer.items()]


def half_width(values: Sequence[float]) -> float:
    """Return half the width of Student's 95 % interval of a mean over seeds: t(0.975, n − 1) · s / √n."""
    if len(values) < 2:
        return math.nan
    from scipy import stats

    quantile = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1))
    return quantile * stdev(values) / math.sqrt(len(values))


def markdown(comparison: Comparison, found: Sequence[Line], origin: str) -> str:
    """Return the section of one comparison.

    Args:
        comparison: What was compared.
        found: Its lines.
        origin: Command, commit and machine that made the figures.
    """
    names = list(found[0].figures)
    head = ["peer", *names, "seeds", "time [s]"]
    body = [[_named(line, comparison), *(_cell(line, name) for name in names), *_tail(line)] for line in found]
    rows = [head, ["---"] * len(head), *body]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    bars = "\n".join(f"- {sentence}" for sentence in verdicts(comparison, found))
    return f"## {comparison.title}\n\n{comparison.protocol}\n\n{table}\n\n{bars}\n\n{origin}\n".replace("\n\n\n", "\n")


def verdicts(comparison: Comparison, found: Sequence[Line]) -> list[str]:
    """Return a sentence for each bar: reached or missed, and by what."""
    ours = next(line for line in found if line.peer == comparison.ours)
    said = []
    for bar in comparison.bars:
        value = ours.figures[bar.figure][0]
        if not bar.is_relative:
            word = "reached" if bar.is_reached(value) else "**missed**"
            said.append(f"{bar.figure} {bar.side} {bar.limit:g}: {word} with {value:.4g}.")
            continue
        name, best = _best(bar, comparison, found)
        word = "reached" if bar.is_reached(value, best) else "**missed**"
        wanted = f"{bar.figure} {bar.side} {bar.limit:g} of the best baseline's ({name}, {best:.4g})"
        said.append(f"{wanted}: {word} with {value / best:.4g} of it.")
    return said


def _best(bar: Bar, comparison: Comparison, found: Sequence[Line]) -> tuple[str, float]:
    """Return the baseline that makes a relative bar hardest, and its figure."""
    known = {line.peer: line.figures[bar.figure][0] for line in found if line.peer in comparison.baselines}
    choose = min if bar.side == "at most" else max
    name = choose(known, key=lambda peer: known[peer])
    return name, known[name]


def put(file: Path, name: str, section: str) -> None:
    """Put a section into the benchmarks' document in place of the one of that name."""
    opening, closing = f"<!-- {name} -->", f"<!-- /{name} -->"
    block = f"{opening}\n{section.strip()}\n{closing}"
    text = file.read_text() if file.exists() else "# Benchmarks\n"
    pattern = re.compile(f"{re.escape(opening)}.*?{re.escape(closing)}", re.DOTALL)
    known = pattern.search(text) is not None
    file.write_text(pattern.sub(lambda _: block, text) if known else f"{text.rstrip()}\n\n{block}\n")


def _line(peer: str, several: Sequence[Measured]) -> Line:
    names = several[0].figures
    values = {name: [one.figures[name] for one in several] for name in names}
    return Line(
        peer=peer,
        seeds=len(several),
        figures={name: (fmean(values[name]), half_width(values[name])) for name in names},
        seconds=fmean(one.seconds for one in several),
    )


def _named(line: Line, comparison: Comparison) -> str:
    return f"**{line.peer}**" if line.peer == comparison.ours else line.peer


def _cell(line: Line, name: str) -> str:
    """Return a figure with its interval; a dash where the peer has none of that name."""
    if name not in line.figures:
        return "–"
    mean, half = line.figures[name]
    return f"{mean:.4g}" if math.isnan(half) else f"{mean:.4g} ± {half:.2g}"


def _tail(line: Line) -> tuple[str, str]:
    return str(line.seeds), f"{line.seconds:.1f}"
