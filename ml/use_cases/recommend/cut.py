"""Where time is cut: purchases as baskets with numbers, and the windows the examples of each split come from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import ibis
import pandas as pd

from ml.use_cases.recommend.params import RecommendFeatures
from ml.use_cases.recommend.vocabulary import product_key


@dataclass(frozen=True, kw_only=True)
class Windows:
    """train [train_start, valid_start), valid [valid_start, test_start), test [test_start, end)."""

    train_start: datetime
    valid_start: datetime
    test_start: datetime
    end: datetime


@dataclass(frozen=True, kw_only=True)
class Cut:
    """Purchases with what examples need of them."""

    lines: ibis.Table
    """unit, basket, product, key: one row a product of a basket."""
    baskets: ibis.Table
    """unit, basket, time, second, number (1 is a customer's first)."""
    windows: Windows
    params: RecommendFeatures


def windows(oldest: datetime, newest: datetime, params: RecommendFeatures) -> Windows:
    """Return the windows that end with the newest purchase's day.

    The training window is `train_days` long, but leaves at least half of what precedes validation as history.
    """
    end = _day(newest) + timedelta(days=1)
    test_start = end - timedelta(days=params.test_days)
    valid_start = test_start - timedelta(days=params.valid_days)
    halfway = _day(oldest) + (valid_start - _day(oldest)) / 2
    train_start = max(valid_start - timedelta(days=params.train_days), halfway)
    return Windows(train_start=train_start, valid_start=valid_start, test_start=test_start, end=end)


def _day(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def cut_baskets(purchases: ibis.Table, params: RecommendFeatures) -> Cut:
    """Return purchases as baskets, each customer's in order of time.

    Raises:
        ValueError: There is no purchase.
    """
    named = purchases.select(
        unit=purchases.customer_id,
        basket=purchases.basket_id,
        product=purchases.product_id,
        time=purchases.purchased_at,
    )
    known = frame(named.aggregate(oldest=named.time.min(), newest=named.time.max()))
    if known["newest"].isna().all():
        raise ValueError("Expected purchases. Received none. Look at what the source delivered.")
    lines = named.join(ibis.memtable(_keys(named)), "product").select("unit", "basket", "product", "key").distinct()
    baskets = named.group_by("unit", "basket").aggregate(time=named.time.min())
    order = ibis.window(group_by="unit", order_by=["time", "basket"])
    numbered = baskets.mutate(
        second=baskets.time.epoch_seconds().cast("int64"), number=ibis.row_number().over(order) + 1
    )
    oldest, newest = (known[name].iloc[0].to_pydatetime() for name in ("oldest", "newest"))
    return Cut(lines=lines, baskets=numbered, windows=windows(oldest, newest, params), params=params)


def frame(rows: ibis.Table) -> pd.DataFrame:
    """Return the rows of an expression."""
    found: pd.DataFrame = rows.execute()
    return found


def _keys(named: ibis.Table) -> pd.DataFrame:
    products = frame(named.select("product").distinct().order_by("product"))
    return products.assign(key=[product_key(product) for product in products["product"]])
