"""Figures of fraud scores follow hand arithmetic and other libraries."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.use_cases.fraud import blend, calibrate
from ml.use_cases.fraud.figures import card_precision, cost_curve, inspection_recall, reliability


def test_card_precision_looks_at_a_card_by_its_riskiest_payment_and_only_until_it_is_found():
    scored = pd.DataFrame(
        [
            (1, "a", 0.9, 0),
            (1, "a", 0.1, 1),
            (1, "b", 0.8, 0),
            (1, "c", 0.7, 1),  # third: not among the two checked
            (2, "a", 0.9, 1),  # found on day 1, so its place goes to the next
            (2, "c", 0.8, 1),
            (2, "d", 0.1, 1),
        ],
        columns=["day", "customer_id", "score", "is_fraud"],
    )
    assert card_precision(scored, k=2) == (1 / 2 + 2 / 2) / 2


def test_card_precision_divides_by_k_on_a_day_with_fewer_cards():
    scored = pd.DataFrame({"day": [1], "customer_id": ["a"], "score": [0.5], "is_fraud": [1]})
    assert card_precision(scored, k=100) == 0.01


def test_reliability_bins_hold_equal_counts_and_give_the_calibration_error():
    found = reliability(np.array([0.1, 0.2, 0.6, 0.8]), np.array([0, 0, 1, 0]), n_bins=2)
    np.testing.assert_allclose(found.expected, [0.15, 0.7])
    np.testing.assert_allclose(found.observed, [0.0, 0.5])
    assert found.error == pytest.approx((0.15 + 0.2) / 2)


def test_the_cost_curve_weighs_lost_amounts_against_reviews():
    scored = pd.DataFrame(
        {"day": [1, 1, 2], "amount": [100.0, 10.0, 50.0], "score": [0.2, 0.9, 0.5], "is_fraud": [1, 0, 1]}
    )
    costs = cost_curve(scored, np.array([0, 1, 2]), review_cost=3.0)
    assert costs.tolist() == [150.0, 106.0, 9.0]


def test_inspection_counts_the_highest_scores():
    recall, precision = inspection_recall(np.arange(10.0), np.array([0, 0, 1, 0, 0, 0, 0, 0, 1, 0]), effort=0.2)
    assert (recall, precision) == (0.5, 0.5)


def test_calibration_is_close_to_the_isotonic_fit_of_scikit_learn(rng):
    sklearn = pytest.importorskip("sklearn.isotonic")
    scores = rng.normal(size=4000)
    is_fraud = (rng.random(4000) < 1 / (1 + np.exp(-2 * scores))).astype(int)
    found = calibrate.apply(scores, calibrate.fit(scores, is_fraud))
    fitted = sklearn.IsotonicRegression().fit_transform(scores, is_fraud)
    assert np.abs(found - fitted).mean() < 0.02


@given(
    st.lists(st.tuples(st.floats(-20, 20), st.integers(0, 1)), min_size=2, max_size=60),
    st.lists(st.floats(-30, 30), min_size=2, max_size=20),
)
def test_calibration_never_turns_an_order_round_and_stays_a_probability(rows, asked):
    knots = calibrate.fit(np.array([score for score, _ in rows]), np.array([label for _, label in rows]))
    found = calibrate.apply(np.sort(asked), knots)
    assert ((found > 0) & (found < 1)).all()
    assert (np.diff(found) >= 0).all()


def test_calibration_needs_rows():
    with pytest.raises(ValueError, match="Received 1"):
        calibrate.fit(np.zeros(1), np.zeros(1, dtype=int))


def test_the_blend_takes_what_ranks_better_on_validation():
    label = np.array([0, 0, 1, 1])
    good, bad = np.array([0.0, 1.0, 2.0, 3.0]), np.array([9.0, 8.0, -9.0, -8.0])
    assert blend.choose_share([(good, bad, label)]) == 1.0
    assert blend.choose_share([(bad, good, label)]) < 0.2
    np.testing.assert_allclose(blend.blend(good, bad, 0.25), 0.25 * good + 0.75 * bad)


def test_a_genuine_payment_at_the_lower_end_does_not_lift_the_others():
    scores, is_fraud = np.arange(1000.0), np.zeros(1000, dtype=int)
    is_fraud[[1, 999]] = 1  # after one genuine payment comes a fraud: the first block is a single row
    knots = calibrate.fit(scores, is_fraud)
    assert calibrate.apply(np.array([500.0]), knots)[0] < 0.01
