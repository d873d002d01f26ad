"""Counts what each product sold in each period: what `trend` tells of late sales rests on this."""

from __future__ import annotations

import ibis
import numpy as np
import pandas as pd

from ml.use_cases.recommend.cut import Cut, frame
from ml.use_cases.recommend.trend import PERIOD, SPANS


def period_sales(cut: Cut, products: pd.Series) -> list[list[int]]:
    """Return how many baskets had each product in each period before the end of the data, newest period first.

    Args:
        cut: Purchases.
        products: Whose sales; the order of the result.
    """
    edges = cut.windows
    n_periods = -(-(edges.end - edges.train_start) // PERIOD) + max(SPANS)
    lines = cut.lines.join(cut.baskets.filter(cut.baskets.time >= edges.end - n_periods * PERIOD), ["unit", "basket"])
    end = int(pd.Timestamp(edges.end).timestamp())
    period = ((ibis.literal(end) - lines.second - 1) // int(PERIOD.total_seconds())).cast("int64")
    dated = lines.mutate(period=period)
    sold = frame(dated.group_by("product", "period").aggregate(count=dated.count()))
    numbers = products.reset_index(drop=True).reset_index().set_index(products.name)["index"]
    known = sold[sold["product"].isin(numbers.index)]
    table = np.zeros((len(products), n_periods), dtype=np.int64)
    table[numbers.loc[known["product"]].to_numpy(), known["period"].to_numpy()] = known["count"].to_numpy()
    rows: list[list[int]] = table.tolist()
    return rows
