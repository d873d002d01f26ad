"""How Complete Journey's baskets are delivered: simulated, for they were carried home from a till.

Each basket gets an order number and, by chances that its id alone decides, days of promise, shipment, delivery, return and refund.
What lies after the last day has not happened yet.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ml.shop import DELIVERY_STEPS

TABLE = "deliveries"
SEED = "tradewind deliveries"
RULES = {"deliveries": 1, "seed": SEED}
"""What the table follows from besides the recorded files: part of the source's digest."""

PROMISED_DAYS = 4  # after the order
SHIPPED_NEXT_DAY = 0.8  # share of orders; the others leave a day later
LATE, LATE_DAYS = 0.05, 4  # share of deliveries that are late, and by how much [days]
CANCELLED, RETURNED = 0.01, 0.03  # shares of orders
RETURN_DAYS, REFUND_DAYS = 6, 4  # from delivery to return, from return to refund [days]
LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"


def deliveries(folder: Path, last_day: date) -> pa.Table:
    """Return one row an order placed up to a day, as that day's evening knows it."""
    lines = pq.read_table(folder / "transactions.parquet", columns=["basket_id", "transaction_timestamp"]).to_pandas()
    placed = lines.groupby("basket_id", sort=True)["transaction_timestamp"].min().dt.normalize()
    placed = placed[placed <= pd.Timestamp(last_day)]
    baskets = placed.index.astype("str")
    rows = pd.DataFrame({"basket_id": baskets, "order_number": _numbers(baskets), **_steps(placed, baskets)})
    for step in DELIVERY_STEPS[1:]:  # a promise may lie ahead
        rows[f"{step}_at"] = rows[f"{step}_at"].where(rows[f"{step}_at"] <= pd.Timestamp(last_day))
    return pa.Table.from_pandas(rows, preserve_index=False)


def _steps(placed: pd.Series, baskets: pd.Index) -> dict[str, pd.Series]:
    """Return the days of each step; none where it never happens."""
    day = pd.Timedelta(days=1)
    moment = placed.reset_index(drop=True)
    chance = {name: _chance(name, baskets) for name in ("shipped", "delivered", "late", "cancelled", "returned")}
    goes = pd.Series(chance["cancelled"] >= CANCELLED)
    shipped = moment + day * np.where(chance["shipped"] < SHIPPED_NEXT_DAY, 1, 2)
    late = np.where(chance["late"] < LATE, LATE_DAYS, 0)
    delivered = shipped + day * (np.where(chance["delivered"] < 0.5, 1, 2) + late)
    returned = (delivered + RETURN_DAYS * day).where(goes & (chance["returned"] < RETURNED))
    return {
        "promised_at": moment + PROMISED_DAYS * day,
        "shipped_at": shipped.where(goes),
        "delivered_at": delivered.where(goes),
        "returned_at": returned,
        "refunded_at": returned + REFUND_DAYS * day,
        "cancelled_at": moment.where(~goes),
    }


def _numbers(baskets: pd.Index) -> list[str]:
    """Return order numbers in the form that the shipped pages tell: a letter, four digits, a dash, three digits."""
    drawn = _hash("number", baskets)
    return [f"{LETTERS[value % 24]}{value // 24 % 10_000:04}-{value // 240_000 % 1000:03}" for value in drawn.tolist()]


def _chance(name: str, baskets: pd.Index) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return _hash(name, baskets) / 2.0**64


def _hash(name: str, baskets: pd.Index) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    values = (f"{SEED}|{name}|" + baskets).to_numpy(dtype=object)
    return np.asarray(pd.util.hash_array(values, categorize=False), dtype=np.uint64)
