"""What drift is looked for in: a few plain figures of a customer's newest baskets, named alike in training and serving.

They need no vocabulary: a shift must be seen even where the products are new.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ml.contract import JsonObject
from ml.use_cases.recommend.encode import DAY

if TYPE_CHECKING:
    import pandas as pd

BASKETS = 50  # newest baskets that are described: the figures of long histories stay comparable
DIGITS = 6


def describe(examples: pd.DataFrame) -> pd.DataFrame:
    """Return one row an example: the figures of `figures`."""
    import pandas as pd

    columns = zip(examples["items"], examples["ages"], examples["baskets_ago"], strict=True)
    return pd.DataFrame([figures(keys, ages / DAY, ago) for keys, ages, ago in columns], dtype="float64")


def describe_history(history: JsonObject, now: datetime) -> dict[str, float]:
    """Return the figures of a history at a moment; nothing where it has no basket before."""
    timed = [(now - datetime.fromisoformat(time), products) for time, products in reversed(history["baskets"])]
    past = [(age.total_seconds() / DAY, products) for age, products in timed if age.total_seconds() >= 0][:BASKETS]
    flat = [(product, age, ago) for ago, (age, products) in enumerate(past, 1) for product in products]
    if not flat:
        return {}
    keys, ages, ago = zip(*flat, strict=True)
    return figures(np.array(keys, dtype=object), np.array(ages), np.array(ago))


def figures(keys: NDArray[Any], ages: NDArray[Any], ago: NDArray[Any]) -> dict[str, float]:
    """Return the figures of one history: its newest baskets, their products, size and repeats, days since the last.

    Args:
        keys: Product of each line.
        ages: Age of each line [days].
        ago: Baskets ago of each line, 1 is the newest.
    """
    near = ago <= BASKETS
    lines, products = int(near.sum()), len(set(keys[near].tolist()))
    baskets = int(ago[near].max()) if lines else 0
    found = {
        "history_baskets": float(baskets),
        "history_products": float(products),
        "days_since_last": float(ages.min()) if lines else 0.0,
        "basket_size": lines / max(baskets, 1),
        "repeat_share": 1 - products / max(lines, 1),
    }
    return {name: round(value, DIGITS) for name, value in found.items()}
