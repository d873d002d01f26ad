"""Golden requests of no product: made-up series, steady, seasonal, now and then, dying out, new and unknown.

Read of the data are the lengths that are looked at, the names of groups of products, and the first week of the test.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ml.contract import JsonObject

if TYPE_CHECKING:
    import pandas as pd

SHAPES = ("steady", "seasonal", "now and then", "dying out", "new", "growing", "dead")
SCALES = (3, 17, 120, 1)
GROUPED = ("department", "category", "store_group")
PRICE, PROMOTED = 0.7, 0.5  # logarithm of a price; share of stores


def golden(examples: pd.DataFrame, state: JsonObject, n: int) -> list[JsonObject]:  # noqa: ARG001 - no product's rows
    """Return n requests of one series each, with as much in stock as the week before sold; the last knows no stock."""
    return [{"known": [_series(state, at, is_counted=at < n - 1 or n == 1)]} for at in range(n)]


def _series(state: JsonObject, at: int, *, is_counted: bool) -> JsonObject:
    weeks, ahead = int(state["history"]), int(state["horizon"])
    shape, scale = SHAPES[at % len(SHAPES)], SCALES[at % len(SCALES)]
    sold = [_pieces(shape, ago, scale) for ago in range(weeks, 0, -1)]
    is_promoted = at % 3 == 1
    levels = state["hierarchy"]["levels"]
    groups = {name: _one(levels[name]["names"], at) for name in GROUPED if name in levels}
    stock = {"on_hand": int(sold[-1] or 0), "on_order": 0, "backorders": 0} if is_counted else {}
    return {
        "product_id": f"made up {at}",
        **groups,
        "time": state["first_test"],
        "history": sold,
        "price": [PRICE if pieces else None for pieces in sold],
        **{name: [0.0] * weeks for name in ("display", "mailer", "front_page")},
        **{f"{name}_ahead": [0.0] * ahead for name in ("mailer", "front_page")},
        "display_ahead": [PROMOTED if is_promoted else 0.0] * ahead,
        "lead_time": 1 + at % 3,
        "pack_size": (1, 6, 12)[at % 3],
        "minimum_order": (0, 24)[at % 2],
        "unit_cost": 1.5,
        "service_level": (0.9, 0.95, 0.99)[at % 3],
        **stock,
    }


def _pieces(shape: str, ago: int, scale: int) -> int | None:
    """Return what a series of a shape sold so many weeks ago; none where it was not known."""
    sold = {
        "seasonal": round(scale * (1 + math.sin(ago / 4))),
        "now and then": scale if ago % 5 == 0 else 0,
        "dying out": scale * max(0, ago - 12) // 12,
        "new": scale if ago <= 5 else None,
        "growing": scale + max(0, 40 - ago),
        "dead": 0,
    }
    return sold.get(shape, scale)


def _one(names: list[str], at: int) -> str:
    return str(names[at % len(names)]) if names else "unknown"
