"""The one table of the textbook example: who a customer is, what they did, and the rating they gave."""

from __future__ import annotations

from ml.contract import Column, Table

INPUTS = ("age", "gender", "purchase_history", "avg_rating")
"""What a rating is explained by, in the order of the coefficients."""
TARGET = "rating"

RATINGS = Table(
    name="ratings",
    columns=(
        Column(name="age", type="int64", description="[years]"),
        Column(name="gender", type="int64", description="1 male, 0 female"),
        Column(name="purchase_history", type="int64", description="purchases before [count]"),
        Column(name="avg_rating", type="float64", description="mean of the customer's ratings before"),
        Column(name="rating", type="float64", description="the rating given, which is predicted"),
    ),
)
