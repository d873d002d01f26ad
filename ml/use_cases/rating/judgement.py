"""How predictions are judged on held-out rows, and what they have to beat."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml.contract import Frames, JsonObject
from ml.use_cases.rating.table import TARGET

if TYPE_CHECKING:
    import pandas as pd


def measure(scores: NDArray[np.float32], examples: pd.DataFrame, state: JsonObject) -> pd.DataFrame:  # noqa: ARG001 - called as the contract says
    """Return the absolute and the squared error of each row."""
    import pandas as pd

    errors = scores[:, 0].astype(np.float64) - examples[TARGET].to_numpy(dtype=np.float64)
    return pd.DataFrame({"mae": np.abs(errors), "squared": errors**2}, index=examples.index)


def summarise(scores: NDArray[np.float32], examples: pd.DataFrame, state: JsonObject) -> dict[str, float]:  # noqa: ARG001 - called as the contract says
    """Return R² and the mean error (bias) over all rows."""
    from ml.use_cases.rating.fit import measured

    ours = scores[:, 0].astype(np.float64)
    bias = float((ours - examples[TARGET].to_numpy(dtype=np.float64)).mean())
    return {"r2": measured(ours, examples)["r2"], "bias": bias}


def mean(splits: Frames, state: JsonObject) -> NDArray[np.float32]:  # noqa: ARG001 - called as the contract says
    """Say the mean of all training ratings."""
    return np.full((len(splits["test"]), 1), splits["train"][TARGET].mean(), dtype=np.float32)


def by_own_average(splits: Frames, state: JsonObject) -> NDArray[np.float32]:  # noqa: ARG001 - called as the contract says
    """Say the mean of the training ratings of customers with a like average before (to the nearest whole)."""
    known = splits["train"].groupby(splits["train"]["avg_rating"].round())[TARGET].mean()
    found = splits["test"]["avg_rating"].round().map(known).fillna(splits["train"][TARGET].mean())
    return found.to_numpy(dtype=np.float32)[:, None]
