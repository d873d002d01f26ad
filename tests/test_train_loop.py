"""Training ends when it stalls, keeps the best pass, and writes weights that load again."""

from __future__ import annotations

import numpy as np
import pytest

from ml.errors import IntegrityBroken
from ml.training import weights
from ml.training.determinism import make_deterministic
from tests.recommend_shop import prepare

pytestmark = pytest.mark.filterwarnings("ignore")

TRUTH = np.array([[1.0], [-2.0], [0.5]], dtype=np.float32)


@pytest.fixture
def model():
    prepare()
    import keras

    inputs = keras.Input((3,), name="x")
    made = keras.Model({"x": inputs}, keras.layers.Dense(1, name="only")(inputs))
    made.compile(keras.optimizers.Adam(0.05))
    return made


def steps(epoch):
    rng = np.random.default_rng(epoch)
    for _ in range(20):
        x = rng.normal(size=(16, 3)).astype(np.float32)
        yield {"x": x}, x @ TRUTH


def squared(targets, scores):
    import tensorflow as tf

    return tf.reduce_sum(tf.square(targets - scores), axis=1)


def watch_of(figures, patience=2):
    from ml.training.loop import Watch

    remaining = iter(figures)
    return Watch(measure=lambda: {"good": next(remaining)}, figure="good", patience=patience)


def test_it_learns_a_line(model):
    from ml.training.loop import fit

    watch = watch_of(range(40), patience=40)
    fit(model, steps, squared, watch, 40)
    np.testing.assert_allclose(model.get_layer("only").get_weights()[0], TRUTH, atol=0.02)
    assert watch.epochs[-1]["loss"] < watch.epochs[0]["loss"] / 100


def test_it_ends_after_patience_and_puts_the_best_pass_back(model):
    from ml.training.loop import fit

    seen = []
    watch = watch_of([0.1, 0.9, 0.2, 0.3, 0.8, 0.8])
    measure = watch.measure
    watch.measure = lambda: (seen.append(model.get_weights()[0]), measure())[1]
    fit(model, steps, squared, watch, 10)
    assert [entry["epoch"] for entry in watch.epochs] == [1, 2, 3, 4]
    assert watch.best["good"] == 0.9
    np.testing.assert_array_equal(model.get_weights()[0], seen[1])


def test_no_better_pass_than_the_first_keeps_the_first(model):
    from ml.training.loop import fit

    watch = watch_of([0.5, 0.5, 0.5], patience=1)
    fit(model, steps, squared, watch, 5)
    assert len(watch.epochs) == 2
    assert watch.best["epoch"] == 1


def test_saved_weights_load_into_a_network_of_the_same_shape(model, tmp_path):
    import keras

    weights.save(model, {"size": 3}, [{"epoch": 1, "loss": 0.5}], tmp_path)
    twin = keras.models.clone_model(model)
    weights.load(twin, tmp_path)
    np.testing.assert_array_equal(twin.get_weights()[0], model.get_weights()[0])
    assert weights.config(tmp_path) == {"size": 3}


def test_weights_that_are_not_there_or_of_another_shape_are_refused(model, tmp_path):
    import keras

    with pytest.raises(IntegrityBroken, match="weights"):
        weights.load(model, tmp_path)
    weights.save(model, {}, [], tmp_path)
    inputs = keras.Input((5,), name="x")
    other = keras.Model({"x": inputs}, keras.layers.Dense(1, name="only")(inputs))
    with pytest.raises(IntegrityBroken):
        weights.load(other, tmp_path)


def test_conditions_name_what_weights_depend_on():
    found = make_deterministic(9, 2)
    assert (found["seed"], found["threads"]) == (9, 2)
    assert {"tensorflow", "keras", "machine", "onednn"} <= set(found)
