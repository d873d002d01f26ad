"""What every stage may know of the use case: its name and words, its parameters, the tables it reads."""

from __future__ import annotations

from functools import partial

from ml.contract import UseCase
from ml.use_cases.rating.params import RatingParams
from ml.use_cases.rating.table import RATINGS

TABLES = (RATINGS,)

ABOUT = partial(
    UseCase,
    name="rating",
    title="Rating prediction",
    description="Predicts the rating a customer will give from age, gender, purchases and earlier ratings.",
    intended_use="A worked example of a use case: small, exact, and complete.",
    limits=(
        "An example on made-up rows: not for decisions about people.",
        "Age and gender enter the formula; look at the slices before such a model is put to use.",
        "Outside the range of its rows a straight line goes on where ratings end.",
    ),
    params=RatingParams,
)
"""The record without what its stages and its server run."""
