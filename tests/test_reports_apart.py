"""Reports are for people: whatever stands in them, what the stages hand over is the same, byte for byte."""

import json

import pytest
import yaml

from ml.files import sha256_file
from ml.pipeline.place import PROJECT
from tests.file_stages import frozen, run_all

pytestmark = pytest.mark.filterwarnings("ignore")


def overwrite(reports):
    """Put another number, and other words, into every report."""
    for path in reports.rglob("*"):
        if path.is_file():
            is_json = path.suffix == ".json"
            path.write_text(json.dumps({"variants": {"float32": {"p50_ms": 99.5}}}) if is_json else "<h1>Slow</h1>")


def leave(reports):
    """Let them be."""


@pytest.fixture(scope="module")
def outputs(tmp_path_factory, object_store):
    """The digest of every hashed file of two runs: reports are left as they are, and changed after each stage."""
    import keras

    zone, found = tmp_path_factory.mktemp("zone"), []
    for between in (leave, overwrite):
        keras.backend.clear_session()  # as in a new process: layers are numbered from the first
        context = frozen("rating", zone, tmp_path_factory.mktemp("run"), object_store)
        run_all(context, between)
        data = context.root / "data"
        found.append(
            {path.relative_to(data).as_posix(): sha256_file(path) for path in data.rglob("*") if path.is_file()}
        )
    return found


def test_no_hashed_output_depends_on_a_report(outputs):
    left, changed = outputs
    assert {"rating/explain/card.html", "rating/package/version.json", "rating/compress/variants.json"} <= set(left)
    assert changed == left


def test_no_stage_names_a_report_among_what_it_depends_on():
    stages = yaml.safe_load((PROJECT / "dvc.yaml").read_text())["stages"]
    assert len(stages) == 9
    assert [dep for stage in stages.values() for dep in stage["do"]["deps"] if "reports" in dep] == []
