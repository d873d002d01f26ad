"""Small made-up tables that look like a real shop's: habits with their own rhythm, things bought together, whims."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from ml.shop import AGE_GROUPS, CUSTOMERS, HOUSEHOLD_SIZES, INCOME_GROUPS, KIDS_COUNTS, PRODUCTS, PURCHASES
from ml.sources.conform import typed_frame

NEWEST = datetime(2026, 6, 30, 19, 0, 0)
DAYS = 90
AISLES = ("Bakery", "Dairy", "Drinks", "Fruit", "Household", "Pantry")
THINGS = ("Rye", "Oat", "Apple", "Lemon", "Mint", "Cocoa", "Honey", "Pepper", "Berry", "Almond")
FAVOURITES = 8  # products a customer keeps buying
MISSING = 0.3  # share of customers without attributes


def sample(rng: np.random.Generator, n_customers: int) -> dict[str, pd.DataFrame]:
    """Return `products`, `customers` and `purchases` of a made-up shop.

    Args:
        rng: Source of chance.
        n_customers: At least 1.
    """
    products = _products(rng)
    purchases = _purchases(rng, n_customers, products["product_id"].tolist())
    return {"products": products, "customers": _customers(rng, n_customers), "purchases": purchases}


def _products(rng: np.random.Generator) -> pd.DataFrame:
    named = [(aisle, thing) for aisle in AISLES for thing in THINGS]
    frame = pd.DataFrame(
        {
            "product_id": [f"{1000 + number}" for number in range(len(named))],
            "name": [f"{thing} ({aisle})" for aisle, thing in named],
            "department": [aisle for aisle, _ in named],
            "category": [f"{aisle} {thing[0]}" for aisle, thing in named],
            "brand": rng.choice(["National", "Private"], len(named)),
            "package_size": rng.choice(["1 lb", "12 oz", "2 l"], len(named)),
        }
    )
    return typed_frame(frame, PRODUCTS)


def _customers(rng: np.random.Generator, n_customers: int) -> pd.DataFrame:
    known = np.flatnonzero(rng.random(n_customers) >= MISSING)
    attributes = {
        "age_group": AGE_GROUPS,
        "income_group": INCOME_GROUPS,
        "household_size": HOUSEHOLD_SIZES,
        "kids_count": KIDS_COUNTS,
        "home_ownership": ("Homeowner", "Renter"),
        "marital_status": ("Married", "Unmarried"),
    }
    drawn = {name: rng.choice(values, len(known)) for name, values in attributes.items()}
    return typed_frame(pd.DataFrame({"customer_id": [_customer(int(number)) for number in known], **drawn}), CUSTOMERS)


def _purchases(rng: np.random.Generator, n_customers: int, products: list[str]) -> pd.DataFrame:
    popular = 1 / np.arange(1, len(products) + 1)
    weights = rng.permutation(popular / popular.sum())
    lines = [line for number in range(n_customers) for line in _visits(rng, number, products, weights)]
    frame = pd.DataFrame(lines, columns=["customer_id", "basket_id", "product_id", "purchased_at"])
    pieces = rng.integers(1, 4, len(frame))
    prices = rng.integers(50, 900, len(frame)) / 100
    amounts = np.round(pieces * prices, 2)
    extra = {
        "store_id": rng.choice(["north", "south"], len(frame)),
        "quantity": pieces,
        "amount": amounts,
        "discount": np.round(amounts * rng.choice([0.0, 0.1], len(frame)), 2),
    }
    return typed_frame(frame.assign(**extra), PURCHASES)


def _visits(
    rng: np.random.Generator, number: int, products: list[str], weights: np.ndarray[Any, Any]
) -> list[tuple[str, str, str, datetime]]:
    """Return one customer's lines: every visit, the favourites that are due, what goes with them, and a whim."""
    favourites = rng.choice(len(products), FAVOURITES, replace=False, p=weights)
    rhythm, due = rng.uniform(2, 20, FAVOURITES), rng.uniform(0, 10, FAVOURITES)
    day, pace, visit, lines = rng.uniform(0, 4), rng.uniform(2, 5), 0, []
    while day < DAYS:
        bought = {int(item) for item in favourites[due <= day]} | {int(rng.choice(len(products), p=weights))}
        bought |= {(item + 1) % len(products) for item in bought if rng.random() < 0.15}
        due = np.where(due <= day, day + rhythm * rng.uniform(0.8, 1.2, FAVOURITES), due)
        time = (NEWEST - timedelta(days=DAYS - day)).replace(microsecond=0)
        lines += [(_customer(number), f"b{number}-{visit}", products[item], time) for item in sorted(bought)]
        day, visit = day + rng.exponential(pace) + 0.5, visit + 1
    return lines


def _customer(number: int) -> str:
    return f"c{number:05d}"
