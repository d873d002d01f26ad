"""A stage depends on the code that it runs: all of it, proved from the sources, and nothing that it does not reach."""

import ast
import json
import shutil
from contextlib import chdir
from functools import cache
from pathlib import Path

import pytest
import yaml
from dvc.repo import Repo

from ml.pipeline import FILE_STAGES
from ml.pipeline.file_stage import PARTS
from ml.pipeline.place import PROJECT
from ml.pipeline.stage_code import code_of, exact
from ml.pipeline.workspace import CODE, single
from ml.use_cases import NAMES, load_parts

pytestmark = pytest.mark.filterwarnings("ignore")

PAIRS = [(stage, use_case) for use_case in NAMES for stage in FILE_STAGES]
NAMED_AT_RUN_TIME = {
    "ml/benchmark/__init__.py",  # no stage imports it
    "ml/evaluation/footprint.py",  # the module of a predictor, which the record imports
    "ml/pipeline/file_stage.py",  # the stage's module
    "ml/use_cases/__init__.py",  # the parts of the use case that the stage declares
    "data_checks/runner.py",  # the use case's checks
}
"""Who imports a module whose name no import statement tells: each such name is among the roots of `stage_code`."""


@cache
def imports(path: Path):
    """Return the files that a module's import statements name, wherever they stand, as Python finds them."""
    tree, found = ast.parse(path.read_text()), set()
    typing = {id(node) for guard in ast.walk(tree) if is_guard(guard) for body in guard.body for node in ast.walk(body)}
    for node in ast.walk(tree):
        if id(node) in typing:
            continue
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        found.update(file for name in names for file in around(name))
    return found


def is_guard(node):
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def around(name: str):
    """Yield a module's file, where there is one, and those of the packages that hold it."""
    parts = name.split(".")
    for end in range(1, len(parts) + 1):
        place = PROJECT.joinpath(*parts[:end])
        yield from (one for one in (place / "__init__.py", place.with_suffix(".py")) if one.is_file())


def is_covered(path: Path, deps: list[str]) -> bool:
    name = path.relative_to(PROJECT).as_posix()
    return any(name == dep or name.startswith(f"{dep}/") for dep in deps)


def deps_of(document, stage):
    return document["stages"][stage]["do"]["deps"]


@pytest.fixture(scope="module")
def exact_deps():
    """By use case and stage: what a workspace's own `dvc.yaml` says that the stage depends on."""
    documents = {name: exact(yaml.safe_load(single(name)), name) for name in NAMES}
    return {(stage, name): deps_of(documents[name], stage) for stage, name in PAIRS}


@pytest.mark.parametrize("named", ["workspace", "project"])
def test_every_file_that_a_stage_imports_is_a_dependency_of_it(exact_deps, named):
    """From the stage, the use case's parts and its checks on: each import of a covered file is covered."""
    for stage, name in PAIRS:
        deps = exact_deps[stage, name] if named == "workspace" else deps_of(yaml.safe_load(single(name)), stage)
        roots = [f"ml.pipeline.{stage}", "ml.pipeline.file_stage", f"ml.use_cases.{name}.about"]
        roots += [f"ml.use_cases.{name}.{part}" for part in PARTS[stage]]
        roots += [f"data_checks.{name}"] if stage == "validate" else []
        waiting, seen = [file for root in roots for file in around(root)], set()
        while waiting:
            file = waiting.pop()
            if file not in seen:
                seen.add(file)
                assert is_covered(file, deps), (stage, name, file)
                waiting += imports(file)
        assert len(seen) > 15
        assert "uv.lock" in deps


def test_a_workspace_s_dependencies_exist_and_are_files_or_folders_of_data(exact_deps):
    for (stage, name), deps in exact_deps.items():
        for dep in deps:
            path = PROJECT / dep
            if not dep.startswith("data/"):
                assert path.is_file() or (path.is_dir() and not list(path.rglob("*.py"))), (stage, name, dep)


def test_modules_with_a_name_made_up_at_run_time_are_known():
    found = set()
    for package in ("ml", "data_checks"):
        for path in (PROJECT / package).rglob("*.py"):
            calls = {
                ast.unparse(node.func) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)
            }
            if any(
                call.rpartition(".")[2] in ("import_module", "__import__", "run_path", "run_module") for call in calls
            ):
                found.add(path.relative_to(PROJECT).as_posix())
    assert found == NAMED_AT_RUN_TIME


@pytest.mark.parametrize("name", NAMES)
def test_training_does_not_depend_on_serving_pages_stores_or_the_gate(name):
    code = code_of("train", name)
    assert not [
        path for path in code if path.startswith(("ml/serving", "ml/pages", "ml/desk", "ml/registry", "ml/stack"))
    ]
    assert not {f"ml/use_cases/{name}/{part}.py" for part in ("service", "golden", "record", "data", "plot")} & {*code}
    assert not {"ml/store.py", "ml/evaluation/gate.py", "ml/pipeline/evaluate.py", "ml/cli/main.py"} & {*code}


