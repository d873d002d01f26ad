"""The simple recommenders: popularity, a customer's own frequency, the same with decay, item-to-item with decay.

Each scores `valid` (where training chooses) and `test` (where it is compared). All are fitted on training examples
and know the same history as the model. Constants are chosen on `valid`.
"""

from __future__ import annotations

from collections.abc import Callable, Sized
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml.contract import Frames, JsonObject
from ml.use_cases.recommend.encode import DECAYS, Positions, events_of, positions
from ml.use_cases.recommend.judgement import measure

if TYPE_CHECKING:
    import pandas as pd

Scores = NDArray[np.float32]
Table = tuple[NDArray[np.int32], NDArray[np.float32]]
PRIMARY = "recall@10"


def popularity(splits: Frames, state: JsonObject) -> Scores:
    """Score by the number of training baskets."""
    return score_popularity(splits["test"], state)


def personal(splits: Frames, state: JsonObject) -> Scores:
    """Score by how many of the customer's own baskets had the product."""
    return score_personal(splits["test"], state)


def personal_decay(splits: Frames, state: JsonObject) -> Scores:
    """Score by the customer's own baskets with decay, at the rate that is best on `valid`."""
    return score_personal_decay(splits["test"], state, best_decay(splits["valid"], state))


def item_knn_decay(splits: Frames, state: JsonObject) -> Scores:
    """Score by similar products the customer bought, with decay, at the rate that is best on `valid`."""
    from ml.use_cases.recommend.neighbours import similar

    table = similar(splits["train"], state)
    best = best_knn_decay(splits["valid"], state, table)
    return score_item_knn(splits["test"], state, table, best)


def score_popularity(examples: Sized, state: JsonObject) -> Scores:
    """Return `(n_rows, n_products)`."""
    counts = np.array(state["popularity"], dtype=np.float32)
    return np.tile(counts / counts.max(), (len(examples), 1))


def score_personal(examples: pd.DataFrame, state: JsonObject) -> Scores:
    """Return `(n_rows, n_products)`."""
    found = positions(events_of(examples, state))
    return _scattered(found, found.count, len(examples), state)


def score_personal_decay(examples: pd.DataFrame, state: JsonObject, decay: int) -> Scores:
    """Return `(n_rows, n_products)`; `decay` is the column of `DECAYS`."""
    found = positions(events_of(examples, state))
    return _scattered(found, found.decayed[:, decay], len(examples), state)


def score_item_knn(examples: pd.DataFrame, state: JsonObject, table: Table, decay: int) -> Scores:
    """Return `(n_rows, n_products)`: decayed counts times similarities.

    Args:
        examples: Rows to score.
        state: The fitted state.
        table: Similar products and similarities, as `ml.use_cases.recommend.neighbours.similar` returns them.
        decay: Column of `DECAYS`.
    """
    from scipy import sparse

    found = positions(events_of(examples, state))
    near, likeness = table
    n_products, width = near.shape
    own = sparse.csr_array((found.decayed[:, decay], (found.row, found.item)), shape=(len(examples), n_products))
    row = np.repeat(np.arange(n_products), width)
    similarities = sparse.csr_array((likeness.ravel(), (row, near.ravel())), shape=(n_products, n_products))
    return np.asarray((own @ similarities).toarray(), dtype=np.float32)


CANDIDATES = tuple(DECAYS.index(name) for name in ("days_30", "baskets_0.9", "baskets_0.97"))


def best_decay(valid: pd.DataFrame, state: JsonObject) -> int:
    """Return the column of `DECAYS` with which own frequency is best on `valid`."""
    return _best(lambda decay: score_personal_decay(valid, state, decay), valid, state)


def best_knn_decay(valid: pd.DataFrame, state: JsonObject, table: Table) -> int:
    """Return the column of `DECAYS` with which item-to-item is best on `valid`."""
    return _best(lambda decay: score_item_knn(valid, state, table, decay), valid, state)


def _best(score: Callable[[int], Scores], valid: pd.DataFrame, state: JsonObject) -> int:
    recalls = [float(measure(score(decay), valid, state)[PRIMARY].mean()) for decay in CANDIDATES]
    return CANDIDATES[int(np.argmax(recalls))]


def _scattered(found: Positions, values: NDArray[np.float64], n_rows: int, state: JsonObject) -> Scores:
    """Return values at their products; equal scores, such as 0, are ranked by popularity, the order of the vocabulary."""
    scores = np.zeros((n_rows, len(state["products"])), dtype=np.float32)
    scores[found.row, found.item] = values
    return scores
