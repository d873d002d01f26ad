"""What a use case shows as its data passes its own checks; what nobody should learn from does not."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from ml.files import read_verdict
from ml.pipeline import ingest, validate
from ml.use_cases import load
from tests.sample_shop import frozen_context

FAR = date(2100, 1, 1)  # replayed: the sample's own last day


@pytest.mark.parametrize("name", ["recommend"])
def test_the_sample_passes_whole(name, tmp_path, keeper):
    use_case = load(name)
    for table, rows in use_case.data.sample(np.random.default_rng(7), 40).items():
        (tmp_path / "zone").mkdir(exist_ok=True)
        rows.to_parquet(tmp_path / "zone" / f"{table}.parquet", index=False)
    spec = {"kind": "files", "location": str(tmp_path / "zone"), "clock": "replay"}
    context = frozen_context(tmp_path / "run", spec, keeper, FAR)
    ingest.run(context)
    validate.run(context)
    verdict = read_verdict(context.data("validate") / "verdict.json")
    assert verdict.accepted
    assert [rule.sentence for rule in verdict.rules if not rule.passed] == []
