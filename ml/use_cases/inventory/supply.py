"""On what terms each series is replenished, and what stock it has: the shop's tables, and defaults where they are silent."""

from __future__ import annotations

import pandas as pd

from ml.contract import Expressions
from ml.use_cases.inventory.known import STOCK, TERMS
from ml.use_cases.inventory.params import InventoryFeatures
from ml.use_cases.inventory.weekly import Weekly

PRICES = ("holding", "order_cost", "review_weeks")


def supplied(sold: Weekly, tables: Expressions, params: InventoryFeatures) -> pd.DataFrame:
    """Return the series' facts with the columns `TERMS`, `PRICES` and `STOCK`.

    `holding` is that of a piece for a week [money]; stock is not-a-number where it is not known.

    Raises:
        ValueError: A lead time and the review are longer than the forecast.
    """
    facts = _with_terms(sold.facts, tables, params)
    longest = int(facts["lead_time"].max()) + params.stock.review_weeks
    if longest > params.window.horizon:
        raise ValueError(
            f"Expected lead time plus review within the forecast's {params.window.horizon} weeks. Received {longest}. "
            "Set features.window.horizon to it."
        )
    stock = params.stock
    priced = facts.assign(
        holding=facts["unit_cost"] * stock.holding_rate,
        order_cost=stock.order_cost,
        review_weeks=float(stock.review_weeks),
    )
    return _with_stock(priced, tables)


def _with_terms(facts: pd.DataFrame, tables: Expressions, params: InventoryFeatures) -> pd.DataFrame:
    default = {
        "lead_time": float(params.stock.lead_time_weeks),
        "pack_size": 1.0,
        "minimum_order": 0.0,
        "service_level": params.stock.service_level,
    }
    known = pd.DataFrame({"product_id": pd.Series(dtype="str")})
    if "supplier_terms" in tables:
        known = tables["supplier_terms"].execute()
    renamed = known.rename(columns={"lead_time_weeks": "lead_time"}).reindex(columns=["product_id", *TERMS])
    found = facts.merge(renamed.drop_duplicates("product_id"), on="product_id", how="left")
    filled = found.fillna(default)
    filled["unit_cost"] = filled["unit_cost"].fillna((filled["mean_price"] * params.stock.cost_share).clip(lower=0.01))
    return filled.astype(dict.fromkeys(TERMS, "float64"))


def _with_stock(facts: pd.DataFrame, tables: Expressions) -> pd.DataFrame:
    if "stock" not in tables:
        return facts.assign(**dict.fromkeys(STOCK, float("nan")))
    stock = tables["stock"].execute()[["product_id", "store_group", *STOCK]]
    key = ["product_id", "store_group"]
    found = facts.merge(stock.drop_duplicates(key), on=key, how="left")
    return found.astype(dict.fromkeys(STOCK, "float64"))
