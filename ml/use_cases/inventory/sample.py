"""A small made-up shop: products that sell daily, rarely or in bursts, in two groups of stores, with promotions and stock."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from ml.shop import PRODUCTS, PROMOTIONS, PURCHASES, STOCK, STORES, SUPPLIER_TERMS
from ml.sources.conform import typed_frame

LAST_MONDAY = datetime(2026, 6, 22)
WEEKS = 42
PRODUCTS_SOLD = 70
AISLES = ("Bakery", "Dairy", "Drinks", "Household")
STORE_GROUPS = {"north": "larger", "south": "larger", "west": "smaller"}
PIECES_A_CUSTOMER = 0.9  # in a week, over all products
LIFT = 3.0  # of demand while a promotion runs


def sample(rng: np.random.Generator, n_customers: int) -> dict[str, pd.DataFrame]:
    """Return the shop's tables; weekly demand is Poisson around each product's rate, three times it when promoted."""
    products = pd.DataFrame({"product_id": [f"{1000 + n}" for n in range(PRODUCTS_SOLD)]})
    aisle = [AISLES[n % len(AISLES)] for n in range(PRODUCTS_SOLD)]
    products = products.assign(name=[f"Thing {n}" for n in range(PRODUCTS_SOLD)], department=aisle, category=aisle)
    products = products.assign(brand="Own", package_size="1 ct")
    promotions = _promotions(rng, products["product_id"])
    price = np.round(rng.uniform(1, 9, PRODUCTS_SOLD), 2)
    purchases = _purchases(rng, n_customers, price, promotions)
    tables = {
        "products": (products, PRODUCTS),
        "purchases": (purchases, PURCHASES),
        "stores": (pd.DataFrame({"store_id": list(STORE_GROUPS), "store_group": STORE_GROUPS.values()}), STORES),
        "promotions": (promotions, PROMOTIONS),
        "supplier_terms": (_terms(rng, price), SUPPLIER_TERMS),
        "stock": (_stock(rng, products["product_id"]), STOCK),
    }
    return {name: typed_frame(frame, table) for name, (frame, table) in tables.items()}


def _monday(week: int) -> datetime:
    return LAST_MONDAY - timedelta(weeks=WEEKS - 1 - week)


def _promotions(rng: np.random.Generator, products: pd.Series[str]) -> pd.DataFrame:
    groups = sorted(set(STORE_GROUPS.values()))
    keys = [(one, group, week) for one in products for group in groups for week in range(WEEKS + 4)]
    planned = [key for key, is_planned in zip(keys, rng.random(len(keys)) < 0.1, strict=True) if is_planned]
    frame = pd.DataFrame(planned, columns=["product_id", "store_group", "number"])
    week = [_monday(number) for number in frame["number"]]
    return frame.assign(week=week, display=1.0, mailer=rng.choice([0.0, 1.0], len(frame)), front_page=None)


def _purchases(rng: np.random.Generator, n_customers: int, price: np.ndarray, promotions: pd.DataFrame) -> pd.DataFrame:
    rate = rng.lognormal(0, 1.0, PRODUCTS_SOLD)
    rate *= n_customers * PIECES_A_CUSTOMER / rate.sum() / len(STORE_GROUPS)
    promoted = set(zip(promotions["product_id"], promotions["store_group"], promotions["number"], strict=True))
    lines = []
    for week in range(WEEKS):
        for store, group in STORE_GROUPS.items():
            lift = [LIFT if (f"{1000 + n}", group, week) in promoted else 1.0 for n in range(PRODUCTS_SOLD)]
            pieces = rng.poisson(rate * lift)
            lines += [(week, store, n) for n in np.repeat(np.arange(PRODUCTS_SOLD), pieces)]
    frame = pd.DataFrame(lines, columns=["week", "store_id", "number"])
    seconds = rng.integers(0, 7 * 86_400, len(frame))
    seconds[-1] = 7 * 86_400 - 1  # the newest week is over
    moment = [_monday(int(week)) for week in frame["week"]]
    return pd.DataFrame(
        {
            "customer_id": [f"c{who:04d}" for who in rng.integers(0, n_customers, len(frame))],
            "basket_id": [f"b{number}" for number in range(len(frame))],
            "product_id": [f"{1000 + number}" for number in frame["number"]],
            "store_id": frame["store_id"],
            "quantity": 1,
            "amount": price[frame["number"]],
            "discount": 0.0,
            "purchased_at": pd.Series(moment) + pd.to_timedelta(seconds, unit="s"),
        }
    )


def _terms(rng: np.random.Generator, price: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "product_id": [f"{1000 + n}" for n in range(PRODUCTS_SOLD)],
            "lead_time_weeks": rng.integers(1, 4, PRODUCTS_SOLD),
            "pack_size": rng.choice([1, 2, 4], PRODUCTS_SOLD),
            "minimum_order": 1,
            "unit_cost": np.round(price * 0.7, 2),
            "service_level": 0.95,
        }
    )


def _stock(rng: np.random.Generator, products: pd.Series[str]) -> pd.DataFrame:
    keys = [(one, group) for one in products for group in sorted(set(STORE_GROUPS.values()))]
    frame = pd.DataFrame(keys, columns=["product_id", "store_group"])
    on_hand, on_order = rng.integers(0, 12, len(frame)), rng.integers(0, 3, len(frame))
    return frame.assign(on_hand=on_hand, on_order=on_order, backorders=0)
