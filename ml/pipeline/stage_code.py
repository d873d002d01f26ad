"""Which files of the project each stage of each use case runs, by the imports: what its result depends on beside data.

`dvc.yaml` names packages, for people and for all use cases at once. A run's workspace holds a copy that names files: those
that the imports of the stage reach, wherever in a module they stand, with the packages they lie in and the data files that
their modules name. So a stage runs again when a metric it uses was corrected, and not when a page was.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from ml.contract import JsonObject
from ml.pipeline.file_stage import PARTS
from ml.pipeline.place import PROJECT
from ml.use_cases import modules_of

if TYPE_CHECKING:
    from grimp import ImportGraph

PACKAGES = ("ml", "data_checks")
TEMPLATES = "PackageLoader"
"""Jinja's, which looks into the folder `templates` of the package it is given."""


def roots(stage: str, use_case: str) -> list[str]:
    """Return the modules that a stage's process imports by a name that is made up at run time, and what does so."""
    own = [f"data_checks.{use_case}"] if stage == "validate" else []
    return ["ml.pipeline.file_stage", f"ml.pipeline.{stage}", *modules_of(use_case, PARTS[stage]), *own]


def code_of(stage: str, use_case: str) -> list[str]:
    """Return the files and folders of the project that a stage of a use case runs or reads, sorted."""
    reached = modules(roots(stage, use_case))
    found = {_file(module) for module in reached}
    found.update(path for file in list(found) for path in _data_of(file))
    return sorted(path.relative_to(PROJECT).as_posix() for path in found)


def exact(document: JsonObject, use_case: str) -> JsonObject:
    """Return a project's stages for one use case with the packages they name replaced by the files that they run.

    A stage that names none of our packages runs none of our code, and stays as it is.
    """
    for stage, body in document["stages"].items():
        deps = body["do"].get("deps", [])
        others = [dep for dep in deps if not is_code(dep)]
        if len(others) < len(deps):
            body["do"]["deps"] = [*code_of(stage, use_case), *others]
    return document


def is_code(dep: str) -> bool:
    """Tell whether a dependency is a file or folder of our packages."""
    return dep.split("/", maxsplit=1)[0] in PACKAGES


def modules(start: Iterable[str]) -> set[str]:
    """Return modules and all that they import, directly or not; importing a module imports the packages around it."""
    graph, reached, waiting = _graph(), set[str](), list(start)
    while waiting:
        module = waiting.pop()
        if module not in reached:
            reached.add(module)
            waiting += graph.find_modules_directly_imported_by(module)
            waiting += [module.rpartition(".")[0]] if "." in module else []
    return reached


@cache
def _graph() -> ImportGraph:
    """Return who imports whom; what only type checkers import is left out, for no process does."""
    import grimp

    return grimp.build_graph(*PACKAGES, exclude_type_checking_imports=True, cache_dir=None)


def _file(module: str) -> Path:
    path = PROJECT / module.replace(".", "/")
    return found if (found := path / "__init__.py").exists() else path.with_suffix(".py")


@cache
def _data_of(file: Path) -> frozenset[Path]:
    """Return the files and folders beside a module that it names and that hold no modules."""
    named = set(_words(file))
    beside = (path for path in file.parent.iterdir() if path.name in named and path.suffix != ".py")
    return frozenset(path for path in beside if path.is_file() or not any(path.rglob("*.py*")))


def _words(file: Path) -> Iterator[str]:
    """Yield the strings in a module, and the folder that its page templates lie in."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.Name) and node.id == TEMPLATES:
            yield "templates"
