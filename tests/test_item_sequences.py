"""Plain item sequences: how files are read, what EASE counts, and that all of it together beats popularity."""

from __future__ import annotations

import numpy as np
import pytest

from ml.benchmark.sequence_blend import Candidates, named, places
from ml.benchmark.sequence_data import Sequences, read
from ml.benchmark.sequence_items import ease, transitions
from ml.benchmark.sequence_ranker import learned
from ml.benchmark.sequence_run import OURS, run
from ml.errors import SourceInvalid

pytestmark = pytest.mark.filterwarnings("ignore")


def sequences(*users: list[int], n_items: int) -> Sequences:
    starts = np.concatenate([[0], np.cumsum([len(items) for items in users])])
    return Sequences(items=np.concatenate(users), starts=starts, n_items=n_items)


@pytest.mark.parametrize(
    "content",
    [
        "u1 a b c a\n\nu2 a b\nu3 c d e\n",
        "u1 a\nu2 a\nu1 b\nu1 c\nu2 b\nu3 c\nu1 a\nu3 d\nu3 e\n",
    ],
    ids=["users are lines", "events are lines"],
)
def test_sequences_are_read_and_users_with_fewer_than_three_items_are_counted(tmp_path, content):
    file = tmp_path / "some.txt"
    file.write_text(content)
    found = read(file)
    assert (found.n_users, found.n_items, found.too_short) == (2, 5, 1)
    assert found.items.tolist() == [0, 1, 2, 0, 2, 3, 4]
    before, wanted = found.held_out(2)
    assert before.items.tolist() == [0, 1, 2]
    assert wanted.tolist() == [2, 3]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"u1 a b c\nu2 a b c\nu1 d e f\n", "line 1 and again on line 3"),
        (b"u1 a b c\nu2 \xff\xfe c d\n", "line 2"),
        (b"u1 a\nu2 b\n", "2 users with fewer"),
        (b"", "0 users with fewer"),
    ],
)
def test_a_file_of_another_kind_is_refused_with_the_line(tmp_path, content, told):
    file = tmp_path / "bad.txt"
    file.write_bytes(content)
    with pytest.raises(SourceInvalid, match=told):
        read(file)


def test_ease_by_hand():
    # XᵀX + I = [[3, 1, 0], [1, 2, 0], [0, 0, 2]]; its inverse is [[2, -1], [-1, 3]] / 5 and 1/2
    model = ease(sequences([0, 1], [0], [2], n_items=3), penalty=1.0)
    scores = model.score(sequences([0], [1], [2], n_items=3).matrix())
    np.testing.assert_allclose(scores, [[0, 1 / 3, 0], [1 / 2, 0, 0], [0, 0, 0]], atol=1e-6)


def test_what_follows_sooner_counts_more():
    follows = transitions(sequences([0, 1, 2], n_items=3), reach=2).toarray()
    np.testing.assert_allclose(follows[0], np.array([0, 1, 1 / 2]) / 2.5, rtol=1e-6)


def test_times_an_item_came_add_up():
    found = sequences([0, 1, 0], n_items=3).frequency(0.5).toarray()
    np.testing.assert_allclose(found, [[1 + 1 / 4, 1 / 2, 0]])


@pytest.mark.parametrize(("with_seen", "wanted", "n_named"), [(False, 2, 1), (True, 0, 3)])
def test_items_of_the_history_are_named_where_they_may_come_again(with_seen, wanted, n_named):
    histories, scores = sequences([0, 1], n_items=3), np.array([[3, 1, 2]], dtype=np.float32)
    found = named({"one": lambda some: scores}, histories, np.array([wanted]), with_seen)
    assert places(found, found.features[:, 0]).tolist() == [1]
    assert len(found.row) == n_named


def test_the_order_of_candidates_is_learned_from_what_came_next(rng):
    features = rng.normal(size=(60 * 20, 3)).astype(np.float32)
    best = features[:, 1].reshape(60, 20).argmax(axis=1)
    wanted = (np.arange(20) == best[:, None]).ravel()
    candidates = Candidates(row=np.repeat(np.arange(60), 20), features=features, wanted=wanted, n_users=60)
    found = learned(candidates, 1, lambda text: None)
    assert (places(candidates, found.score(candidates)) == 1).mean() > 0.9


def test_ours_beats_popularity_on_sequences_with_a_pattern(tmp_path, rng):
    file = tmp_path / "chains.txt"
    chains = [np.arange(start, start + 8) % 40 for start in rng.integers(0, 40, 150)]
    lines = [f"u{n} " + " ".join(str(item) for item in chain) for n, chain in enumerate(chains)]
    file.write_text("\n".join(lines))
    told: list[str] = []
    found = {line.name: line for line in run(file, 1, told.append, tokens=2e4)}
    assert found[OURS].ndcg[0] > 2 * found["popularity"].ndcg[0]
    assert found[OURS].ndcg[0] > 0.9
    assert found["popularity"].ours_ndcg[0] == pytest.approx(found[OURS].ndcg[0] / found["popularity"].ndcg[0])
    assert "150 users, 40 items" in told[0]
