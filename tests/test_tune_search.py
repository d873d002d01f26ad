"""A search keeps to its budget, starts from what is set, goes on where it ended, and never sees a test row."""

import ibis
import numpy as np
import pytest

from ml.errors import ConfigInvalid, ModelNotFound
from ml.files import write_json, write_parquet
from ml.pipeline.tune import SEEN, Budget, bring, search, searched_fields
from ml.use_cases import load
from ml.use_cases.rating.examples import build
from ml.use_cases.rating.params import RatingFeatures
from ml.use_cases.rating.sample import sample
from tests.toy_use_case import TOY

RATING = load("rating")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The examples a search may look at: there is no test split."""
    built = build({"ratings": ibis.memtable(sample(np.random.default_rng(2), 200)["ratings"])}, RatingFeatures())
    place = tmp_path_factory.mktemp("examples")
    for name in ("train", "valid"):
        write_parquet(place / f"{name}.parquet", built.splits[name])
    write_json(place / "state.json", built.state)
    return place


def test_a_search_goes_on_where_it_ended(folder):
    told = []
    first = search(RATING, folder, Budget(trials=2, minutes=5), told.append)
    assert [one.number for one in told] == [0, 1]
    assert told[0].params == {"batch_size": 32, "learning_rate": 0.003, "hidden": 16}
    again = search(RATING, folder, Budget(trials=1, minutes=5), told.append)
    assert [one.number for one in told] == [0, 1, 2]
    assert {one.number for one in again} == {0, 1, 2}
    assert {one.number for one in first} == {0, 1}
    values = [one.value for one in again]
    assert values == sorted(values), "the smallest error stands first"
    assert sorted(path.name for path in folder.iterdir()) == sorted([*SEEN, "study.db"])


def test_without_time_nothing_is_tried(folder):
    assert search(RATING, folder, Budget(trials=5, minutes=0), pytest.fail) is not None


def test_a_training_that_runs_out_of_time_counts_as_failed(folder, tmp_path):
    for name in SEEN:
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    (only,) = search(RATING, tmp_path, Budget(trials=1, minutes=0.01), lambda one: None)
    assert only.value is None


def test_a_use_case_that_marks_no_parameter_cannot_be_searched():
    with pytest.raises(ConfigInvalid, match="searched"):
        searched_fields(TOY)


def test_without_a_live_version_there_is_nothing_to_search_on(object_store, tmp_path):
    with pytest.raises(ModelNotFound, match="make run"):
        bring(object_store.settings("train"), RATING, tmp_path)
