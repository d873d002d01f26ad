"""Counts what sold to which customers in the newest weeks before the test window."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import ibis
import numpy as np
from numpy.typing import NDArray

from ml.contract import Expressions, JsonObject
from ml.use_cases.recommend.cut import Cut, frame
from ml.use_cases.recommend.segment import ATTRIBUTES, EVERYBODY, segment_name

if TYPE_CHECKING:
    import pandas as pd

RECENT = timedelta(days=28)
TRUST = 1_000.0  # purchases: as much as everybody's taste weighs against a segment's
MOST = 300  # products a segment keeps
DIGITS = 9
_NOBODY = dict.fromkeys(ATTRIBUTES, ibis.literal(None, type="string"))


def fit_segments(tables: Expressions, cut: Cut, state: JsonObject) -> JsonObject:
    """Return numbers and shares of the products each segment bought, the most bought first.

    share(i | s) = (count(s, i) + TRUST · share(i)) / (count(s) + TRUST): small segments lean on everybody.

    Args:
        tables: Anonymised `customers`, if the shop has it.
        cut: The purchases.
        state: The state fitted so far: its `products` are counted.
    """
    bought = _bought(tables, cut, state)
    usual = _counts(bought, state)
    usual /= max(usual.sum(), 1.0)
    found = {EVERYBODY: _ranked(usual)}
    for attribute in ATTRIBUTES:
        for value, rows in bought.groupby(attribute):
            own = _counts(rows, state)
            found[segment_name(attribute, str(value))] = _ranked((own + TRUST * usual) / (own.sum() + TRUST))
    return found


def _bought(tables: Expressions, cut: Cut, state: JsonObject) -> pd.DataFrame:
    """Return number, attributes and lines of each learned product that was bought in the newest weeks."""
    end = cut.windows.test_start
    baskets = cut.baskets.filter((cut.baskets.time >= end - RECENT) & (cut.baskets.time < end))
    lines = cut.lines.join(baskets, ["unit", "basket"]).select("unit", "product")
    known = lines.left_join(_people(tables), "unit") if "customers" in tables else lines.mutate(**_NOBODY)
    rows = frame(known.group_by("product", *ATTRIBUTES).aggregate(lines=known.count()))
    numbers = {product: number for number, product in enumerate(state["products"])}
    rows = rows[rows["product"].isin(numbers)]
    return rows.assign(number=rows["product"].map(numbers).astype("int64"))


def _people(tables: Expressions) -> ibis.Table:
    customers = tables["customers"]
    grouped = customers.group_by(unit=customers.customer_id)
    return grouped.aggregate(**{name: customers[name].max() for name in ATTRIBUTES})


def _counts(bought: pd.DataFrame, state: JsonObject) -> NDArray[np.float64]:
    found = np.bincount(bought["number"], weights=bought["lines"], minlength=len(state["products"]))
    return found.astype(np.float64)


def _ranked(shares: NDArray[np.float64]) -> JsonObject:
    order = np.argsort(-shares, kind="stable")[:MOST]
    return {"numbers": order.tolist(), "shares": np.round(shares[order], DIGITS).tolist()}
