"""Comparisons with what a shop would use instead, on public data and on files of the same shape; outside the pipeline."""

from __future__ import annotations

from importlib import import_module

from ml.benchmark.comparison import Comparison
from ml.errors import ConfigInvalid

NAMES: tuple[str, ...] = ("recommend", "fraud", "inventory", "privacy", "service")


def load(use_case: str) -> tuple[Comparison, ...]:
    """Return the comparisons of one use case.

    Raises:
        ConfigInvalid: It has none.
    """
    if use_case not in NAMES:
        raise ConfigInvalid(f"one of {', '.join(NAMES)}", repr(use_case), "Correct the name.")
    found: tuple[Comparison, ...] = import_module(f"ml.benchmark.{use_case}").COMPARISONS
    return found
