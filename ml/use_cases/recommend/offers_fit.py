"""Counts what answers need beside what a model learns: brands, what sells to whom now, and how new products begin.

All of it ends where the test window begins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from ml.contract import Expressions, JsonObject
from ml.use_cases.recommend.catalogue import BRANDS, NEW, UNKNOWN
from ml.use_cases.recommend.cut import Cut, frame
from ml.use_cases.recommend.encode import events_of, positions
from ml.use_cases.recommend.fitted import readable
from ml.use_cases.recommend.newcomer import newcomers_of
from ml.use_cases.recommend.newcomer_fit import count_sales, fit_newcomers
from ml.use_cases.recommend.segment import SEGMENTS
from ml.use_cases.recommend.segment_fit import fit_segments

if TYPE_CHECKING:
    import ibis

ATTRIBUTES = ("name", "department", "category", "brand")


def fit_offers(tables: Expressions, cut: Cut, state: JsonObject, train: pd.DataFrame) -> JsonObject:
    """Return the parts of the state that `catalogue`, `newcomer` and `segment` read.

    Args:
        tables: Anonymised `products` and, if the shop has it, `customers`.
        cut: The purchases.
        state: The state fitted so far.
        train: Training examples: the least chance of a new product is chosen on them.
    """
    described = _described(tables["products"])
    found: JsonObject = {
        BRANDS: described.reindex(state["products"])["brand"].fillna(UNKNOWN).tolist(),
        SEGMENTS: fit_segments(tables, cut, state),
    }
    candidates = described[~described.index.isin(set(state["products"]))]
    if cut.params.new_share and len(candidates):
        new = fit_newcomers(count_sales(cut), described, candidates, cut.windows)
        least = _least({**state, NEW: {**new, "least": 0.0}}, train, cut.params.new_share)
        found[NEW] = {**new, "least": least}
    return found


def _described(products: ibis.Table) -> pd.DataFrame:
    """Return name and attributes by product, each text there is; in order of the products."""
    rows = frame(products.select("product_id", *ATTRIBUTES)).rename(columns={"product_id": "product"})
    unique = rows.sort_values(["product", *ATTRIBUTES]).drop_duplicates("product")
    filled = unique.assign(name=readable(unique)).fillna(dict.fromkeys(ATTRIBUTES, UNKNOWN))
    return filled.set_index("product")


def _least(state: JsonObject, train: pd.DataFrame, share: float) -> float:
    """Return the chance that a share of training customers' likeliest new products reach."""
    newcomers, newest = newcomers_of(state), train.drop_duplicates("unit", keep="last")
    if newcomers is None or newest.empty:
        return 1.0
    _, chance = newcomers.likeliest(positions(events_of(newest, state)), len(newest))
    return float(pd.Series(chance).quantile(1 - share))
