"""Boosted trees on the features: equal inputs and seed give an equal model, which is kept as LightGBM's own text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ml.errors import IntegrityBroken

if TYPE_CHECKING:
    import lightgbm

Settings: TypeAlias = Mapping[str, float | int | str | bool]
"""LightGBM parameters by name."""

FIXED: Settings = {"objective": "binary", "deterministic": True, "force_row_wise": True, "verbosity": -1}
SETTINGS: Settings = {
    "learning_rate": 0.03,
    "num_leaves": 15,
    "min_data_in_leaf": 20,
    "max_bin": 1023,  # the default's widest bin swallows the few large amounts
    "min_data_in_bin": 1,
    "feature_fraction": 0.6,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "lambda_l2": 1.0,
}
TREES = 400


def train(  # noqa: PLR0913 - what LightGBM takes
    features: NDArray[np.float64],
    is_fraud: NDArray[np.int64],
    weights: NDArray[np.float64],
    *,
    seed: int,
    settings: Settings = SETTINGS,
    trees: int = TREES,
    threads: int = 2,
) -> lightgbm.Booster:
    """Return the trained trees.

    Args:
        features: `(n_rows, n_features)`, not-a-number where nothing is known.
        is_fraud: `(n_rows,)` 0 or 1.
        weights: `(n_rows,)`; rows that were thinned out count for those they stand for.
        seed: Of the rows and features each tree sees.
        settings: LightGBM parameters, see `SETTINGS`.
        trees: How many.
        threads: Fixed, because another number can change the last bits.
    """
    import lightgbm

    wanted = {**FIXED, **settings, "seed": seed, "num_threads": threads}
    rows = lightgbm.Dataset(features, is_fraud, weight=weights)
    return lightgbm.train(wanted, rows, num_boost_round=trees)


def score(model: lightgbm.Booster, features: NDArray[np.float64], trees: int | None = None) -> NDArray[np.float64]:
    """Return the log-odds of fraud `(n_rows,)` by the first `trees`, all where none is given."""
    found: NDArray[np.float64] = model.predict(features, raw_score=True, num_iteration=trees, num_threads=1)
    return found


def to_text(model: lightgbm.Booster, trees: int | None = None) -> str:
    """Return the model as text, equal for equal models."""
    text: str = model.model_to_string(num_iteration=trees)
    return text


def from_text(text: str) -> lightgbm.Booster:
    """Return the model of a text.

    Raises:
        IntegrityBroken: It is none of LightGBM's.
    """
    import lightgbm

    try:
        return lightgbm.Booster(model_str=text)
    except lightgbm.basic.LightGBMError as error:
        raise IntegrityBroken("a LightGBM model as text", str(error)[:80], "Train again.") from error
