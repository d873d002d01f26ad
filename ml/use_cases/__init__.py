"""The applications that exist, each found by name and imported only when asked for, whole or in part."""

from __future__ import annotations

from collections.abc import Collection
from importlib import import_module
from typing import Any, Literal, NoReturn, TypeAlias

from ml.contract import Data, UseCase
from ml.errors import ConfigInvalid

NAMES: tuple[str, ...] = ("recommend", "service", "inventory", "fraud", "rating")

Part: TypeAlias = Literal["data", "model", "record"]
"""A module of each use case: `data` and `model` hold those two fields of the record, `record` all of it."""


class LeftOut:
    """Stands in a record for what was not loaded, and says so to whoever uses it all the same."""

    def __getattr__(self, name: str) -> NoReturn:
        """Refuse: the stage that asks does not depend on that code, so DVC would not notice when it changes."""
        raise AttributeError(f"{name} of a part of the use case that this stage does not declare (`PARTS`)")

    def __call__(self, *_: object, **__: object) -> NoReturn:
        """Refuse in the same way."""
        raise AttributeError("a function of a part of the use case that this stage does not declare (`PARTS`)")


def load(name: str) -> UseCase:
    """Return the record of one use case.

    Raises:
        ConfigInvalid: There is no use case of that name.
    """
    record: UseCase = _module(name, "record").USE_CASE
    return record


def load_parts(name: str, parts: Collection[Part]) -> UseCase:
    """Return the record of one use case without what the parts do not hold, of which nothing is imported.

    Name, words, parameters and tables are always there; the rest raises `AttributeError` when it is used.

    Raises:
        ConfigInvalid: There is no use case of that name.
    """
    if "record" in parts:
        return load(name)
    about, absent = _module(name, "about"), LeftOut()
    tables_alone: Any = Data(tables=about.TABLES, sample=absent, build=absent, encode=absent)
    record: UseCase = about.ABOUT(
        data=_module(name, "data").DATA if "data" in parts else tables_alone,
        model=_module(name, "model").MODEL if "model" in parts else absent,
        judgement=absent,
        service=absent,
    )
    return record


def modules_of(name: str, parts: Collection[Part]) -> list[str]:
    """Return the names of the modules that `load_parts` imports."""
    return [f"ml.use_cases.{name}.{part}" for part in ("about", *parts)]


def _module(name: str, part: str) -> Any:
    if name not in NAMES:
        raise ConfigInvalid(f"one of the use cases {', '.join(NAMES)}", repr(name), "Correct the name.")
    return import_module(f"ml.use_cases.{name}.{part}")
