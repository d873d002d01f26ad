"""Drift: zero on itself, bounded, decided by effect and corrected p-value; quality: resampled by customer."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.monitoring.drift import categorical_distance, compare, numeric_distance
from ml.monitoring.quality import outcomes, summarise

numbers = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=50).map(np.array)
words = st.lists(st.sampled_from("abcd"), min_size=2, max_size=50)


@settings(deadline=None)
@given(numbers)
def test_numbers_are_at_distance_zero_from_themselves(values):
    assert numeric_distance(values, values) == (0.0, pytest.approx(1.0))


@settings(deadline=None)
@given(words)
def test_categories_are_at_distance_zero_from_themselves(values):
    effect, p_value = categorical_distance(values, values)
    assert effect == pytest.approx(0.0, abs=1e-7)
    assert p_value == pytest.approx(1.0)


@settings(deadline=None)
@given(words, words)
def test_a_categorical_distance_is_symmetric_and_bounded(one, other):
    there, back = categorical_distance(one, other)[0], categorical_distance(other, one)[0]
    assert there == pytest.approx(back, abs=1e-12)
    assert 0 <= there <= 1 + 1e-12


@settings(deadline=None)
@given(numbers, numbers)
def test_a_numeric_distance_is_symmetric_and_bounded(one, other):
    there, back = numeric_distance(one, other)[0], numeric_distance(other, one)[0]
    assert there == pytest.approx(back)
    assert 0 <= there <= 1


def test_distances_by_hand():
    # The empirical distributions of (1, 2, 3, 4) and (3, 4, 5, 6) are furthest apart between 2 and 3: 1/2 - 0.
    assert numeric_distance(np.array([1, 2, 3, 4.0]), np.array([3, 4, 5, 6.0]))[0] == 0.5
    # Disjoint categories: each side keeps one bit, so the distance is 1.
    assert categorical_distance(["a"] * 50, ["b"] * 50)[0] == pytest.approx(1.0)


def test_a_shifted_feature_comes_first_and_a_lost_one_is_missing(rng):
    reference = pd.DataFrame(
        {"basket": rng.normal(10, 2, 2000), "age": rng.normal(0, 1, 2000), "store": rng.choice(["a", "b"], 2000)}
    )
    current = pd.DataFrame({"basket": rng.normal(14, 2, 500), "store": rng.choice(["a", "b"], 500)})
    found = {drift.feature: drift for drift in compare(reference, current)}
    assert found["basket"].effect > 0.5
    assert found["basket"].p_value < 1e-6
    assert found["age"].missing == 1.0
    assert found["store"].effect < 0.1
    assert found["store"].p_value > 0.01


def test_p_values_are_corrected_for_many_features(rng):
    """Of 200 features that did not move, uncorrected tests at 5 % would call about ten drifted."""
    reference = pd.DataFrame(rng.normal(size=(500, 200)), columns=[f"f{i}" for i in range(200)])
    current = pd.DataFrame(rng.normal(size=(500, 200)), columns=reference.columns)
    assert sum(drift.p_value < 0.05 for drift in compare(reference, current)) <= 1


def test_an_answer_is_joined_with_later_events_of_its_own_customer_alone():
    answers = [
        {"unit": "a", "time": "2026-01-02T00:00:00Z", "answer": {"items": ["x"]}},
        {"unit": "b", "time": "2026-01-02T00:00:00Z", "answer": {"items": ["x"]}},
        {"unit": None, "time": "2026-01-02T00:00:00Z", "answer": {"items": ["x"]}},
    ]
    events = [
        {"unit": "a", "time": "2026-01-01T00:00:00Z", "event": {"item": "early"}},
        {"unit": "a", "time": "2026-01-03T00:00:00Z", "event": {"item": "x"}},
    ]
    known = outcomes(answers, events, lambda line, later: {"hit": float(later[0]["item"] in line["answer"]["items"])})
    assert known == [("a", {"hit": 1.0})]


def test_quality_resamples_customers():
    known = [(unit, {"hit": float(unit % 2)}) for unit in range(400) for _ in range(10)]
    (quality,) = summarise([(str(unit), figures) for unit, figures in known], seed=1)
    assert quality.mean == 0.5
    assert (quality.n_answers, quality.n_units) == (4000, 400)
    # The standard error over 400 customers is 0.025, not the 0.008 of 4000 answers.
    assert quality.interval[1] - quality.interval[0] == pytest.approx(2 * 1.96 * 0.025, rel=0.1)


def test_many_rare_categories_are_not_far_apart_by_chance(rng):
    """Two samples of one distribution over a thousand products; counted one by one they seem 0.8 apart."""
    products = [f"p{i}" for i in range(1000)]
    effect, p_value = categorical_distance(rng.choice(products, 2000).tolist(), rng.choice(products, 200).tolist())
    assert effect < 0.1
    assert p_value > 0.01


def test_a_new_category_is_seen_even_where_others_are_rare(rng):
    products = [f"p{i}" for i in range(1000)]
    current = ["new"] * 100 + rng.choice(products, 100).tolist()
    assert categorical_distance(rng.choice(products, 2000).tolist(), current)[0] > 0.3


def test_an_optional_feature_is_lost_only_by_what_used_to_be_there():
    """Of 100 values 60 were always missing: 90 missing now means that three quarters of the rest are gone."""
    reference = pd.DataFrame({"age": [None] * 60 + [1.0] * 40})
    quiet, lost = (pd.DataFrame({"age": [None] * n + [1.0] * (100 - n)}) for n in (60, 90))
    assert compare(reference, quiet)[0].lost == pytest.approx(0.0)
    assert compare(reference, lost)[0].lost == pytest.approx(0.75)
