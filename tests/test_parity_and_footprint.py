"""How far exports are from the trained network, and what they take in a fresh process: by hand and against scipy."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import stats

from ml.compression.parity import parity
from ml.evaluation.footprint import measure_footprint
from ml.pipeline import evaluate
from tests.toy_predictor import LinearPredictor
from tests.toy_use_case import TRUE_WEIGHTS, export_variant, lay_out

NOTHING = {"difference": None, "agreement": None}


def test_difference_is_the_largest_one_relative_to_the_range():
    trained = np.array([[0.0, 10.0], [4.0, 6.0]], dtype=np.float32)
    exported = np.array([[0.0, 10.0], [4.5, 5.9]], dtype=np.float32)
    assert parity(exported, trained) == {"difference": pytest.approx(0.05), "agreement": 1.0}


def test_agreement_is_the_rank_correlation_of_all_scores(rng):
    trained = rng.normal(size=(40, 3))
    exported = trained + rng.normal(size=(40, 3))
    expected = stats.spearmanr(trained.ravel(), exported.ravel()).statistic
    assert parity(exported, trained)["agreement"] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("exported", "trained"),
    [
        ([[1.0, np.nan]], [[1.0, 2.0]]),
        ([[1.0, 2.0]], [[np.inf, 2.0]]),
        ([[1.0, 2.0]], [[3.0, 3.0]]),
        ([[1.0, 1.0]], [[3.0, 4.0]]),
        ([[1.0, 2.0]], [[1.0, 2.0, 3.0]]),
    ],
    ids=["export not a number", "network not finite", "network says one thing", "export says one thing", "other shape"],
)
def test_what_cannot_be_compared_has_no_parity(exported, trained):
    assert parity(np.array(exported), np.array(trained)) == NOTHING


REQUESTS = [{"person": np.ones((1, 1), np.float32), "history": np.ones((1, 2), np.float32)}] * 5


def test_fresh_process_tells_time_and_memory(tmp_path):
    variant = export_variant(tmp_path, "int8", TRUE_WEIGHTS)
    ballast = np.ones(40_000_000)  # 320 MB of this process are none of the variant's
    found = measure_footprint(LinearPredictor, variant.path, REQUESTS)
    assert 0 < found.latency_ms < 1000
    assert 10e6 < found.memory_bytes < ballast.nbytes


def test_variant_that_cannot_be_opened_has_no_footprint(tmp_path):
    assert measure_footprint(LinearPredictor, tmp_path / "nothing", REQUESTS) is None


def test_footprint_stands_in_the_report_and_not_in_the_hashed_verdict(tmp_path, rng):

    context = lay_out(tmp_path, rng)
    evaluate.run(context)
    told = json.loads((context.reports("evaluate") / "footprint.json").read_text())["variants"]
    assert told.keys() == {"float32", "float16", "int8"}
    verdict = (context.data("evaluate") / "verdict.json").read_text()
    assert str(told["int8"]["memory_bytes"]) not in verdict
