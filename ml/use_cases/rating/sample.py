"""Made-up rows that follow the textbook's formula, with noise."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ml.use_cases.rating.table import INPUTS, TARGET

COEFFICIENTS = (2.5, 0.1, -0.5, 0.3, 0.2)
"""Intercept, age, gender, purchase history, average rating: the textbook's."""
NOISE = 0.5  # standard deviation of what the formula does not explain


def sample(rng: np.random.Generator, n_customers: int) -> dict[str, pd.DataFrame]:
    """Return `ratings` of made-up customers, one row each."""
    inputs = pd.DataFrame(
        {
            "age": rng.integers(18, 81, n_customers),
            "gender": rng.integers(0, 2, n_customers),
            "purchase_history": rng.poisson(10, n_customers),
            "avg_rating": np.round(rng.uniform(1, 5, n_customers), 1),
        }
    )
    exact = formula(inputs)
    return {"ratings": inputs.assign(**{TARGET: np.round(exact + rng.normal(0, NOISE, n_customers), 2)})}


def formula(inputs: pd.DataFrame) -> np.ndarray:
    """Return what the textbook's formula says of each row."""
    intercept, *slopes = COEFFICIENTS
    return np.asarray(intercept + inputs[list(INPUTS)].to_numpy(dtype=np.float64) @ np.array(slopes))