def test_data_that_code_reads_count_as_code():
    assert {"ml/privacy/pii_tagger.crfsuite", "ml/privacy/person_names.txt.gz"} <= {*code_of("anonymise", "rating")}
    assert {"ml/explanation/templates", "ml/use_cases/service/replies"} <= {*code_of("explain", "service")}
    assert "data_checks/assets" in code_of("validate", "rating")


def test_a_stage_that_uses_a_part_it_does_not_declare_is_told():
    record = load_parts("rating", PARTS["train"])
    with pytest.raises(AttributeError, match="does not declare"):
        record.judgement.measure(None, None, {})
    with pytest.raises(AttributeError, match="does not declare"):
        record.data.build({}, None)


# --- What DVC says -----------------------------------------------------------------------------

MODEL = {"train", "compress", "evaluate", "explain", "package"}  # packaging rests on the whole record
EDITS = {
    "a stage": ("ml/pipeline/train.py", {"train"}),
    "a metric that training chooses by": ("ml/evaluation/statistic.py", MODEL),
    "what runs the exported model": ("ml/compression/predictor.py", MODEL),
    "the trained network": ("ml/use_cases/fraud/network.py", MODEL),
    "a package around others": ("ml/evaluation/__init__.py", MODEL),
    "how a version is fetched": ("ml/registry/fetch.py", {"evaluate"}),
    "a rule of the gate": ("ml/evaluation/quality_rule.py", {"evaluate"}),
    "features": ("ml/use_cases/fraud/examples.py", MODEL - {"train"} | {"features"}),
    "answers": ("ml/use_cases/fraud/service.py", {"evaluate", "explain", "package"}),
    "a reader of files": ("ml/sources/csv_file.py", {"ingest"}),
    "a check of the data": ("data_checks/fraud.py", {"validate"}),
    "a template": ("ml/explanation/templates/card.html.j2", {"explain"}),
    "a trained tagger": ("ml/privacy/pii_tagger.crfsuite", {"anonymise"}),
    "what all share": ("ml/contract.py", set(FILE_STAGES)),
    "the libraries": ("uv.lock", set(FILE_STAGES)),
    "a page": ("ml/desk/view.py", set()),
    "the command line": ("ml/cli/machine.py", set()),
    "the model server": ("ml/serving/app.py", set()),
    "an operation": ("ml/pipeline/notify.py", set()),
    "another use case": ("ml/use_cases/rating/fit.py", set()),
    "another use case's checks": ("data_checks/recommend.py", set()),
}


@pytest.fixture(scope="module")
def repo(tmp_path_factory):
    """A workspace of a run of `fraud` as the platform lays it out, in which every stage was done."""
    root = tmp_path_factory.mktemp("workspace")
    for name in CODE:
        copy = shutil.copytree if (PROJECT / name).is_dir() else shutil.copy2
        copy(PROJECT / name, root / name)
    document = exact(yaml.safe_load(single("fraud")), "fraud")
    (root / "dvc.yaml").write_text(yaml.safe_dump(document))
    sections = dict.fromkeys(("checks", "anonymise", "features", "train", "gate"), 1)
    (root / "params.yaml").write_text(yaml.safe_dump({"fraud": sections}))
    fields = dict.fromkeys(("key_ring", "erasures", "accepted", "decisions", "pseudonym_key"), 1)
    nested = {
        "as_of": {"data": 1},
        "source": {"time_zone": 1, "last_day": 1},
        "production": {"digest": 1, "last_day": 1},
        "best": {"digest": 1},
    }
    (root / "inputs.json").write_text(json.dumps({**fields, **nested}))
    for stage in FILE_STAGES:
        for kind in ("data", "reports"):
            (root / kind / "fraud" / stage / "tables").mkdir(parents=True)
            (root / kind / "fraud" / stage / "tables" / "rows").write_text(stage)
    Repo.init(str(root), no_scm=True).close()
    with chdir(root), Repo(str(root)) as repo:
        repo.commit(force=True)
        yield repo


@pytest.fixture(scope="module")
def changed(repo):
    """By stage: the dependencies that DVC says are changed after one line was added to each of the files."""
    assert repo.status() == {}
    for path, _ in EDITS.values():
        Path(path).write_bytes(Path(path).read_bytes() + b"\n")
    told = {stage.partition("@")[0]: list(found) for stage, found in repo.status().items()}
    return {stage: [path for one in found for path in one.get("changed deps", {})] for stage, found in told.items()}


@pytest.mark.parametrize(("path", "stages"), EDITS.values(), ids=EDITS)
def test_an_edit_of_a_file_changes_the_stages_that_run_it_and_no_others(changed, path, stages):
    assert {stage for stage, deps in changed.items() if is_covered(PROJECT / path, deps)} == stages
