"""What is trained: sums over the history, the simple recommenders inside, the same bytes for the same inputs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ml.files import read_json
from ml.use_cases.recommend import baseline
from ml.use_cases.recommend.encode import DECAYS, FEATURES, encode, pack
from ml.use_cases.recommend.judgement import measure, top_k
from ml.use_cases.recommend.neighbours import NEIGHBOURS, factors, similar
from tests.recommend_shop import Shop, prepare, small_shop, write

pytestmark = pytest.mark.filterwarnings("ignore")

TRAIN = """
import json, sys
from pathlib import Path
import pandas as pd
from ml.use_cases.recommend.record import USE_CASE
from ml.use_cases.recommend.params import RecommendTrain
features, out = Path(sys.argv[1]), Path(sys.argv[2])
splits = {name: pd.read_parquet(features / f"{name}.parquet") for name in ("train", "valid")}
state = json.loads((features / "state.json").read_text())
summary = USE_CASE.model.train(splits, state, RecommendTrain(epochs=2), out)
(out / "summary.json").write_text(json.dumps(summary, sort_keys=True))
USE_CASE.model.export(out, out / "exported", splits, state)
"""


@pytest.fixture(scope="module")
def shop() -> Shop:
    return small_shop(120)


@pytest.fixture(scope="module")
def network(shop):
    """An untrained network with the shop's tables, random where it would learn."""
    prepare()
    from ml.use_cases.recommend import network as module
    from ml.use_cases.recommend.fit import make_tables
    from ml.use_cases.recommend.vocabulary import vocabulary_of

    tables = make_tables(shop.built.splits, shop.state, 8)
    shape = module.Shape(
        n_products=len(shop.state["products"]),
        n_categories=vocabulary_of(shop.state).n_groups,
        embedding=tables.factors.shape[1],
        hidden=8,
        dropout=0.1,
        neighbours=tables.near.shape[1],
    )
    model = module.build(shape)
    module.set_tables(model, tables)
    model.get_layer("scores").turn.assign(np.random.default_rng(3).normal(size=(8, 8)))
    return model, tables


