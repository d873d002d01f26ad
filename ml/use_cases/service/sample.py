"""A small shop: some intents of the shipped corpus with the pages that answer them, and customers who ordered twice."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ml.shop import DELIVERIES, DELIVERY_STEPS, PRODUCTS, PURCHASES
from ml.sources.conform import typed_frame
from ml.use_cases.service.corpus import INTENT_COLUMNS, OUT_OF_SCOPE, SHIPPED, UTTERANCE_COLUMNS
from ml.use_cases.service.csv_rows import read_rows
from ml.use_cases.service.knowledge import SHIPPED as PAGES
from ml.use_cases.service.language import LANGUAGES

INTENTS = ("cancel_order", "gift_card", "invoice_request", "store_hours", "warranty")
"""Their pages answer no other intent."""
OUTSIDE = 3  # of as many utterances out of scope one is taken


def sample(rng: np.random.Generator, n_customers: int) -> dict[str, pd.DataFrame]:
    """Return `utterances` of a few intents and out of scope, those `intents`, their `pages`, and made-up orders."""
    utterances = _rows("utterances.csv", UTTERANCE_COLUMNS)
    outside = utterances[utterances["intent"] == OUT_OF_SCOPE].iloc[::OUTSIDE]
    utterances = pd.concat([utterances[utterances["intent"].isin(INTENTS)], outside])
    intents = _rows("intents.csv", INTENT_COLUMNS)
    intents = intents[intents["intent"].isin(INTENTS)]
    pages = [
        (f"{language}/{page}.md", (PAGES / language / f"{page}.md").read_text(encoding="utf-8"))
        for language in LANGUAGES
        for page in intents["page"]
    ]
    shuffled = utterances.iloc[rng.permutation(len(utterances))].reset_index(drop=True)
    orders = _orders(rng, n_customers)
    known = [f"c{who:04}" for who in range(n_customers)]
    writers = rng.choice(np.array([*known, *[None] * n_customers], dtype=object), len(shuffled))
    return {
        "utterances": shuffled.assign(customer_id=writers),
        "intents": intents.reset_index(drop=True),
        "pages": pd.DataFrame(sorted(pages), columns=["path", "content"]),
        **orders,
    }


def _rows(name: str, columns: tuple[str, ...]) -> pd.DataFrame:
    return pd.DataFrame([row for _, row in read_rows(SHIPPED / name, columns)]).replace("", None)


def _orders(rng: np.random.Generator, n_customers: int) -> dict[str, pd.DataFrame]:
    """Return `products`, `purchases` and `deliveries`: two orders a customer, the older one delivered."""
    products = pd.DataFrame({"product_id": ["77", "78"], "name": ["Kettle, 1.7 l", "Oat Milk, 1 l"], "brand": "Own"})
    placed = [pd.Timestamp("2026-06-10 10:00"), pd.Timestamp("2026-06-28 18:30")]
    lines = pd.DataFrame(
        [
            {"customer_id": f"c{who:04}", "basket_id": f"b{who:04}-{at}", "product_id": product, "purchased_at": time}
            for who in range(n_customers)
            for at, time in enumerate(placed)
            for product in rng.choice(products["product_id"], rng.integers(1, 3), replace=False)
        ]
    )
    deliveries = lines.groupby("basket_id", as_index=False)["purchased_at"].min()
    day, is_old = pd.Timedelta(days=1), deliveries["basket_id"].str.endswith("-0")
    numbers = deliveries["basket_id"].str.replace("b", "A").str.replace("-", "-00")
    steps = {step: pd.Series(pd.NaT, index=deliveries.index) for step in (f"{name}_at" for name in DELIVERY_STEPS)}
    steps["promised_at"] = deliveries["purchased_at"].dt.normalize() + 4 * day
    steps["delivered_at"] = (deliveries["purchased_at"].dt.normalize() + 3 * day).where(is_old)
    told = deliveries[["basket_id"]].assign(order_number=numbers, **steps)
    bought = lines.assign(store_id="s1", quantity=1, amount=2.5, discount=0.0)
    frames = zip((PRODUCTS, PURCHASES, DELIVERIES), (products, bought, told), strict=True)
    return {
        table.name: typed_frame(frame.reindex(columns=[column.name for column in table.columns]), table)
        for table, frame in frames
    }
