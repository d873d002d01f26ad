"""What is learned by counting before any model is trained: the vocabulary, and how each product is bought again.

How products are bought again is counted before the training window: had it known the examples' own baskets, a model
would trust it more than it can later.
"""

from __future__ import annotations

import ibis
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml.contract import JsonObject
from ml.use_cases.recommend.cut import Cut, frame
from ml.use_cases.recommend.explore import EXPLORE
from ml.use_cases.recommend.trend_fit import period_sales

STATE_SCHEMA = "tradewind/recommend-state/1"
UNKNOWN = "unknown"
DAY_SECONDS = 86_400


def fit_state(cut: Cut, products: ibis.Table) -> JsonObject:
    """Return the fitted state.

    Raises:
        ValueError: No product is frequent enough.
    """
    known = _frequent(cut)
    if known.empty:
        raise ValueError(
            f"Expected products in {cut.params.min_count} training baskets. Received none: lower min_count."
        )
    described = known.merge(_habits(cut), on="product", how="left").fillna({"baskets": 0, "customers": 0, "seconds": 0})
    named = described.merge(_named(products, known), on="product", how="left")
    return {
        "schema": STATE_SCHEMA,
        "products": named["product"].tolist(),
        "names": readable(named),
        "departments": named["department"].fillna(UNKNOWN).tolist(),
        "categories": named["category"].fillna(UNKNOWN).tolist(),
        "popularity": named["count"].tolist(),
        "sales": period_sales(cut, named["product"]),
        **_counted(described),
        **_settings(cut),
    }


def readable(products: pd.DataFrame) -> list[str]:
    """Return what people read: the name, or the article number with the category where the shop gave no name.

    Args:
        products: product, name, category.
    """
    rows = zip(products["product"], products["name"], products["category"], strict=True)
    return [
        str(name) if pd.notna(name) else f"{product} ({category})" if pd.notna(category) else str(product)
        for product, name, category in rows
    ]


def activity(cut: Cut) -> pd.DataFrame:
    """Return unit and baskets: how often each customer came before the validation window."""
    before = _baskets_before(cut, cut.windows.valid_start)
    counted = before.group_by("unit").aggregate(baskets=before.count())
    return frame(counted.order_by("unit"))


def _counted(described: pd.DataFrame) -> JsonObject:
    """Return baskets, customers and days between purchases of each product."""
    baskets, customers = (described[name].to_numpy(dtype=np.int64) for name in ("baskets", "customers"))
    gaps = _gap_days(described["seconds"].to_numpy(dtype=np.int64), baskets - customers)
    return {"baskets": baskets.tolist(), "customers": customers.tolist(), "gap_days": gaps}


def _settings(cut: Cut) -> JsonObject:
    counts, edges = activity(cut)["baskets"].to_numpy(), cut.windows
    return {
        "max_history": cut.params.max_history,
        "max_baskets": cut.params.max_baskets,
        "tiers": [float(value) for value in np.quantile(counts, [1 / 3, 2 / 3])] if len(counts) else [0.0, 0.0],
        "as_of": edges.end.isoformat(),
        "windows": {name: getattr(edges, name).isoformat() for name in ("train_start", "valid_start", "test_start")},
        **({EXPLORE: cut.params.explore.model_dump(mode="json")} if cut.params.explore.share else {}),
    }


def _gap_days(seconds: NDArray[np.int64], repeats: NDArray[np.int64]) -> list[float]:
    """Return the mean time between a customer's purchases of each product; of all products where none was repeated."""
    usual = seconds.sum() / max(int(repeats.sum()), 1)
    gaps = np.where(repeats > 0, seconds / np.maximum(repeats, 1), usual)
    return [round(float(days), 3) for days in gaps / DAY_SECONDS]


def _baskets_before(cut: Cut, moment: object) -> ibis.Table:
    return cut.baskets.filter(cut.baskets.time < moment)


def _frequent(cut: Cut) -> pd.DataFrame:
    """Return product and count of the vocabulary, most frequent first."""
    lines = cut.lines.join(_baskets_before(cut, cut.windows.valid_start), ["unit", "basket"])
    counted = lines.group_by("product").aggregate(count=lines.count())
    frequent = counted.filter(counted["count"] >= cut.params.min_count)
    return frame(frequent.order_by([ibis.desc("count"), "product"]).limit(cut.params.max_products))


def _habits(cut: Cut) -> pd.DataFrame:
    """Return product, baskets, customers, and the seconds between each customer's first and last purchase, summed."""
    lines = cut.lines.join(_baskets_before(cut, cut.windows.train_start), ["unit", "basket"])
    each = lines.group_by("product", "unit").aggregate(
        baskets=lines.count(), span=lines.second.max() - lines.second.min()
    )
    summed = each.group_by("product").aggregate(
        baskets=each.baskets.sum(), customers=each.count(), seconds=each.span.sum()
    )
    return frame(summed.order_by("product"))


def _named(products: ibis.Table, known: pd.DataFrame) -> pd.DataFrame:
    columns = {"product": products.product_id, "name": products.name}
    found = frame(products.select(**columns, department=products.department, category=products.category))
    return found[found["product"].isin(set(known["product"]))].drop_duplicates("product")
