"""Estimates of what another policy would have earned: right by hand, exact where they must be, and covered by their intervals."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.bandit.interval import clustered
from ml.bandit.off_policy import ESTIMATORS, Logged, doubly_robust, gain, ips, overlap, snips, value
from ml.benchmark.bandit_simulator import covered

REWARDS = (0.2, 0.6)  # true chance of a reward of two arms
LOGGING, TARGET = (0.75, 0.25), (0.1, 0.9)
WORTH = 0.1 * 0.2 + 0.9 * 0.6


def rows(arms, rewards, *, logging=LOGGING, target=TARGET, model=(0.0, 0.0), units=None) -> Logged:
    arms, model, target = np.asarray(arms), np.asarray(model, dtype=float), np.asarray(target)
    return Logged(
        units=np.arange(len(arms)) if units is None else np.asarray(units),
        reward=np.asarray(rewards, dtype=float),
        logged=np.asarray(logging)[arms],
        target=target[arms],
        largest=float((target / np.asarray(logging)).max()),
        predicted=model[arms],
        expected=np.full(len(arms), float(target @ model)),
    )


def test_estimates_of_three_rows_by_hand():
    # weights: 0.1/0.75 = 2/15 for arm 0, 0.9/0.25 = 3.6 for arm 1
    seen = rows([0, 0, 1], [1, 0, 1], model=(0.3, 0.5))
    assert ips(seen).mean() == pytest.approx((2 / 15 + 3.6) / 3)
    assert snips(seen).mean() == pytest.approx((2 / 15 + 3.6) / (2 / 15 + 2 / 15 + 3.6))
    # q(π) = 0.1 · 0.3 + 0.9 · 0.5 = 0.48
    assert doubly_robust(seen).mean() == pytest.approx(0.48 + (2 / 15 * 0.7 - 2 / 15 * 0.3 + 3.6 * 0.5) / 3)
    # (Σw)² / Σw² of the three weights
    assert overlap(seen).effective_rows == pytest.approx((2 / 15 * 2 + 3.6) ** 2 / (2 * (2 / 15) ** 2 + 3.6**2))


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=20))
def test_a_policy_that_asks_for_itself_gets_the_mean_reward(shown):
    arms, rewards = zip(*shown, strict=True)
    seen = rows(arms, rewards, target=LOGGING)
    for name in ("ips", "snips"):
        assert ESTIMATORS[name](seen).mean() == pytest.approx(np.mean(rewards), abs=1e-12)


@pytest.mark.parametrize(("terms", "model"), [(ips, (0.0, 0.0)), (doubly_robust, (0.9, 0.1))], ids=["ips", "dr"])
def test_estimates_over_all_worlds_of_two_rows_are_unbiased_even_with_a_wrong_model(terms, model):
    total = 0.0
    for arms in product((0, 1), repeat=2):
        for rewards in product((0, 1), repeat=2):
            chance = np.prod(
                [LOGGING[a] * (REWARDS[a] if r else 1 - REWARDS[a]) for a, r in zip(arms, rewards, strict=True)]
            )
            total += chance * terms(rows(arms, rewards, model=model)).mean()
    assert total == pytest.approx(WORTH)


def test_doubly_robust_terms_with_a_perfect_model_do_not_vary(rng):
    arms = rng.integers(0, 2, size=50)
    terms = doubly_robust(rows(arms, np.asarray(REWARDS)[arms], model=REWARDS))
    assert terms == pytest.approx(np.full(50, WORTH))


def test_a_policy_gains_nothing_over_itself():
    seen = rows([0, 1, 1, 0], [1, 0, 1, 0])
    found = gain(seen, seen, doubly_robust)
    assert found.value == 0
    assert found.low < 0 < found.high


def test_without_skewness_the_interval_is_students():
    # mean 3, s = √2.5, n = 5, t(0.975, 4) = 2.776445 from tables
    found = clustered(np.array([1.0, 2, 3, 4, 5]), np.arange(5))
    half = 2.776445 * np.sqrt(2.5 / 5)
    assert (found.value, found.low, found.high) == pytest.approx((3, 3 - half, 3 + half), abs=1e-5)


def test_rows_that_a_customer_repeats_tell_nothing_new():
    values = np.array([0.0, 1, 1, 4, 2])
    once, thrice = clustered(values, np.arange(5)), clustered(np.repeat(values, 3), np.repeat(np.arange(5), 3))
    assert (thrice.low, thrice.high) == pytest.approx((once.low, once.high))


def test_what_was_not_seen_yet_widens_the_upper_end_only():
    none_yet = rows([0] * 50, [0] * 50)
    found = value(none_yet, ips)
    assert (found.value, found.low) == (0, 0)
    # "rule of three": 50 rows without the event leave it a chance of about 3 / 50, here of arm 1's weight in a quarter of rows
    assert 3 / 50 * 3.6 < found.high < 10 / 50 * 3.6


@pytest.mark.parametrize("units", [[], ["one", "one"]])
def test_no_interval_without_two_customers(units):
    assert not clustered(np.ones(len(units)), np.array(units)).is_finite()


@pytest.mark.parametrize("name", ["10 % explored", "rare clicks, 10 % explored"])
@pytest.mark.parametrize("estimator", sorted(ESTIMATORS))
def test_intervals_cover_the_truth_in_90_of_100_seeds(estimator, name):
    found = covered(ESTIMATORS[estimator], name)
    assert found[f"{name}: covered"] >= 90
    assert found[f"{name}: gain covered"] >= 90
