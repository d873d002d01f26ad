"""Trees and network learn what fraud looks like, equally for equal seeds, and come back from text and from LiteRT."""

import numpy as np
import pandas as pd
import pytest

from ml.errors import IntegrityBroken
from ml.evaluation.statistic import average_precision
from ml.use_cases.fraud import boost, normalise, price
from tests.recommend_shop import prepare

pytestmark = pytest.mark.filterwarnings("ignore")

TREES = 20


@pytest.fixture(scope="module")
def rows():
    """Fraud where the first feature is large; the second is noise with gaps."""
    rng = np.random.default_rng(5)
    features = rng.lognormal(size=(3000, 2))
    features[rng.random(3000) < 0.3, 1] = np.nan
    return features, (features[:, 0] > 3).astype(int)


def _train(rows, seed=1):
    features, is_fraud = rows
    return boost.train(features, is_fraud, np.ones(len(features)), seed=seed, trees=TREES, threads=1)


def test_trees_tell_fraud_and_equal_seeds_give_equal_text(rows):
    features, is_fraud = rows
    model = _train(rows)
    parts = {"score": boost.score(model, features), "label": is_fraud.astype(float)}
    assert average_precision("score", "label")(parts, np.ones((1, len(is_fraud))))[0] > 0.99
    assert boost.to_text(model) == boost.to_text(_train(rows))


def test_trees_come_back_from_text(rows):
    features, _ = rows
    model = _train(rows)
    again = boost.from_text(boost.to_text(model))
    np.testing.assert_array_equal(boost.score(again, features), boost.score(model, features))


def test_fewer_trees_can_be_kept(rows):
    features, _ = rows
    model = _train(rows)
    again = boost.from_text(boost.to_text(model, trees=5))
    np.testing.assert_array_equal(boost.score(again, features), boost.score(model, features, trees=5))


def test_a_text_that_is_no_model_is_refused():
    with pytest.raises(IntegrityBroken, match="LightGBM"):
        boost.from_text("nothing of the kind")


def test_scaled_features_are_finite_and_say_what_is_missing():
    features = np.array([[1.0, np.nan], [3.0, np.nan], [np.nan, np.nan]])
    scaled = normalise.apply(features, normalise.fit(features))
    assert scaled.shape == (3, 4)
    np.testing.assert_allclose(scaled[:, 0], [-1, 1, 0], atol=1e-6)  # two values lie one spread from their mean
    np.testing.assert_array_equal(scaled[:, 2:], [[1, 0], [1, 0], [0, 0]])


def test_the_network_learns_and_its_export_answers_the_same(rows, tmp_path):
    prepare()
    from ml.compression.predictor import open_litert

    prepare()
    from ml.use_cases.fraud import network

    features, is_fraud = rows
    inputs = normalise.apply(features, normalise.fit(features))
    learned = network.Rows(inputs=inputs, is_fraud=is_fraud, weights=np.ones(len(is_fraud)))
    model = network.build(network.Shape(n_inputs=inputs.shape[1], hidden=8))
    epochs = network.train(model, learned, learned, network.Course(seed=1, epochs=8, batch_size=64))
    assert max(epoch["ap"] for epoch in epochs) > 0.95
    exported = network.export(model, tmp_path)
    answers = open_litert(exported[0].path)({"features": inputs[:50]})[:, 0]
    np.testing.assert_allclose(answers, network.score(model, inputs[:50]), atol=1e-4)


def test_a_price_far_from_the_products_usual_one_stands_out():
    usual = {"seller_id": "s", "product_id": "p", "quantity": 100.0}
    reports = pd.DataFrame([{**usual, "value": value} for value in (900.0, 1000.0, 1100.0, 8000.0)])
    found = price.features_of(reports, price.learn(reports))
    assert found["distance"].idxmax() == 3
    middle = (np.log(10) + np.log(11)) / 2
    assert found["price_ratio"].iloc[3] == pytest.approx(np.log(80) - middle)


def test_a_report_without_quantity_is_filled_from_the_usual_price_and_an_unknown_seller_is_told_apart():
    known = pd.DataFrame({"seller_id": "s", "product_id": "p", "quantity": [10.0] * 4, "value": [50.0] * 4})
    asked = pd.DataFrame({"seller_id": ["new"], "product_id": ["p"], "quantity": [np.nan], "value": [500.0]})
    found = price.features_of(asked, price.learn(known)).iloc[0]
    assert found["quantity"] == pytest.approx(np.log(100))
    assert found["lacks_quantity"] == 1
    assert np.isnan(found["seller_reports"])