@pytest.fixture(scope="module")
def two_trainings(shop, tmp_path_factory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("trained")
    write(shop, folder / "features")
    outs = (folder / "first", folder / "second")
    for out in outs:
        command = [sys.executable, "-c", TRAIN, str(folder / "features"), str(out)]
        done = subprocess.run(command, cwd=Path(__file__).parent.parent, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
    return outs


def test_two_processes_train_and_export_the_same_bytes(two_trainings):
    first, second = (
        {p.relative_to(out): p.read_bytes() for p in out.rglob("*") if p.is_file()} for out in two_trainings
    )
    assert {path.name for path in first} >= {"model.weights.h5", "config.json", "history.json", "model.tflite"}
    assert first.keys() == second.keys()
    assert [str(path) for path in first if first[path] != second[path]] == []


def test_what_ships_beats_popularity_and_is_the_best_on_valid(shop, two_trainings):
    from ml.use_cases.recommend.record import USE_CASE

    summary = read_json(two_trainings[0] / "summary.json")
    figures = summary["valid"]
    assert set(figures) == {"hybrid", "personal_decay", "item_knn_decay", "popularity"}
    assert max(figures, key=lambda name: figures[name]["recall@10"]) == summary["chosen"]
    test = shop.split("test")
    shipped = USE_CASE.model.open(two_trainings[0] / "exported" / "float32")(encode(test, shop.state))
    naive = measure(baseline.score_popularity(test, shop.state), test, shop.state)["recall@10"].mean()
    assert measure(shipped, test, shop.state)["recall@10"].mean() > 1.2 * naive


def test_smaller_variants_rank_as_the_whole_one(shop, two_trainings):
    from ml.use_cases.recommend.record import USE_CASE

    test, exported = shop.split("test"), two_trainings[0] / "exported"
    scores = {path.name: USE_CASE.model.open(path)(encode(test, shop.state)) for path in exported.iterdir()}
    whole = measure(scores["float32"], test, shop.state)["recall@10"].mean()
    assert set(scores) == {"float32", "float16", "int8"}
    for name in ("float16", "int8"):
        assert abs(measure(scores[name], test, shop.state)["recall@10"].mean() - whole) < 0.02
        assert (exported / name / "model.tflite").stat().st_size < (
            exported / "float32" / "model.tflite"
        ).stat().st_size


def test_history_of_training_carries_no_time(two_trainings):
    epochs = read_json(two_trainings[0] / "history.json")["epochs"]
    assert [set(entry) for entry in epochs] == [{"epoch", "loss", "recall@10", "ndcg@10"}] * len(epochs)
    assert read_json(two_trainings[0] / "config.json")["conditions"]["onednn"] is False


def test_scores_are_sums_over_the_products_of_a_history(shop, network):
    from ml.use_cases.recommend.contender import score

    model, _ = network
    rows = pack(shop.split("test").head(5), shop.state)
    whole = score(model, rows)
    for row in range(5):
        inputs = rows.rows(np.array([row]))
        alone = {name: np.swapaxes(values, 0, 1) for name, values in inputs.items()}  # each product a row of its own
        base = model({name: np.zeros_like(values[:1]) for name, values in alone.items()}, training=False).numpy()
        parts = model(alone, training=False).numpy() - base
        np.testing.assert_allclose(base[0] + parts.sum(axis=0), whole[row], rtol=1e-4, atol=1e-4)


def test_padding_changes_no_score(shop, network):
    model, _ = network
    rows = pack(shop.split("test").head(6), shop.state)
    narrow, wide = (model(rows.rows(np.arange(6), width), training=False).numpy() for width in (None, 32))
    np.testing.assert_allclose(narrow, wide, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["popularity", "personal_decay", "item_knn_decay"])
def test_the_network_can_be_each_simple_recommender(shop, network, name):
    from ml.use_cases.recommend.contender import become, score

    model, tables = network
    before = model.get_weights()
    valid, decay = shop.split("valid"), DECAYS.index("baskets_0.9")
    table = (tables.near, tables.likeness)
    expected = {
        "popularity": lambda: baseline.score_popularity(valid, shop.state),
        "personal_decay": lambda: baseline.score_personal_decay(valid, shop.state, decay),
        "item_knn_decay": lambda: baseline.score_item_knn(valid, shop.state, table, decay),
    }[name]()
    try:
        become(model, name, tables, None if name == "popularity" else decay)
        found = score(model, pack(valid, shop.state))
    finally:
        model.set_weights(before)
    if name == "item_knn_decay":
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    else:
        np.testing.assert_array_equal(top_k(found, 10), top_k(expected, 10))


def test_similar_products_are_cosines_of_what_customers_bought(shop):
    near, likeness = similar(shop.split("train"), shop.state)
    assert near.shape == (len(shop.state["products"]), NEIGHBOURS + 1)
    assert (near[:, 0] == np.arange(len(near))).all()
    assert (likeness[:, 0] == 1).all()
    assert ((likeness >= 0) & (likeness <= 1)).all()
    assert (np.diff(likeness[:, 1:], axis=1) <= 0).all()


def test_factors_are_of_length_one_and_reproduce_likeness(shop):
    found = factors(shop.split("train"), shop.state, 8)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-3)
    np.testing.assert_array_equal(found, factors(shop.split("train"), shop.state, 8))


def test_features_and_columns_agree(shop):
    assert encode(shop.split("test").head(1), shop.state)["features"].shape[2] == len(FEATURES) == len(set(FEATURES))


def test_loss_looks_at_what_a_list_could_hold():
    prepare()
    from ml.use_cases.recommend.objective import basket_loss

    scores = np.zeros((1, 40), dtype=np.float32)
    scores[0, :10] = 5.0  # ten that are ahead
    log_sum = float(np.log(10 * np.exp(5) + 30))
    near = basket_loss(np.array([[0, -1]]), scores).numpy()[0]
    far = basket_loss(np.array([[39, -1]]), scores).numpy()[0]
    assert near == pytest.approx(0.5 * (log_sum - 5), rel=1e-5)  # at the edge the weight is one half
    assert far == pytest.approx((log_sum - 0) / (1 + np.exp(5)), rel=1e-5)
    assert basket_loss(np.array([[-1, -1]]), scores).numpy()[0] == 0
