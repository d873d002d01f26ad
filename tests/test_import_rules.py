"""The rules on imports hold every module: one that is new, one in a type, one in a package that nobody listed."""

import graphlib
import shutil
import subprocess
import sys
from pathlib import Path

import grimp
import pytest

from ml.use_cases import NAMES

PROJECT = Path(__file__).parent.parent
TYPES = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    "
PLANTED = [
    ("ml/loose.py", "", "- ml.loose"),
    ("ml/cli/decide.py", "import ml.__main__\n", "ml.cli.decide -> ml.__main__"),
    ("ml/bandit/choice.py", "import airflow\n", "ml.bandit.choice -> airflow"),
    ("ml/pages/frame.py", "import airflow.sdk\n", "ml.pages.frame -> airflow"),
    ("ml/benchmark/run.py", "def late():\n    import airflow\n", "ml.benchmark.run -> airflow"),
    ("ml/cli/acting.py", "import airflow\n", "ml.cli.acting -> airflow"),
    ("data_checks/sketch.py", "import airflow\n", "data_checks.sketch -> airflow"),
    ("ml/contract.py", f"{TYPES}from ml.store import Bucket\n", "ml.contract -> ml.store"),
    (
        "data_checks/check.py",
        f"{TYPES}from ml.pipeline.task import run_task\n",
        "data_checks.check -> ml.pipeline.task",
    ),
    ("ml/use_cases/rating/fit.py", "def late():\n    import ml.use_cases.fraud\n", "rating.fit -> ml.use_cases.fraud"),
    ("ml/use_cases/fraud/fit.py", f"{TYPES}import ml.use_cases.service\n", "fraud.fit -> ml.use_cases.service"),
    ("ml/pages/chat.py", "import tensorflow\n", "ml.pages.chat -> tensorflow"),
]


def report(folder: Path) -> str:
    """Return what `make check` says of the imports of a project."""
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False).stdout


@pytest.fixture(scope="module")
def planted(tmp_path_factory) -> str:
    """What is said of a copy of the project in which a fault of each kind was planted."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("ml", "data_checks"):
        shutil.copytree(PROJECT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT / "pyproject.toml", folder)
    assert "7 kept, 0 broken" in report(folder)
    for path, text, _ in PLANTED:
        with (folder / path).open("a") as file:
            file.write(text)
    return report(folder)


@pytest.mark.parametrize(("path", "told"), [(path, told) for path, _, told in PLANTED])
def test_an_import_that_a_rule_forbids_is_found(planted, path, told):
    assert told in planted.partition("Broken contracts")[2], path


def test_no_modules_import_each_other_in_a_circle():
    graph = grimp.build_graph("ml", "data_checks", cache_dir=None)
    order = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert len(list(graphlib.TopologicalSorter(order).static_order())) == len(order) > 400


def test_each_use_case_is_a_package_of_its_own():
    """The contract names them by a pattern: nothing else may lie beside them."""
    found = {path.parent.name for path in (PROJECT / "ml" / "use_cases").glob("*/__init__.py")}
    assert found == set(NAMES)
    assert {path.name for path in (PROJECT / "ml" / "use_cases").glob("*.py")} == {"__init__.py"}
