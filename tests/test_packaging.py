"""A version is made from an accepted candidate alone, is named by its bytes, and knows what it answered."""

import json
import os
import subprocess
import sys

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from hypothesis import given
from hypothesis import strategies as st

from ml.errors import GateFailed, IntegrityBroken
from ml.files import read_json, sha256_file
from ml.packaging import artifact
from ml.packaging.golden import differences
from ml.packaging.lock import libraries
from ml.packaging.oci import Layout
from ml.pipeline import package
from ml.pipeline.context import StageContext
from tests.promotable_run import (
    NAME,
    PROJECT,
    files_of,
    lay_out_run,
    use_case,
)


def test_equal_inputs_give_an_equal_version_in_two_processes(tmp_path, object_store):
    held = object_store.settings("train")
    context = lay_out_run(tmp_path / "here", held)
    package.run(context)
    script = (
        "import sys, pathlib\n"
        "import tests.promotable_run as suite\n"
        "from ml.config import Settings\n"
        "context = suite.lay_out_run(pathlib.Path(sys.argv[1]), Settings())\n"
        "suite.package.run(context)\n"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "11", "TZ": "America/Lima"}
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "there")], check=True, env=environment, cwd=PROJECT)
    here, there = (tmp_path / place / "data" / NAME / "package" for place in ("here", "there"))
    assert (here / "version.json").read_bytes() == (there / "version.json").read_bytes()
    assert files_of(here) == files_of(there)


def test_packaging_again_replaces_what_was_there(ready):
    root, digest = ready()
    before = files_of(root / "data")
    context = StageContext(
        use_case=use_case(next((root / "data").iterdir()).name), params=None, inputs={}, settings=None, root=root
    )
    package.run(context)
    assert files_of(root / "data") == before
    assert read_json(context.data("package") / "version.json")["digest"] == digest


def test_other_weights_are_another_version(ready):
    assert ready(seed=1)[1] != ready(seed=2)[1]


def test_card_and_metrics_do_not_change_the_version(tmp_path, promoter):
    context = lay_out_run(tmp_path, promoter)
    package.run(context)
    digest = read_json(context.data("package") / "version.json")["digest"]
    (context.data("explain") / "card.html").write_text("<h1>Another day</h1>")
    package.run(context)
    assert read_json(context.data("package") / "version.json")["digest"] == digest


def test_refused_candidate_is_not_packaged(tmp_path, promoter):
    context = lay_out_run(tmp_path, promoter, accepted=False)
    with pytest.raises(GateFailed, match="naive baseline"):
        package.run(context)
    assert not (context.data("package") / "version.json").exists()


@pytest.mark.parametrize(
    "lost", ["evaluate/verdict.json", "evaluate/metrics.json", "evaluate/golden.json", "features/profile.parquet"]
)
def test_missing_evidence_is_a_refusal(tmp_path, promoter, lost):
    context = lay_out_run(tmp_path, promoter)
    (tmp_path / "data" / NAME / lost).unlink()
    with pytest.raises(IntegrityBroken):
        package.run(context)
    assert not (context.data("package") / "version.json").exists()


def test_bill_of_materials_is_valid_and_names_files_and_libraries(ready, name):
    root, digest = ready()
    layout = Layout(root / "data" / name / "package" / "oci")
    sbom = layout.file(layout.referrers(digest)[artifact.SBOM].digest, "sbom.cdx.json")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(sbom.decode()) is None
    document = json.loads(sbom)
    assert "timestamp" not in document["metadata"]
    parts = {part["name"]: part for part in document["components"]}
    weights = root / "data" / name / "compress" / "int8" / "weights.npy"
    assert parts["models/model/weights.npy"]["hashes"][0]["content"] == sha256_file(weights)[7:]
    assert parts["ai-edge-litert"]["purl"] == "pkg:pypi/ai-edge-litert@2.3.0"


def test_server_needs_no_tensorflow_by_the_lock():
    names = {library.name for library in libraries((PROJECT / "uv.lock").read_bytes())}
    assert {"fastapi", "boto3", "cryptography", "numpy"} <= names
    assert not {"tensorflow", "tensorflow-cpu", "pandas", "apache-airflow"} & names


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=3), st.lists))
def test_a_value_agrees_with_itself(value):
    assert list(differences(value, value)) == []


@pytest.mark.parametrize(
    ("expected", "received", "agree"),
    [
        (1.0, 1.0 + 0.9e-5, True),
        (1.0, 1.0 + 1.1e-5, False),
        (1e6, 1e6 + 9, True),
        (0.0, 1.1e-5, False),
        (1, 1.0, True),
        (1, 2, False),
        (True, 1, False),
        (1.0, True, False),
        (1.0, None, False),
        (float("nan"), float("nan"), False),
        ([1.0], [1.0, 2.0], False),
        ({"a": 1}, {"b": 1}, False),
        ("a", "b", False),
    ],
)
def test_numbers_may_differ_a_little_and_nothing_else(expected, received, agree):
    assert (list(differences(expected, received)) == []) is agree
