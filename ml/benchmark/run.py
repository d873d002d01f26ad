"""Measures every peer once a seed, keeps each result as it comes, and goes on where it was cut off."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml.benchmark.comparison import Comparison, Figures
from ml.errors import SourceInvalid
from ml.files import read_json, sha256_file, write_json

RESULT_SCHEMA = "tradewind/benchmark/1"
CODE = Path(__file__).parent.parent
SHARED = ("bandit", "benchmark", "evaluation", "language", "training", "compression", "privacy")
CODE_SUFFIXES = (".py", ".crfsuite", ".gz")  # weights and word lists of what is measured count as code

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One peer under one seed."""

    peer: str
    seed: int
    figures: Figures
    seconds: float
    """Training, tuning and scoring [s]."""


def measure(comparison: Comparison, file: Path | None, kept: Path) -> Iterator[Measured]:
    """Yield every measurement, in the order of the table; those kept of this code and data are not repeated.

    Args:
        comparison: What is compared.
        file: The data; none where peers make up their own.
        kept: Folder that keeps results.

    Raises:
        SourceInvalid: The data are not there or lack a column.
    """
    if file is not None and not file.exists():
        raise SourceInvalid(
            f"data for {comparison.name} at {file}", "no such file", "Set TRADEWIND_DATA_DIR, or give --data PATH."
        )
    mark = _mark(file, comparison.use_case)
    data = None
    for peer, seed in plan(comparison):
        path = kept / comparison.name / mark / f"{peer}.{seed}.json".replace("/", "-")
        if not path.exists():
            data = loaded(comparison, file) if data is None else data
            _keep(path, comparison, peer, seed, data)
        found = read_json(path)
        yield Measured(peer=peer, seed=seed, figures=found["figures"], seconds=found["seconds"])


def loaded(comparison: Comparison, file: Path | None) -> Any:
    """Return what the peers receive."""
    return None if file is None or comparison.load is None else comparison.load(file)


def plan(comparison: Comparison) -> list[tuple[str, int]]:
    """Return who is measured under which seed."""
    return [
        (peer, seed)
        for peer in comparison.peers
        for seed in (comparison.seeds[:1] if peer in comparison.fixed else comparison.seeds)
    ]


def _keep(path: Path, comparison: Comparison, peer: str, seed: int, data: object) -> None:
    began = time.perf_counter()
    figures = comparison.peers[peer](data, seed)
    seconds = time.perf_counter() - began
    log.info("peer measured comparison=%s peer=%s seed=%d seconds=%.1f", comparison.name, peer, seed, seconds)
    write_json(path, {"schema": RESULT_SCHEMA, "figures": _plain(figures), "seconds": round(seconds, 2)})


def _plain(figures: Mapping[str, float]) -> Figures:
    return {name: float(value) for name, value in figures.items()}


def _mark(file: Path | None, use_case: str) -> str:
    """Return a short digest of the data and of all code that a peer may run: a changed model is measured again."""
    total = hashlib.sha256(sha256_file(file).encode() if file is not None else b"")
    folders = [*SHARED, *([f"use_cases/{use_case}"] if use_case else [])]
    files = [path for folder in folders for path in (CODE / folder).rglob("*") if path.suffix in CODE_SUFFIXES]
    for path in sorted(files):
        total.update(path.read_bytes())
    return total.hexdigest()[:16]
