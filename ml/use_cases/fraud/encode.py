"""Puts features into the model's inputs, one a kind of evidence; training and serving share it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml.contract import Arrays, JsonObject
from ml.use_cases.fraud.evidence import FEATURES, GROUPS

if TYPE_CHECKING:
    import pandas as pd

NOTHING = -1e9  # stands for not-a-number on the way into the model: no feature comes near it


def encode(examples: pd.DataFrame, state: JsonObject) -> dict[str, NDArray[np.float64]]:  # noqa: ARG001 - called as the contract says
    """Return the inputs `(n_rows, n_features of the kind)` by kind of evidence; `NOTHING` where there is no value."""
    return inputs(examples[list(FEATURES)].to_numpy(dtype=np.float64))


def inputs(features: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Split features `(n_rows, len(FEATURES))` into the model's inputs."""
    edges = np.cumsum([len(names) for names in GROUPS.values()])[:-1]
    parts = np.split(np.where(np.isnan(features), NOTHING, features), edges, axis=1)
    return dict(zip(GROUPS, parts, strict=True))


def features_of(encoded: Arrays) -> NDArray[np.float64]:
    """Return the features again, not-a-number where there is no value."""
    joined = np.concatenate([encoded[kind] for kind in GROUPS], axis=1)
    return np.where(joined == NOTHING, np.nan, joined)
