"""Cuts payments into examples by time, with everything that was known before each, and labels as they were known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd

from ml.contract import Expressions, Features, JsonObject
from ml.files import canonical
from ml.use_cases.fraud.describe import describe
from ml.use_cases.fraud.evidence import FEATURES, of_order
from ml.use_cases.fraud.params import FraudFeatures
from ml.use_cases.fraud.replay import Replay, seconds
from ml.use_cases.fraud.tally import features_of
from ml.use_cases.fraud.window import Window, windows

if TYPE_CHECKING:
    from pydantic import BaseModel

STATE_SCHEMA = "tradewind/fraud-state/1"
COSTS = ("reviews_per_day", "review_cost", "decline_loss")
ASKED = {"terminal_id": "terminal_id", "amount": "paid", "coupon_amount": "coupon_amount", "channel": "channel"}
AMOUNT_BANDS = {0: "0 to 9", 10: "10 to 24", 25: "25 to 49", 50: "50 to 99", 100: "≥ 100"}
HOUR_BANDS = {0: "00 to 05", 6: "06 to 11", 12: "12 to 17", 18: "18 to 23"}


def build(tables: Expressions, params: BaseModel) -> Features:
    """Return examples, state, profile and histories.

    Args:
        tables: Anonymised `payments` and `chargebacks`.
        params: `FraudFeatures`.

    Raises:
        ValueError: There is no payment, too short a time of them, or a window without any fraud.
    """
    wanted = cast(FraudFeatures, params)
    payments = tables["payments"].order_by(["paid_at", "payment_id"]).execute()
    chargebacks = tables["chargebacks"].order_by(["reported_at", "payment_id"]).execute()
    if payments.empty:
        raise ValueError("Expected payments. Received none. Look at what the source delivered.")
    last = max(payments["paid_at"].max(), *chargebacks["reported_at"])
    cut = windows(payments["paid_at"].min(), last, wanted)
    rows = examples_of(payments, chargebacks, wanted.delay_days)
    parts = {name: _inside(rows, window) for name, window in cut.items()}
    splits = {name: _labelled(parts[name], chargebacks, window) for name, window in cut.items()}
    _require_fraud(splits)
    replay = Replay(payments, chargebacks, wanted.delay_days)
    return Features(
        splits={
            "train": _thinned(splits["train"], wanted),
            "valid": splits["valid"],
            "test": _with_memories(splits["test"], replay),
        },
        state=_state(wanted),
        profile={"reference": describe(parts["train"])},
        histories=replay.histories(),
    )


def examples_of(payments: pd.DataFrame, chargebacks: pd.DataFrame, delay_days: int) -> pd.DataFrame:
    """Return one row a payment: `FEATURES`, what a request tells, who and when, and the slices; index as the payments."""
    order = of_order(
        seconds(payments["paid_at"]),
        payments["amount"].to_numpy(dtype=np.float64),
        payments["coupon_amount"].to_numpy(dtype=np.float64),
        payments["n_items"].to_numpy(dtype=np.int64),
        payments["channel"].tolist(),
    )
    found = features_of(payments, chargebacks, delay_days).assign(**order)
    day = payments["paid_at"].dt.strftime("%Y-%m-%d")
    asked = payments[list(ASKED)].rename(columns=ASKED)
    return pd.concat([found[list(FEATURES)], asked], axis=1).assign(
        unit=payments["customer_id"] + "/" + day,
        time=payments["paid_at"],
        day=day,
        customer=payments["customer_id"],
        payment=payments["payment_id"],
        hour_band=_band(order["hour"], HOUR_BANDS),
        amount_band=_band(found["amount"].to_numpy(), AMOUNT_BANDS),
    )


def _band(values: np.ndarray[Any, Any], bands: Mapping[int, str]) -> np.ndarray[Any, Any]:
    places = np.searchsorted(list(bands), values, side="right") - 1
    return np.array(list(bands.values()), dtype=object)[np.maximum(places, 0)]


def _inside(rows: pd.DataFrame, window: Window) -> pd.DataFrame:
    return rows[(rows["time"] >= window.start) & (rows["time"] < window.end)]


def _labelled(rows: pd.DataFrame, chargebacks: pd.DataFrame, window: Window) -> pd.DataFrame:
    reported = chargebacks.loc[chargebacks["reported_at"] < window.known, "payment_id"]
    return rows.assign(is_fraud=rows["payment"].isin(reported).astype("int64"), weight=1.0)


def _require_fraud(splits: Mapping[str, pd.DataFrame]) -> None:
    without = [name for name, rows in splits.items() if not rows["is_fraud"].any()]
    if without:
        raise ValueError(
            f"Expected payments in every window that were charged back. Received none in {', '.join(without)}. Bring the "
            "charge-backs, or longer windows."
        )


def _thinned(rows: pd.DataFrame, params: FraudFeatures) -> pd.DataFrame:
    """Leave out a draw of the genuine payments; those that stay count for them."""
    drawn = np.random.default_rng(params.sampling_seed).random(len(rows)) < params.genuine_share
    weight = np.where(rows["is_fraud"] == 1, 1.0, 1 / params.genuine_share)
    return rows.assign(weight=weight)[drawn | (rows["is_fraud"] == 1)].reset_index(drop=True)


def _with_memories(rows: pd.DataFrame, replay: Replay) -> pd.DataFrame:
    """Add what was remembered of card and terminal before each payment, as JSON: golden requests bring it."""
    found = {row: tuple(canonical(one).decode() for one in known) for row, *known in replay.run(set(rows.index))}
    told = [found[row] for row in rows.index]
    memories = {"card": [card for card, _ in told], "terminal": [terminal for _, terminal in told]}
    return rows.assign(**memories).reset_index(drop=True)


def _state(params: FraudFeatures) -> JsonObject:
    costs = {name: getattr(params, name) for name in COSTS}
    return {"schema": STATE_SCHEMA, "features": list(FEATURES), "delay_days": params.delay_days, "costs": costs}
