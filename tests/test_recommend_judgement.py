"""Lists are judged by hand-checked arithmetic, and never outside their bounds."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ml.use_cases.recommend import baseline, breadth, plot
from ml.use_cases.recommend.catalogue import Catalogue, catalogue_of
from ml.use_cases.recommend.judgement import listed, measure, summarise, top_k
from ml.use_cases.recommend.vocabulary import product_key
from tests.recommend_shop import Shop, small_shop

N = 30
STATE = {
    "products": [f"p{number}" for number in range(N)],
    "names": [f"P {number}" for number in range(N)],
    "departments": ["A", "B", "C"] * 10,
    "categories": ["A", "B", "C"] * 10,
    "popularity": list(range(N, 0, -1)),
    "baskets": list(range(N, 0, -1)),
    "customers": [1] * N,
    "gap_days": [1.0] * N,
    "sales": [[1, 1]] * N,
    "as_of": "2026-06-30T00:00:00",
    "max_history": 8,
    "max_baskets": 10,
}


@pytest.fixture(scope="module")
def shop() -> Shop:
    return small_shop()


def examples(*targets: list[str], bought: list[str] | None = None) -> pd.DataFrame:
    keys = [np.array([product_key(product) for product in target]) for target in targets]
    items = np.array([product_key(product) for product in bought or []], dtype=np.int64)
    ages = np.full(len(items), 86_400)
    return pd.DataFrame(
        {
            "targets": keys,
            "time": pd.Timestamp("2026-06-29"),
            "items": [items] * len(keys),
            "ages": [ages] * len(keys),
            "baskets_ago": [np.ones(len(items), dtype=np.int64)] * len(keys),
            "n_baskets": 1,
            "newest_age": 86_400,
            "oldest_age": 86_400,
        }
    )


def ranking(*order: int) -> np.ndarray:
    """Return one row of scores that ranks these numbers first, in this order."""
    scores = np.full(N, -1.0, dtype=np.float32)
    scores[list(order)] = np.arange(len(order), 0, -1)
    return scores


def test_recall_and_ndcg_by_hand():
    """Bought: p0 (rank 1), p5 (rank 3), p29 (missed) and one product nobody knows."""
    scores = ranking(0, 1, 5, 2, 3, 4, 6, 7, 8, 9)[None]
    (found,) = measure(scores, examples(["p0", "p5", "p29", "unknown"]), STATE).to_dict("records")
    assert found["recall@10"] == 2 / 4
    ideal = 1 + 1 / np.log2(3) + 1 / np.log2(4) + 1 / np.log2(5)
    assert found["ndcg@10"] == pytest.approx((1 + 1 / np.log2(4)) / ideal)


def test_the_index_of_the_examples_is_kept():
    rows = examples(["p0"], ["p1"]).set_index(pd.Index([7, 3]))
    found = measure(np.stack([ranking(0), ranking(0)]), rows, STATE)
    assert found.index.tolist() == [7, 3]
    assert found["recall@10"].tolist() == [1.0, 1.0]  # p1 follows: equal scores fall to the more popular product


def test_figures_of_all_lists():
    scores = np.stack([ranking(*range(10)), ranking(*range(5, 15))])
    found = summarise(scores, examples(["p0"], ["p1"], bought=["p0", "p12"]), STATE)
    assert found["coverage"] == 15 / N
    assert found["departments"] == 3
    assert found["popular_share"] == (10 + 5) / 20
    assert found["repeat_share"] == (1 + 1) / 20


def test_breadth_of_two_lists_by_hand():
    """Products 0, 1, 2 in a list of three of categories A, A, B; then 0, 1, 3 of A, A, C: pairs 2 of 3 differ in both."""
    shown = np.array([[0, 1, 2], [0, 1, 3]])
    catalogue = Catalogue(
        products=tuple("abcd"),
        names=tuple("abcd"),
        departments=("x", "x", "y", "y"),
        categories=("A", "A", "B", "C"),
        brands=("unknown",) * 4,
        popularity=np.array([8.0, 4.0, 2.0, 2.0]),
        n_learned=4,
    )
    bought = {"bought_row": np.array([0, 0, 1]), "bought": np.array([2, 3, 0])}
    found = breadth.figures(breadth.Lists(shown=shown, catalogue=catalogue, **bought))
    assert found["diversity"] == pytest.approx(2 / 3)
    assert found["gini"] == pytest.approx((-3 * 1 - 1 * 1 + 1 * 2 + 3 * 2) / (4 * 6))  # shown 1, 1, 2, 2 times
    assert found["novelty"] == pytest.approx((1 + 2 + 3) / 3)  # 8, 4 and 2 of 16 purchases
    before = (2 + 8) / 2  # mean popularity of c and d, and of a
    assert found["popularity_lift"] == pytest.approx((14 / 3) / before - 1)
    only_y, only_x = np.log(1 / (0.99 / 3 + 0.01)), np.log(1 / (0.99 * 2 / 3 + 0.01))
    assert found["miscalibration"] == pytest.approx((only_y + only_x) / 2)


def test_breadth_of_lists_without_any_purchase_is_a_number():
    nobody = {"bought_row": np.zeros(0, np.int64), "bought": np.zeros(0, np.int64)}
    found = breadth.figures(breadth.Lists(shown=np.array([[0]]), catalogue=catalogue_of(STATE), **nobody))
    assert (found["popularity_lift"], found["miscalibration"], found["diversity"]) == (0, 0, 0)


@given(hnp.arrays(np.int64, st.integers(1, 20), elements=st.integers(0, 50)))
def test_gini_is_0_where_all_are_alike_and_never_reaches_1(counts):
    assert -1e-12 <= breadth.gini(counts) <= 1 - 1 / len(counts) + 1e-12
    assert breadth.gini(np.full(len(counts), 3)) == pytest.approx(0)


def test_shares_by_tenth_of_popularity_by_hand():
    found = plot.decile_shares(np.array([0, 2, 3, 29, 30]), N)
    assert {name: share for name, share in found.items() if share} == {1: 2 / 5, 2: 1 / 5, 10: 1 / 5, "new": 1 / 5}
    assert sum(plot.decile_shares(np.zeros(0, np.int64), N).values()) == 0


def test_a_new_product_in_the_tenth_place_counts_where_it_was_bought():
    """Chance: (1 + 20 · 0.5) / (1 + 20) of category A after one purchase there, times a quarter of it."""
    state = STATE | {
        "new": {
            "since": "2026-06-01T00:00:00",
            "products": ["n0"],
            "names": ["N 0"],
            "departments": ["A"],
            "categories": ["A"],
            "brands": ["unknown"],
            "baskets": [2],
            "shares": [0.25],
            "usual": {"A": 0.5, "B": 0.5},
            "least": (1 + 20 * 0.5) / (1 + 20) * 0.25 - 1e-9,
        }
    }
    scores = np.stack([ranking(*range(10))] * 2)
    times = pd.to_datetime(["2026-05-31", "2026-06-02"])
    rows = examples(["p9", "n0"], ["p9", "n0"], bought=["p0"]).assign(time=times)
    assert measure(scores, rows, state)["recall@10"].tolist() == [1 / 2, 1 / 2]
    assert listed(scores, rows, state)[:, 9].tolist() == [9, N]
    found = summarise(scores, rows, state)
    assert (found["new_share"], found["new_recall"]) == (1 / 20, 1 / 2)
    others = rows.assign(items=[np.array([product_key("p1")])] * 2)
    assert listed(scores, others, state)[:, 9].tolist() == [9, 9]


scores_of = hnp.arrays(np.float32, (4, N), elements=st.floats(-4, 4, width=16))


@settings(max_examples=50, deadline=None)
@given(scores_of, st.integers(1, 12))
def test_top_k_is_a_stable_sort(scores, k):
    np.testing.assert_array_equal(top_k(scores, k), np.argsort(-scores, axis=1, kind="stable")[:, :k])


@settings(max_examples=50, deadline=None)
@given(scores_of, st.sets(st.sampled_from(STATE["products"]), min_size=1, max_size=15))
def test_metrics_stay_within_bounds_and_the_truth_is_perfect(scores, target):
    rows = examples(*[sorted(target)] * 4)
    found = measure(scores, rows, STATE).to_numpy()
    assert ((found >= 0) & (found <= 1 + 1e-12)).all()
    perfect = np.tile(np.isin(STATE["products"], list(target)).astype(np.float32), (4, 1))
    best = measure(perfect, rows, STATE)
    assert best["ndcg@10"].to_numpy() == pytest.approx(1)
    assert best["recall@10"].to_numpy() == pytest.approx(min(10, len(target)) / len(target))


def test_own_frequency_is_a_count_of_baskets(shop):
    test, purchases = shop.split("test"), shop.tables["purchases"]
    scores = baseline.personal(shop.built.splits, shop.state)
    for row in range(0, len(test), 10):
        unit, time = test["unit"].iloc[row], test["time"].iloc[row]
        own = purchases[(purchases["customer_id"] == unit) & (purchases["purchased_at"] < time)]
        counts = own.groupby("product_id")["basket_id"].nunique().reindex(shop.state["products"]).fillna(0)
        np.testing.assert_array_equal(scores[row], counts.to_numpy())


def test_every_baseline_scores_every_row_and_habits_beat_popularity(shop):
    from ml.use_cases.recommend.record import USE_CASE

    test, state = shop.split("test"), shop.state
    recalls = {}
    for name, score in USE_CASE.judgement.baselines.items():
        scores = score(shop.built.splits, state)
        assert scores.shape == (len(test), len(state["products"]))
        recalls[name] = measure(scores, test, state)["recall@10"].mean()
    assert recalls["personal_decay"] > 1.3 * recalls["popularity"]
    assert recalls["personal_decay"] >= 0.9 * recalls["personal"]
