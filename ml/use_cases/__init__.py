"""The applications that exist, each found by name and imported only when asked for."""

from __future__ import annotations

from importlib import import_module

from ml.contract import UseCase
from ml.errors import ConfigInvalid

NAMES: tuple[str, ...] = ("recommend", "service", "inventory", "fraud", "rating")


def load(name: str) -> UseCase:
    """Return the record of one use case.

    Raises:
        ConfigInvalid: There is no use case of that name.
    """
    if name not in NAMES:
        raise ConfigInvalid(f"one of the use cases {', '.join(NAMES)}", repr(name), "Correct the name.")
    record: UseCase = import_module(f"ml.use_cases.{name}").USE_CASE
    return record
