"""Estimates what new products will sell, from how others began before the validation window.

Of products first sold in the `NEW` days before a moment, or never, with x baskets before it and y in the `AHEAD` days after:

    y ≈ never(c) + pace · x,   pace = (Σ y + TRUST · AHEAD / NEW) / (Σ x + TRUST) over those with x > 0
    never(c) = (Σ y in category c + TRUST · g) / (products in c + TRUST), g = Σ y / products, over those with x = 0

The moment of the estimate lies `AHEAD` days before validation; applied at the start of the test window.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from ml.contract import JsonObject
from ml.use_cases.recommend.cut import Cut, Windows, frame

NEW = timedelta(days=56)
"""How long after its first sale a product is new."""
AHEAD = timedelta(days=28)
"""For how long sales are foretold; as long after the first recorded day, any product may seem new."""
TRUST = 10.0  # baskets or products: as much as what is usual weighs against what was seen
MOST = 5_000  # new products a state holds; those expected to sell most stay
DIGITS = 9


@dataclass(frozen=True, kw_only=True)
class Sales:
    """Baskets of each product by day, before the test window."""

    daily: pd.DataFrame
    """product, day [days since the first recorded one], baskets"""
    first_day: datetime

    def between(self, start: datetime, end: datetime) -> pd.Series:
        """Return baskets by product from one moment to before another; products without are left out."""
        days = (start - self.first_day) / timedelta(days=1), (end - self.first_day) / timedelta(days=1)
        chosen = self.daily[(self.daily["day"] >= days[0]) & (self.daily["day"] < days[1])]
        return chosen.groupby("product")["baskets"].sum()

    def first(self) -> pd.Series:
        """Return the first day with sales by product."""
        return self.daily.groupby("product")["day"].min()


def count_sales(cut: Cut) -> Sales:
    """Return what was sold before the test window."""
    first = frame(cut.baskets.aggregate(first=cut.baskets.time.min()))["first"].iloc[0].to_pydatetime()
    first_day = first.replace(hour=0, minute=0, second=0, microsecond=0)
    start = int((first_day - datetime(1970, 1, 1)).total_seconds())  # the shop's local time, like the baskets'
    baskets = cut.baskets.filter(cut.baskets.time < cut.windows.test_start)
    lines = cut.lines.join(baskets, ["unit", "basket"])
    dated = lines.mutate(day=((lines.second - start) // 86_400).cast("int64"))
    daily = dated.group_by("product", "day").aggregate(baskets=dated.count())
    return Sales(daily=frame(daily.order_by(["product", "day"])), first_day=first_day)


def fit_newcomers(sales: Sales, described: pd.DataFrame, candidates: pd.DataFrame, windows: Windows) -> JsonObject:
    """Return the new products with their attributes, baskets so far and expected share of their category's purchases.

    Args:
        sales: Before the test window.
        described: All products of the shop: name, department, category, brand by product.
        candidates: Those of them that are not learned.
        windows: Where time is cut.
    """
    category = described["category"]
    learned_at, known_at = windows.valid_start - AHEAD, windows.test_start
    pace, never, usual_never = _beginnings(sales, category, learned_at)
    seen = _new_at(sales, candidates.index, known_at)
    expected = seen * pace + candidates["category"].reindex(seen.index).map(never).fillna(usual_never)
    kept = expected.to_frame("expected").assign(baskets=seen).reset_index(names="product")
    kept = kept.sort_values(["expected", "product"], ascending=[False, True]).head(MOST)
    rows = described.loc[kept["product"]]
    sold = sales.between(known_at - AHEAD, known_at)
    by_category = sold.groupby(category.reindex(sold.index)).sum().reindex(rows["category"]).fillna(0).to_numpy()
    added = kept["expected"].groupby(rows["category"].to_numpy()).transform("sum").to_numpy()
    shares = kept["expected"].to_numpy() / np.maximum(by_category + added, 1.0)
    all_sold = sales.between(sales.first_day, known_at)
    usual = all_sold.groupby(category.reindex(all_sold.index)).sum() / all_sold.sum()
    return {
        "since": known_at.isoformat(),
        "products": kept["product"].tolist(),
        "names": rows["name"].tolist(),
        "departments": rows["department"].tolist(),
        "categories": rows["category"].tolist(),
        "brands": rows["brand"].tolist(),
        "baskets": [int(count) for count in kept["baskets"]],
        "shares": [round(float(share), DIGITS) for share in shares],
        "usual": {str(name): round(float(share), DIGITS) for name, share in usual.items()},
    }


def _beginnings(sales: Sales, category: pd.Series, moment: datetime) -> tuple[float, pd.Series, float]:
    """Return the pace of products that began, and what one never sold before sells, by category and anywhere."""
    seen = _new_at(sales, category.index, moment)
    later = sales.between(moment, moment + AHEAD).reindex(seen.index).fillna(0)
    began = seen > 0
    pace = (later[began].sum() + TRUST * (AHEAD / NEW)) / (seen[began].sum() + TRUST)
    fresh = later[~began]
    usual = float(fresh.mean()) if len(fresh) else 0.0
    grouped = fresh.groupby(category.reindex(fresh.index))
    return float(pace), (grouped.sum() + TRUST * usual) / (grouped.size() + TRUST), usual


def _new_at(sales: Sales, products: pd.Index, moment: datetime) -> pd.Series:
    """Return the baskets so far of the products that are new at a moment."""
    at = (moment - sales.first_day) / timedelta(days=1)
    oldest = max(at - NEW / timedelta(days=1), AHEAD / timedelta(days=1))
    first = sales.first().reindex(products)
    is_new = first.isna() | (first >= oldest)
    return sales.between(sales.first_day, moment).reindex(products[is_new]).fillna(0)
