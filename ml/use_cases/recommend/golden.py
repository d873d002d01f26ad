"""Golden requests of no customer: baskets drawn from what sells, at regular times, and the odd ones out.

Only sums over customers are drawn from: how often each product was bought, by how many customers, and when the data end.
Equal states give equal requests.
"""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from itertools import accumulate
from typing import TYPE_CHECKING

from ml.contract import JsonObject
from ml.use_cases.recommend.segment import ATTRIBUTES, SEGMENTS, segment_name

if TYPE_CHECKING:
    import pandas as pd

SEED = 20260101
SHARED_BY = 20
"""Customers who must have bought a product for it to be drawn, unless too few products have so many."""
LEAST_DRAWN = 10  # products that are drawn from at least
BASKETS, SIZES, DAYS_APART = (1, 2, 4, 8, 12), (1, 2, 3, 5), (2, 7, 14, 30)
K = 10


def golden(examples: pd.DataFrame, state: JsonObject, n: int) -> list[JsonObject]:  # noqa: ARG001 - no customer's rows
    """Return n requests: four fifths bring a history, the others bring none, or ask for a group or a product."""
    drawn = _drawn_from(state)
    beside = _beside(state, drawn)[: n // 5]
    draw = random.Random(SEED)  # noqa: S311 - made-up baskets, no secret
    return [*(_request(state, drawn, draw, at) for at in range(n - len(beside))), *beside]


def _drawn_from(state: JsonObject) -> list[tuple[str, int]]:
    """Return products that many bought with their counts, most frequent first."""
    rows = list(zip(state["products"], state["popularity"], state["customers"], strict=True))
    shared = [(product, count) for product, count, customers in rows if customers >= SHARED_BY]
    widest = sorted(rows, key=lambda row: (-row[2], -row[1], row[0]))[:LEAST_DRAWN]
    return shared if len(shared) >= LEAST_DRAWN else [(product, count) for product, count, _ in widest]


def _request(state: JsonObject, drawn: list[tuple[str, int]], draw: random.Random, at: int) -> JsonObject:
    """Return the request of a made-up customer, who comes every so many days at noon."""
    now = _noon(state)
    baskets, days = BASKETS[at % len(BASKETS)], DAYS_APART[at % len(DAYS_APART)]
    weights = list(accumulate(count for _, count in drawn))
    purchases = []
    for ago in range(1, baskets + 1):
        size = min(SIZES[(at + ago) % len(SIZES)], len(drawn))
        chosen = dict.fromkeys(product for product, _ in draw.choices(drawn, cum_weights=weights, k=size))
        moment = (now - timedelta(days=days * ago)).isoformat()
        purchases += [{"product_id": one, "purchased_at": moment, "basket_id": f"basket {ago}"} for one in chosen]
    return {"history": purchases, "k": K, "now": now.isoformat()}


def _beside(state: JsonObject, drawn: list[tuple[str, int]]) -> list[JsonObject]:
    now, best = _noon(state).isoformat(), drawn[0][0]
    attribute, lead = ATTRIBUTES[0], segment_name(ATTRIBUTES[0], "")
    groups = sorted(name.removeprefix(lead) for name in state.get(SEGMENTS, {}) if name.startswith(lead))
    named = [{attribute: group} for group in groups[:1]]
    strange = {"product_id": "no product", "purchased_at": now}
    fields: list[JsonObject] = [{}, {"similar_to": best}, {"history": [strange]}, *named]
    return [{**one, "k": K, "now": now} for one in fields]


def _noon(state: JsonObject) -> datetime:
    return datetime.fromisoformat(state["as_of"]).replace(hour=12, minute=0, second=0, microsecond=0)
