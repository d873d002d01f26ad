"""Splits the rows by a seeded draw, and turns them into what the model reads."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml.contract import Expressions, Features, JsonObject
from ml.use_cases.rating.params import RatingFeatures
from ml.use_cases.rating.table import INPUTS, TARGET

if TYPE_CHECKING:
    from pydantic import BaseModel

STATE_SCHEMA = "tradewind/rating-state/1"
SPLITS = ("test", "valid", "train")
AGE_BANDS = (30, 45, 60)  # edges of the slices [years]


def build(tables: Expressions, params: BaseModel) -> Features:
    """Return examples, scales, profile; there are no histories.

    Raises:
        ValueError: There is no row.
    """
    wanted = cast(RatingFeatures, params)
    rows: pd.DataFrame = tables["ratings"].execute()
    if rows.empty:
        raise ValueError("Expected ratings. Received none. Look at what the source delivered.")
    examples = _named(rows)
    drawn = np.array([_draw(unit, wanted.split_seed) for unit in examples["unit"]])
    edges = (wanted.test_share, wanted.test_share + wanted.valid_share)
    split = np.array(SPLITS)[np.searchsorted(edges, drawn, side="right")]
    splits = {name: examples[split == name].reset_index(drop=True) for name in SPLITS}
    return Features(
        splits=splits,
        state=fit_state(splits["train"]),
        profile={"reference": splits["train"][list(INPUTS)].astype("float64")},
        histories=pd.DataFrame({"unit": [], "history": []}, dtype="str"),
    )


def fit_state(train: pd.DataFrame) -> JsonObject:
    """Return the mean and the spread of each input; a constant input has spread 1."""
    x = train[list(INPUTS)].to_numpy(dtype=np.float64)
    spread = x.std(axis=0) if len(x) else np.ones(len(INPUTS))
    mean = x.mean(axis=0) if len(x) else np.zeros(len(INPUTS))
    return {
        "schema": STATE_SCHEMA,
        "inputs": list(INPUTS),
        "mean": mean.tolist(),
        "scale": np.where(spread > 0, spread, 1.0).tolist(),
    }


def encode(examples: pd.DataFrame, state: JsonObject) -> dict[str, NDArray[Any]]:
    """Return `inputs` `(n_rows, 4)`, scaled."""
    x = examples[state["inputs"]].to_numpy(dtype=np.float64)
    return {"inputs": ((x - state["mean"]) / state["scale"]).astype(np.float32)}


def _named(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with a unit each, in its order: equal rows are told apart by a number."""
    ordered = rows[[*INPUTS, TARGET]].sort_values([*INPUTS, TARGET], ignore_index=True)
    copy = ordered.groupby([*INPUTS, TARGET]).cumcount()
    texts = ordered.astype("str").agg("|".join, axis=1) + "|" + copy.astype("str")
    units = [hashlib.sha256(text.encode()).hexdigest()[:32] for text in texts]
    age = np.searchsorted(AGE_BANDS, ordered["age"].to_numpy(), side="right")
    bands = ("0 to 29", "30 to 44", "45 to 59", "60 and over")
    named = ordered.assign(
        unit=units,
        time=pd.Series(pd.NaT, index=ordered.index, dtype="datetime64[us]"),
        age_band=[bands[at] for at in age],
        sex=np.where(ordered["gender"] == 1, "male", "female"),
    )
    return named.sort_values("unit", ignore_index=True)


def _draw(unit: str, seed: int) -> float:
    """Return a number in [0, 1) that depends on the row and the seed alone."""
    return int(hashlib.sha256(f"{seed}|{unit}".encode()).hexdigest()[:12], 16) / 16**12
