"""What is drawn for a place: with the chances that are told, the same for the same request, and what pays is preferred."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.bandit.choice import Choices, chances, draw, prefer_base, prefer_best
from ml.bandit.learn import learn
from ml.benchmark.bandit_shop import Shop, answer, visit, worth


def places(features, is_there=None) -> Choices:
    features = np.asarray(features, dtype=float)
    return Choices(features=features, is_there=np.ones(features.shape[:2], bool) if is_there is None else is_there)


TWO = places([[[0.0, 1.0], [2.0, 0.0], [1.0, 1.0]]] * 2, np.array([[True, True, True], [True, True, False]]))


def test_chances_by_hand():
    # three arms: 0.3/3 each and 0.7 for the preferred one; two arms: 0.3/2 each
    found = chances(TWO, np.array([0, 1]), 0.3)
    assert found == pytest.approx(np.array([[0.8, 0.1, 0.1], [0.15, 0.85, 0.0]]))


def test_the_best_arm_has_the_largest_weighted_sum_and_is_there():
    assert prefer_best(TWO, [1.0, 1.5]).tolist() == [2, 1]
    assert prefer_best(TWO, [0.0, 0.0]).tolist() == prefer_base(TWO).tolist() == [0, 0]


@given(st.floats(0, 1), st.text(min_size=1, max_size=40))
def test_the_same_request_draws_the_same_and_only_what_is_there(explore, request_id):
    chance = chances(TWO, prefer_base(TWO), explore)
    assert chance.sum(axis=1) == pytest.approx([1, 1])
    first, again = draw(chance, request_id), draw(chance, request_id)
    assert first.tolist() == again.tolist()
    assert (chance[[0, 1], first] > 0).all()
    if explore == 0:
        assert first.tolist() == [0, 0]


def test_draws_are_as_frequent_as_the_chances_say():
    chance = chances(TWO, prefer_base(TWO), 0.6)
    shown = np.array([draw(chance, f"request {number}") for number in range(4000)])
    for place in (0, 1):
        # 4 standard errors of a share of 4,000 draws are at most 0.032
        assert np.bincount(shown[:, place], minlength=3) / 4000 == pytest.approx(chance[place], abs=0.032)


def _learned(shop: Shop, seed: int):
    rng = np.random.default_rng(seed)
    visits = visit(shop, 1500, rng)
    log = answer(visits, chances(visits.choices, prefer_base(visits.choices), 0.3), rng)
    return learn(log, 0.3, seed), visits


def test_what_pays_is_learned_and_accepted_and_is_truly_better():
    found, visits = _learned(Shop(beta=(0.0, 1.5)), seed=3)
    assert found.is_accepted
    assert found.weights[1] > abs(found.weights[0])
    shown = chances(visits.choices, prefer_best(visits.choices, found.weights), 0.3)
    gained = worth(visits, shown) - worth(visits, chances(visits.choices, prefer_base(visits.choices), 0.0))
    assert found.gain.low <= gained <= found.gain.high


def test_nothing_is_accepted_where_the_base_list_ranks_best():
    assert not any(_learned(Shop(beta=(0.9, 0.0)), seed)[0].is_accepted for seed in range(5))


def test_a_log_without_a_reward_says_what_to_do():
    with pytest.raises(ValueError, match="Wait for more answers"):
        _learned(Shop(beta=(0.0, 0.0), level=-40.0), seed=1)
