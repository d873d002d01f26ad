"""What every stage may know of the use case: its name and words, its parameters, the tables it reads."""

from __future__ import annotations

from functools import partial

from ml.contract import UseCase
from ml.shop import CUSTOMERS, PRODUCTS, PURCHASES
from ml.use_cases.recommend.params import RecommendParams

TABLES = (PURCHASES, PRODUCTS, CUSTOMERS)

ABOUT = partial(
    UseCase,
    name="recommend",
    title="Next-basket recommendation",
    description="Ranks the shop's products by how likely a customer puts them into the next basket.",
    intended_use="Reminders of habits and suggestions on the shop's pages and in its newsletters.",
    limits=(
        "Not for prices, credit or any decision about a person other than which products are shown.",
        "Products sold for long, but in few baskets, are never recommended; new ones only by category, in few lists.",
        "A customer without purchases gets what sells now to people of the same age group or income, if that is told.",
        "Trained on one shop: figures do not carry over to another.",
    ),
    params=RecommendParams,
)
"""The record without what its stages and its server run."""
