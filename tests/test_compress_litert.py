"""An exported network says the same in every precision, from the same bytes, at any number of rows."""

from __future__ import annotations

import numpy as np
import pytest

from ml.compression.latency import measure_latency
from ml.compression.litert import export_litert
from ml.compression.predictor import open_litert
from ml.errors import IntegrityBroken
from tests.recommend_shop import prepare

pytestmark = pytest.mark.filterwarnings("ignore")

SHAPES = {"x": (None, 64), "wide": (None, None, 4)}


@pytest.fixture(scope="module")
def model():
    prepare()
    import keras

    x, wide = keras.Input((64,), name="x"), keras.Input((None, 4), name="wide")
    hidden = keras.layers.Dense(128, activation="relu")(x)
    pooled = keras.ops.sum(keras.layers.Dense(128)(wide), axis=1)
    return keras.Model({"x": x, "wide": wide}, keras.layers.Dense(96)(hidden + pooled))


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    return export_litert(model, SHAPES, tmp_path_factory.mktemp("exported"))


def rows(n, width=3):
    rng = np.random.default_rng(n)
    return {"x": rng.normal(size=(n, 64)).astype(np.float32), "wide": rng.normal(size=(n, width, 4)).astype(np.float32)}


def test_variants_come_best_first_and_shrink(exported):
    sizes = [(one.path / "model.tflite").stat().st_size for one in exported]
    assert [one.name for one in exported] == ["float32", "float16", "int8"]
    assert sizes[0] > 1.6 * sizes[1]
    assert sizes[0] > 2.5 * sizes[2]


@pytest.mark.parametrize(("at", "tolerance"), [(0, 1e-5), (1, 5e-3), (2, 0.1)])
def test_each_variant_says_what_the_network_says(model, exported, at, tolerance):
    inputs = rows(17)
    expected = model(inputs, training=False).numpy()
    found = open_litert(exported[at].path)(inputs)
    assert np.abs(found - expected).max() <= tolerance * np.abs(expected).max()


def test_any_number_of_rows_and_positions_in_any_order(model, exported):
    predict = open_litert(exported[0].path)
    for inputs in (rows(1), rows(40), rows(2, width=9), rows(1)):
        np.testing.assert_allclose(predict(inputs), model(inputs, training=False).numpy(), rtol=1e-4, atol=1e-4)


def test_an_answer_is_not_overwritten_by_the_next(exported):
    predict = open_litert(exported[0].path)
    first = predict(rows(2))
    kept = first.copy()
    predict(rows(2, width=5))
    np.testing.assert_array_equal(first, kept)


def test_exporting_again_gives_the_same_bytes(model, exported, tmp_path):
    for before, again in zip(exported, export_litert(model, SHAPES, tmp_path), strict=True):
        assert (before.path / "model.tflite").read_bytes() == (again.path / "model.tflite").read_bytes()


@pytest.mark.parametrize("content", [None, b"", b"no model at all"])
def test_a_missing_or_broken_model_is_refused(tmp_path, content):
    if content is not None:
        (tmp_path / "model.tflite").write_bytes(content)
    with pytest.raises(IntegrityBroken, match="compress"):
        open_litert(tmp_path)


def test_latency_is_measured_over_single_requests(exported):
    found = measure_latency(open_litert(exported[2].path), [rows(1) for _ in range(20)])
    assert 0 < found["p50_ms"] <= found["p95_ms"]
    assert found["requests"] == 20
