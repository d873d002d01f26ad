"""No number of packs is cheaper than the one a line orders, and what is shared goes where it saves most."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.use_cases.inventory.allocate import Limits, allocate, rank_steps
from ml.use_cases.inventory.order import Need, best_packs, promised_packs
from ml.use_cases.inventory.protection import ProtectedDemand


def test_a_promised_service_level_is_kept_where_a_cost_ratio_may_round_down():
    """Demand is 1..10, equally likely; with p/h = 9 the best level is 9. A level of 8 costs 2.8 + 9·0.3, one of 12 6.5."""
    need = needs(paths=[np.arange(1.0, 11.0)], position=[0], pack=[4], ratio=9)
    assert promised_packs(need).tolist() == [3]
    assert best_packs(need).tolist() == [2]


@given(
    paths=st.lists(st.lists(st.integers(0, 20), min_size=4, max_size=4), min_size=1, max_size=3),
    position=st.integers(-5, 20),
    pack=st.integers(1, 7),
    ratio=st.sampled_from([0.5, 1, 3, 9, 19]),
    least=st.integers(1, 3),
)
def test_no_number_of_packs_is_cheaper(paths, position, pack, ratio, least):
    n = len(paths)
    need = needs(paths=paths, position=[position] * n, pack=[pack] * n, ratio=ratio, least=[least] * n)
    every = np.array([need.costs(np.full(n, packs)) for packs in [0, *range(least, 40)]])
    np.testing.assert_allclose(need.costs(best_packs(need)), every.min(axis=0), atol=1e-9)


def needs(paths, position, pack, ratio, least=None) -> Need:
    demand = np.sort(np.asarray(paths, dtype=float), axis=1)
    return Need(
        position=np.asarray(position, dtype=float),
        demand=ProtectedDemand(paths=demand, means=demand.mean(axis=1, keepdims=True)),
        holding=np.ones(len(demand)),
        shortage=np.full(len(demand), float(ratio)),
        pack=np.asarray(pack, dtype=float),
        least_packs=np.asarray(least if least is not None else np.ones(len(demand)), dtype=np.int64),
    )


def best_of_all(need, wanted, prices, budget) -> float:
    """The largest saving of every affordable combination."""
    choices = [[0, *range(int(least), int(most) + 1)] for least, most in zip(need.least_packs, wanted, strict=True)]
    before = need.costs(np.zeros_like(wanted)).sum()
    combined = (np.array(packs) for packs in itertools.product(*choices))
    return max(before - need.costs(packs).sum() for packs in combined if packs @ prices <= budget)


tiny = st.lists(st.lists(st.integers(0, 9), min_size=4, max_size=4), min_size=1, max_size=3)


@given(paths=tiny, ratio=st.sampled_from([3, 9]), packs_affordable=st.integers(0, 12))
@settings(deadline=None)
def test_with_packs_of_one_price_the_allocation_is_the_best_of_all(paths, ratio, packs_affordable):
    n = len(paths)
    need = needs(paths=paths, position=np.zeros(n), pack=np.full(n, 2), ratio=ratio)
    wanted, prices, budget = best_packs(need), np.full(n, 10.0), 10.0 * packs_affordable
    packs = allocate(rank_steps(need, wanted, prices, prices), Limits(budget=budget), n)
    saved = need.costs(np.zeros(n, dtype=int)).sum() - need.costs(packs).sum()
    assert saved == pytest.approx(best_of_all(need, wanted, prices, budget), abs=1e-9)


@given(
    paths=tiny,
    prices=st.lists(st.integers(1, 9), min_size=3, max_size=3),
    least=st.lists(st.integers(1, 3), min_size=3, max_size=3),
    budget=st.integers(0, 60),
)
@settings(deadline=None)
def test_the_allocation_is_the_best_but_for_less_than_one_step(paths, prices, least, budget):
    n = len(paths)
    need = needs(paths=paths, position=np.zeros(n), pack=np.full(n, 2), ratio=9, least=least[:n])
    wanted, price = best_packs(need), np.array(prices[:n], dtype=float)
    steps = rank_steps(need, wanted, price, price)
    packs = allocate(steps, Limits(budget=float(budget)), n)
    saved = need.costs(np.zeros(n, dtype=int)).sum() - need.costs(packs).sum()
    lost = best_of_all(need, wanted, price, budget) - saved
    refused = steps.saving[np.cumsum(steps.spend) > budget]
    assert lost <= (refused[0] if refused.size else 0.0) + 1e-9
    assert lost >= -1e-9
    if budget in np.append(0, np.cumsum(steps.spend)):
        assert lost == pytest.approx(0, abs=1e-9)
