"""Golden requests of nobody: a grid around the means of the inputs."""

from __future__ import annotations

from itertools import islice, product
from typing import TYPE_CHECKING

from ml.contract import JsonObject
from ml.use_cases.rating.table import INPUTS

if TYPE_CHECKING:
    import pandas as pd

STEPS = (0.0, -1.0, 1.0, 2.0, -2.0)  # standard deviations from the mean
MOST_AGE, MOST_RATING = 130, 5.0
APART = 0.0037  # no mean of a few whole ratings ends like this, so that no row is met by chance


def golden(examples: pd.DataFrame, state: JsonObject, n: int) -> list[JsonObject]:  # noqa: ARG001 - no customer's rows
    """Return n requests: ages, purchases and ratings at and around their means, both sexes."""
    grid = product(STEPS, STEPS, STEPS, (0, 1))
    return [_request(state, steps) for steps in islice(grid, n)]


def _request(state: JsonObject, steps: tuple[float, float, float, int]) -> JsonObject:
    rating, age, purchases, gender = steps
    far = dict(zip(("avg_rating", "age", "purchase_history"), (rating, age, purchases), strict=True))
    mean, scale = (dict(zip(INPUTS, state[name], strict=True)) for name in ("mean", "scale"))
    at = {name: mean[name] + far[name] * scale[name] for name in far}
    return {
        "age": round(min(max(at["age"], 0), MOST_AGE)),
        "gender": gender,
        "purchase_history": round(max(at["purchase_history"], 0)),
        "avg_rating": round(min(max(at["avg_rating"], 0.0), MOST_RATING - 0.1), 1) + APART,
    }
