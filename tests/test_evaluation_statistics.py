"""Figures over many resamples at once agree with scikit-learn's on each, and with hand arithmetic."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import average_precision_score, roc_auc_score

from ml.contract import Metric
from ml.evaluation.bootstrap import resample
from ml.evaluation.figures import column
from ml.evaluation.statistic import average_precision, calibration_error, once, ratio, roc_auc
from ml.use_cases.fraud.figures import reliability

ROWS = 30


@given(
    score=hnp.arrays(np.float64, ROWS, elements=st.sampled_from([0.0, 0.1, 0.5, 0.7, 1.0])),
    label=hnp.arrays(np.float64, ROWS, elements=st.sampled_from([0.0, 1.0])),
    weights=hnp.arrays(np.float64, (3, ROWS), elements=st.integers(0, 3).map(float)),
)
@settings(max_examples=100, deadline=None)
def test_ranking_figures_agree_with_scikit_learn_on_every_draw(score, label, weights):
    parts = {"score": score, "label": label}
    ours = {"ap": average_precision("score", "label"), "auc": roc_auc("score", "label")}
    theirs = {"ap": average_precision_score, "auc": roc_auc_score}
    for name, statistic in ours.items():
        found = statistic(parts, weights)
        for draw, value in zip(weights, found, strict=True):
            seen = label[draw > 0]
            if seen.sum() == 0 or (name == "auc" and seen.all()):
                assert np.isnan(value)
            else:
                assert value == pytest.approx(theirs[name](label, score, sample_weight=draw))


def test_a_ratio_of_sums_is_no_mean_of_ratios():
    found = ratio("lost", "sold")({"lost": np.array([1.0, 1.0]), "sold": np.array([1.0, 9.0])}, np.array([[1.0, 1.0]]))
    assert found == pytest.approx([0.2])
    assert np.isnan(ratio("lost", "sold")({"lost": np.ones(1), "sold": np.zeros(1)}, np.ones((1, 1)))).all()


def test_a_statistic_is_resampled_with_the_same_draws_as_a_mean(rng):
    values, units = rng.gamma(2.0, size=200), np.arange(200) % 40
    mean = ratio("value", "one")
    drawn = resample(
        {
            "column": values,
            "statistic": lambda weights: mean({"value": values, "one": np.ones(200)}, weights),
        },
        units,
        resamples=300,
        confidence=0.9,
        seed=1,
    )
    difference = drawn.difference("column", "statistic")
    assert drawn.figure("statistic").high - drawn.figure("statistic").low > 0.1
    assert difference.high - difference.low < 1e-6


def test_sums_taken_by_unit_give_the_figures_of_their_rows():
    rng = np.random.default_rng(2)
    units, parts = rng.integers(0, 12, 60).astype(str), {"lost": rng.random(60), "sold": rng.random(60)}
    in_part = rng.random(60) < 0.4
    metric = Metric(name="share", parts=("lost", "sold"), statistic=ratio("lost", "sold"))
    found = {
        "all": column(metric, parts),
        "part": column(metric, parts, in_part),
        "all by row": lambda weights: metric.statistic(parts, weights),
        "part by row": lambda weights: metric.statistic(parts, weights * in_part),
    }
    draws = resample(found, units, resamples=50, confidence=0.9, seed=1)
    for name in ("all", "part"):
        by_unit, by_row = draws.figure(name), draws.figure(f"{name} by row")
        assert (by_unit.value, by_unit.low, by_unit.high) == pytest.approx((by_row.value, by_row.low, by_row.high))


def test_calibration_error_is_that_of_bins_by_hand():
    """Two bins: scores 0.1, 0.3 with one of two labelled, gap |1 − 0.4|; 0.6, 0.8 with both, gap |2 − 1.4|; over 4 rows."""
    parts = {"score": np.array([0.8, 0.1, 0.6, 0.3]), "label": np.array([1.0, 0.0, 1.0, 1.0])}
    found = calibration_error("score", "label", bins=2)(parts, np.array([[1.0, 1, 1, 1], [0, 1, 0, 1], [0, 0, 0, 0]]))
    assert found == pytest.approx([0.3, 0.3, np.nan], nan_ok=True)


def test_calibration_error_is_that_of_the_reliability_diagram(rng):
    score = rng.random(1000)
    label = (rng.random(1000) < score**2).astype(np.int64)
    ours = once(calibration_error("score", "label"), score=score, label=label)
    assert ours == pytest.approx(reliability(score, label).error)
