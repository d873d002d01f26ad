"""Everything that could ship: the trained network, and the simple recommenders as settings of the same network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ml.contract import JsonObject
from ml.use_cases.recommend import baseline
from ml.use_cases.recommend.encode import FEATURES, FLOOR, Packed, pack
from ml.use_cases.recommend.judgement import measure

if TYPE_CHECKING:
    import pandas as pd

    from ml.use_cases.recommend.network import Tables

HYBRID = "hybrid"
SIMPLE = ("personal_decay", "item_knn_decay", "popularity")
SCORED_ROWS = 256  # rows whose scores are in memory at a time


@dataclass(frozen=True, kw_only=True)
class Contest:
    """What was found on `valid`."""

    figures: Mapping[str, Mapping[str, float]]
    """Metrics by contender."""
    decays: Mapping[str, int]
    """Column of `DECAYS` by simple recommender."""

    def winner(self, metric: str) -> str:
        """Return who is best; the first of equals."""
        return max(self.figures, key=lambda name: self.figures[name][metric])


def compare(model: Any, tables: Tables, valid: pd.DataFrame, state: JsonObject) -> Contest:
    """Measure every contender on `valid`."""
    table = (tables.near, tables.likeness)
    decays = {
        "personal_decay": baseline.best_decay(valid, state),
        "item_knn_decay": baseline.best_knn_decay(valid, state, table),
    }
    scores: dict[str, Callable[[], NDArray[np.float32]]] = {
        HYBRID: lambda: score(model, pack(valid, state)),
        "personal_decay": lambda: baseline.score_personal_decay(valid, state, decays["personal_decay"]),
        "item_knn_decay": lambda: baseline.score_item_knn(valid, state, table, decays["item_knn_decay"]),
        "popularity": lambda: baseline.score_popularity(valid, state),
    }
    return Contest(figures={name: means(make(), valid, state) for name, make in scores.items()}, decays=decays)


def become(model: Any, name: str, tables: Tables, decay: int | None) -> None:
    """Set the network's weights so that it ranks as a simple recommender does.

    Scores may differ by a monotone function (a logarithm); equal scores fall to the more popular product on both sides.

    Args:
        model: The network.
        name: One of `SIMPLE`.
        tables: The network's constants.
        decay: Column of `DECAYS` where the recommender uses one.
    """
    from ml.use_cases.recommend import network

    network.silence(model)
    layer, kernel = model.get_layer("scores"), np.zeros((len(FEATURES), 1), dtype=np.float32)
    if decay is not None:
        kernel[decay] = network.LOG_SCALE
    if name == "popularity":
        layer.bias.assign(np.concatenate([[0.0], tables.popularity]).astype(np.float32))
    if name == "personal_decay":
        model.get_layer("straight").set_weights([kernel])
        above_zero = 1 - np.log(FLOOR)  # the smallest logarithm still beats a product never bought
        layer.own.assign(np.full(layer.own.shape, above_zero, np.float32))
    if name == "item_knn_decay":
        model.get_layer("similar").set_weights([kernel, np.zeros(1, np.float32)])


def score(model: Any, rows: Packed) -> NDArray[np.float32]:
    """Return `(n_rows, n_products)`."""
    n_rows = len(rows.sizes)
    chunks = [np.arange(start, min(start + SCORED_ROWS, n_rows)) for start in range(0, n_rows, SCORED_ROWS)]
    return np.concatenate([model(rows.rows(chunk), training=False).numpy() for chunk in chunks])


def means(scores: NDArray[np.float32], examples: pd.DataFrame, state: JsonObject) -> dict[str, float]:
    """Return the mean of each metric."""
    found = measure(scores, examples, state).mean()
    return {str(name): float(value) for name, value in found.items()}
