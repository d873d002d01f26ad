"""The textbook example: its answer by hand, its coefficients against statsmodels, its rows from its own formula."""

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import ml
from ml.compression.litert import export_litert
from ml.compression.predictor import open_litert
from ml.config import Settings
from ml.sources.opening import open_source
from ml.use_cases import load
from ml.use_cases.rating.examples import build, encode, fit_state
from ml.use_cases.rating.least_squares import least_squares
from ml.use_cases.rating.params import RatingFeatures
from ml.use_cases.rating.sample import COEFFICIENTS, formula, sample
from ml.use_cases.rating.table import INPUTS, RATINGS
from tests.recommend_shop import prepare

pytestmark = pytest.mark.filterwarnings("ignore")
EXAMPLE = Path(ml.__file__).parent / "use_cases" / "rating" / "example"
CUSTOMER = {"age": 25, "gender": 1, "purchase_history": 10, "avg_rating": 3.5}


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The textbook's coefficients as the network that ships, and the state it was scaled with."""
    prepare()
    from ml.use_cases.rating import network

    rows = sample(np.random.default_rng(3), 200)["ratings"]
    state = fit_state(rows)
    model = network.build(len(INPUTS), hidden=4)
    network.straighten(model, np.array(COEFFICIENTS), np.array(state["mean"]), np.array(state["scale"]))
    folder = tmp_path_factory.mktemp("exported")
    export_litert(model, {"inputs": (None, len(INPUTS))}, folder, ["float32"])
    return open_litert(folder / "float32"), state


def test_the_textbooks_customer_gets_8_2_and_not_the_often_printed_8_9(exported):
    # 2.5 + 0.1·25 − 0.5·1 + 0.3·10 + 0.2·3.5 = 2.5 + 2.5 − 0.5 + 3.0 + 0.7 = 8.2
    assert formula(pd.DataFrame([CUSTOMER])) == pytest.approx([8.2])
    service = load("rating").service
    request = service.request.model_validate(CUSTOMER)
    assert service.answer(*exported, request, None).rating == pytest.approx(8.2, abs=1e-4)


def test_each_input_adds_its_coefficient_times_its_distance_from_the_mean(exported):
    predictor, state = exported
    service = load("rating").service
    (told,) = service.explain(predictor, state, service.request.model_validate(CUSTOMER), None)
    by_hand = np.array(COEFFICIENTS[1:]) * (np.array([25, 1, 10, 3.5]) - state["mean"])
    assert [one.kind for one in told.reasons] == list(INPUTS)
    np.testing.assert_allclose([one.contribution for one in told.reasons], by_hand, atol=1e-4)
    assert told.residual == pytest.approx(0, abs=1e-4)


def test_coefficients_and_intervals_agree_with_statsmodels(rng):
    rows = sample(rng, 300)["ratings"]
    x, y = rows[list(INPUTS)].to_numpy(dtype=float), rows["rating"].to_numpy()
    ours = least_squares(x, y, 0.9)
    theirs = sm.OLS(y, sm.add_constant(x)).fit()
    np.testing.assert_allclose(ours.coefficients, theirs.params, rtol=1e-9)
    np.testing.assert_allclose(np.column_stack([ours.low, ours.high]), theirs.conf_int(0.1), rtol=1e-9)
    assert ours.sigma == pytest.approx(np.sqrt(theirs.scale))


@given(st.lists(st.floats(-9, 9), min_size=5, max_size=5))
@settings(max_examples=50, deadline=None)
def test_without_noise_the_coefficients_come_back(coefficients):
    x = np.random.default_rng(1).normal(size=(40, 4)) * [50, 1, 1000, 0.01]  # scales far apart
    found = least_squares(x, coefficients[0] + x @ np.array(coefficients[1:]), 0.95)
    np.testing.assert_allclose(found.coefficients, coefficients, atol=1e-6)


@pytest.mark.parametrize(
    ("x", "fault"), [(np.ones((9, 1)), "follows from the others"), (np.eye(3), "more than 4 rows")]
)
def test_what_has_no_single_solution_is_refused(x, fault):
    with pytest.raises(ValueError, match=fault):
        least_squares(x, np.arange(len(x), dtype=float), 0.95)


def test_the_worked_csv_holds_the_columns_of_the_book_and_follows_its_formula():
    rows = pd.read_csv(EXAMPLE / "ratings.csv")
    assert list(rows) == ["age", "gender", "purchase_history", "avg_rating", "rating"]
    pd.testing.assert_frame_equal(rows, sample(np.random.default_rng(20260101), 600)["ratings"], check_dtype=False)


def test_a_zone_without_any_date_has_the_same_digest_on_every_day():
    source = open_source({"kind": "files", "location": "ml/use_cases/rating/example"}, Settings())
    early, late = source.freeze([RATINGS], date(2026, 1, 1)), source.freeze([RATINGS], date(2026, 12, 1))
    assert early.digest == late.digest
    assert late.last_day == date(2026, 12, 1)
    assert sum(map(len, source.read(RATINGS, late.last_day))) == 600


def test_a_row_keeps_its_split_when_others_come(rng):
    import ibis

    rows = sample(rng, 400)["ratings"]
    few, all_of_them = (
        build({"ratings": ibis.memtable(part)}, RatingFeatures()).splits for part in (rows.head(200), rows)
    )
    for name, part in few.items():
        assert set(part["unit"]) <= set(all_of_them[name]["unit"])
    assert sum(len(part) for part in all_of_them.values()) == 400


def test_scaled_inputs_have_no_scale_and_a_constant_one_does_no_harm():
    rows = sample(np.random.default_rng(5), 50)["ratings"].assign(gender=1)
    found = encode(rows, fit_state(rows))["inputs"]
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-6)
    assert (found[:, 1] == 0).all()


@pytest.mark.parametrize("change", [{"age": -1}, {"gender": 2}, {"purchase_history": 0.5}, {"name": "Ada"}])
def test_requests_that_do_not_fit_are_refused(change):
    with pytest.raises(ValidationError):
        load("rating").service.request.model_validate({**CUSTOMER, **change})
