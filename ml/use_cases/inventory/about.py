"""What every stage may know of the use case: its name and words, its parameters, the tables it reads."""

from __future__ import annotations

from functools import partial

from ml.contract import UseCase
from ml.shop import PRODUCTS, PROMOTIONS, PURCHASES, STOCK, STORES, SUPPLIER_TERMS
from ml.use_cases.inventory.params import InventoryParams

TABLES = (PURCHASES, PRODUCTS, STORES, PROMOTIONS, SUPPLIER_TERMS, STOCK)

ABOUT = partial(
    UseCase,
    name="inventory",
    title="Demand forecast and replenishment",
    description="Forecasts weekly demand of each product in each group of stores, and proposes what to order.",
    intended_use="Purchase-order proposals that a buyer confirms; a forecast with its uncertainty for planning.",
    limits=(
        "A proposal is not an order: somebody confirms it.",
        "Supplier terms and stock of the default source are simulated: its costs show how forecasts compare, not what a shop pays.",
        "Demand is what was sold; what empty shelves kept from being sold is not seen.",
        "Seasons of the year are learned from two years of data on.",
    ),
    params=InventoryParams,
)
"""The record without what its stages and its server run."""
