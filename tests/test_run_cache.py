"""A run whose code, parameters and data are those of an earlier one takes its results from DVC's cache."""

import logging
from datetime import date

import pytest
import yaml
from pydantic import SecretStr

from ml.pipeline import handover
from ml.pipeline.freeze import RunRequest, freeze
from ml.pipeline.stage_code import code_of
from ml.pipeline.workspace import run_stage, workspace
from ml.use_cases import load

pytestmark = pytest.mark.filterwarnings("ignore")


def test_equal_runs_share_results_and_name_the_code_they_ran(object_store, tmp_path, monkeypatch, caplog):
    settings = object_store.settings("ingest", home=tmp_path)
    for name, value in settings.model_dump(exclude_unset=True, exclude_none=True).items():
        told = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        monkeypatch.setenv(f"TRADEWIND_{name.upper()}", told)
    found = {}
    for run in ("first", "second"):
        freeze(settings, load("rating"), RunRequest(run_id=run, as_of=date(2026, 6, 30)))
        with caplog.at_level(logging.INFO, logger="dvc"):
            caplog.clear()
            run_stage(settings, "rating", run, "ingest")
        found[run] = handover.find(settings, "rating", run, "ingest").part, "is cached" in caplog.text
    assert found["second"][0] == found["first"][0]
    assert (found["first"][1], found["second"][1]) == (False, True)
    part = found["first"][0]
    assert {one.path for one in part.deps} == {*code_of("ingest", "rating"), "uv.lock"}
    with workspace(settings, "rating", "first", "look") as root:
        stages = yaml.safe_load((root / "dvc.yaml").read_text())["stages"]
        assert [dep for dep in stages["train"]["do"]["deps"] if dep.startswith("ml/")] == code_of("train", "rating")
