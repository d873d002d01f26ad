"""Intervals: checked against scipy, against hand arithmetic and by how often they hold the truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ml.evaluation.bootstrap import resample


def draw(columns, units, **changes):
    chosen = {"resamples": 2000, "confidence": 0.95, "seed": 1, **changes}
    return resample({name: np.asarray(values, dtype=float) for name, values in columns.items()}, units, **chosen)


def test_interval_agrees_with_scipy_where_each_unit_has_one_row(rng):
    values = rng.gamma(2.0, size=300)
    ours = draw({"a": values}, np.arange(300), resamples=4000).figure("a")
    theirs = stats.bootstrap((values,), np.mean, n_resamples=4000, method="percentile", rng=rng).confidence_interval
    spread = theirs.high - theirs.low
    assert ours.value == pytest.approx(values.mean(), rel=1e-6)
    assert ours.low == pytest.approx(theirs.low, abs=0.06 * spread)
    assert ours.high == pytest.approx(theirs.high, abs=0.06 * spread)


def test_paired_difference_agrees_with_scipy(rng):
    a = rng.normal(size=400)
    b = a + rng.normal(0.05, 0.2, size=400)
    ours = draw({"a": a, "b": b}, np.arange(400), resamples=4000).difference("b", "a")
    theirs = stats.bootstrap((b - a,), np.mean, n_resamples=4000, method="percentile", rng=rng).confidence_interval
    spread = theirs.high - theirs.low
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.06 * spread)


def test_pairing_makes_the_difference_far_surer_than_the_figures(rng):
    a = rng.normal(size=400)
    drawn = draw({"a": a, "b": a + 0.01}, np.arange(400))
    difference = drawn.difference("b", "a")
    assert difference.high - difference.low < 1e-6
    assert drawn.figure("a").high - drawn.figure("a").low > 0.1


def test_rows_of_one_unit_are_drawn_together(rng):
    values = rng.normal(size=100)
    alone = draw({"a": values}, np.arange(100)).figure("a")
    copied = draw({"a": np.repeat(values, 20)}, np.repeat(np.arange(100), 20)).figure("a")
    assert (copied.low, copied.high) == pytest.approx((alone.low, alone.high))


def test_relative_change_by_hand():
    drawn = draw({"new": [3.0, 3.0], "old": [4.0, 4.0]}, ["u", "v"])
    assert drawn.relative("new", "old").value == pytest.approx(-0.25)
    assert drawn.relative("new", "old", sign=-1).low == pytest.approx(0.25)


def test_nothing_against_nothing_is_no_change():
    drawn = draw({"new": [0.0, 0.0], "old": [0.0, 0.0]}, ["u", "v"])
    assert drawn.relative("new", "old").high == 0


def test_gain_from_nothing_is_no_finite_figure():
    assert not draw({"new": [1.0, 1.0], "old": [0.0, 0.0]}, ["u", "v"]).relative("new", "old").is_finite()


def test_rows_without_a_value_count_for_nothing():
    drawn = draw({"a": [1.0, math.nan, 3.0]}, ["u", "v", "w"])
    assert drawn.figure("a").value == pytest.approx(2.0)


@pytest.mark.parametrize("values", [[1.0, math.inf], [math.nan, math.nan]])
def test_a_column_that_is_not_finite_has_no_figure(values):
    assert not draw({"a": values}, ["u", "v"]).figure("a").is_finite()


def test_an_unknown_column_has_no_figure():
    assert not draw({"a": [1.0]}, ["u"]).figure("b").is_finite()


def test_no_rows_are_refused():
    with pytest.raises(ValueError, match="at least one row"):
        draw({"a": []}, [])


def test_order_of_rows_does_not_matter_to_the_last_bit(rng):
    values, units = rng.normal(size=500), rng.integers(0, 90, 500)
    order = rng.permutation(500)
    assert draw({"a": values}, units).figure("a") == draw({"a": values[order]}, units[order]).figure("a")


def test_intervals_hold_the_truth_as_often_as_they_claim(rng):
    """300 samples of 80 customers with 1 to 4 skewed rows each; binomial bounds of 95 % +- 4 standard errors."""
    held = 0
    for seed in range(300):
        sizes = rng.integers(1, 5, 80)
        level = np.repeat(rng.normal(0, 0.5, 80), sizes)
        found = draw(
            {"a": level + rng.exponential(1.0, sizes.sum())},
            np.repeat(np.arange(80), sizes),
            resamples=400,
            seed=seed,
        ).figure("a")
        held += found.low <= 1.0 <= found.high
    assert 0.89 <= held / 300 <= 0.995


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30))
def test_interval_stays_within_the_values(values):
    found = draw({"a": values}, np.arange(len(values)), resamples=200).figure("a")
    slack = 1e-6 * max(1.0, *map(abs, values))
    assert min(values) - slack <= found.low <= found.high <= max(values) + slack
