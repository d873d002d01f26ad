"""Complete Journey's payments: one a recorded basket, and among them the simulated fraud with its charge-backs.

Recorded are customer, store, time, amount, coupons and what was bought. Drawn, because no record tells it, are the
till and the channel. No recorded basket is ever called fraud: all fraud is injected (`ml/sources/simulated_fraud.py`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ml.sources.simulated_fraud import SEED, VERSION, Rows, keyed_generator, payment_ids, simulate

RULES = {"payments": 1, "fraud": VERSION, "seed": SEED}
"""What the tables follow from besides the recorded lines: part of the source's digest."""

LARGEST_COUNT = 1000  # pieces on one line; fuel is counted in thousandths of a gallon
TILLS = {"1": 0.3, "2": 0.25, "3": 0.2, "4": 0.25}  # share of a store's payments
SELF_CHECKOUT = "4"
ONLINE_HABIT = (0.3, 5.0)  # of a beta distribution: each customer's share of orders that are collected, mean 5.7 %
SCENARIO_COLUMNS = ["reported_at", "reason"]


def payments(lines: pa.Table) -> pa.Table:
    """Return the payments of `ml.shop.PAYMENTS`: recorded baskets and, unmarked among them, simulated fraud."""
    recorded = recorded_payments(lines)
    simulated = simulate(recorded).drop(columns=SCENARIO_COLUMNS)
    return _arrow(pd.concat([recorded, simulated]).sort_values(["paid_at", "payment_id"]))


def chargebacks(lines: pa.Table) -> pa.Table:
    """Return the charge-backs of `ml.shop.CHARGEBACKS`: one a simulated payment, with the scenario as its reason."""
    simulated = simulate(recorded_payments(lines)).rename(columns={"paid_at": "payment_at"})
    return _arrow(simulated[["payment_id", "payment_at", *SCENARIO_COLUMNS]])


def farmed_purchases(lines: pa.Table) -> pa.Table:
    """Return what the order-farming rings bought, in the columns of `ml.shop.PURCHASES`; `purchases` never holds it."""
    simulated = simulate(recorded_payments(lines))
    farmed = simulated[simulated.reason == "order_farming"]
    named = farmed.rename(columns={"n_items": "quantity", "paid_at": "purchased_at"}).assign(discount=0.0)
    wanted = ["customer_id", "basket_id", "product_id", "store_id", "quantity", "amount", "discount", "purchased_at"]
    return _arrow(named[wanted])


def recorded_payments(lines: pa.Table) -> Rows:
    """Return one payment a recorded basket that cost something, in order of time.

    Args:
        lines: Complete Journey's transactions in any order; whole days.
    """
    baskets = _baskets(lines)
    paid = baskets[baskets.cents > 0].sort_values(["paid_at", "basket_id"], ignore_index=True)
    text = paid.astype(dict.fromkeys(["customer_id", "basket_id", "store_id", "product_id"], "str"))
    till, channel = _tills(text)
    return pd.DataFrame(
        {
            "payment_id": payment_ids(text.basket_id),
            "customer_id": text.customer_id,
            "basket_id": text.basket_id,
            "terminal_id": text.store_id + "-" + till,
            "store_id": text.store_id,
            "product_id": text.product_id.where(paid.product_id == paid.last_product_id),
            "amount": paid.cents / 100,
            "coupon_amount": paid.coupon_cents / 100,
            "n_items": paid.pieces.clip(lower=1),
            "channel": channel,
            "paid_at": paid.paid_at,
        }
    )


def _baskets(lines: pa.Table) -> pd.DataFrame:
    """Add up each basket's lines; whole cents, so that the order of lines changes no sum."""
    coupons = pc.add(lines["coupon_disc"], lines["coupon_match_disc"])
    counted = pa.table(
        {
            "basket_id": lines["basket_id"],
            "customer_id": lines["household_id"],
            "store_id": lines["store_id"],
            "product_id": lines["product_id"],
            "paid_at": lines["transaction_timestamp"].cast(pa.timestamp("us")),
            "cents": _cents(lines["sales_value"]),
            "coupon_cents": _cents(coupons),
            "pieces": pc.if_else(pc.greater(lines["quantity"], LARGEST_COUNT), 1, lines["quantity"]),
        }
    )
    first = {(name, "min"): name for name in ("customer_id", "store_id", "product_id", "paid_at")}
    sums = {(name, "sum"): name for name in ("cents", "coupon_cents", "pieces")}
    asked = {**first, **sums, ("product_id", "max"): "last_product_id"}
    grouped = counted.group_by("basket_id", use_threads=False).aggregate(list(asked))
    baskets: pd.DataFrame = grouped.rename_columns(["basket_id", *asked.values()]).to_pandas()
    return baskets


def _cents(amounts: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.round(pc.multiply(amounts, 100)).cast(pa.int64())


def _tills(paid: pd.DataFrame) -> tuple[Any, Any]:
    """Draw each payment's till and channel `(n_rows,)`; two draws a basket from its day's generator."""
    chance = _uniform_by_day(paid.paid_at)
    habits = {who: keyed_generator("online habit", who).beta(*ONLINE_HABIT) for who in paid.customer_id.unique()}
    online = chance[:, 0] < paid.customer_id.map(habits).to_numpy()
    tills = np.asarray(list(TILLS))[np.searchsorted(np.cumsum(list(TILLS.values()))[:-1], chance[:, 1], side="right")]
    staffed = np.where(tills == SELF_CHECKOUT, "self_checkout", "till")
    return np.where(online, "web", tills), np.where(online, "online", staffed)


def _uniform_by_day(times: pd.Series[pd.Timestamp]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return two draws a payment `(n_rows, 2)`; a day's draws depend on that day's payments alone."""
    per_day = times.dt.strftime("%Y-%m-%d").value_counts(sort=False).sort_index()
    return np.concatenate([keyed_generator("till", str(day)).random((n, 2)) for day, n in per_day.items()])


def _arrow(rows: pd.DataFrame) -> pa.Table:
    return pa.Table.from_pandas(rows, preserve_index=False)
