"""Small made-up tables that look like a real shop's: habits of cards, and among them two kinds of fraud."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ml.shop import CHANNELS, CHARGEBACKS, PAYMENTS

NEWEST = pd.Timestamp("2026-06-30")
DAYS = 170
PACE = 0.12  # payments of a card on a day
STORES, TILLS = 4, 3
BURSTS_PER_DAY = 0.35  # stolen cards: large sums online, one after the other, by night
COPIED_FROM_DAY, COPIED_EVERY = 60, 0.5  # a copied card at one till a second day
TILL_SHARES = [0.6, 0.3, 0.1]
TYPES = {"string": "str", "int64": "int64", "float64": "float64", "timestamp": "datetime64[us]"}

Rows = dict[str, Any]


def sample(rng: np.random.Generator, n_customers: int) -> dict[str, pd.DataFrame]:
    """Return `payments` and `chargebacks` of a made-up shop.

    Args:
        rng: Source of chance.
        n_customers: At least 1.
    """
    usual = rng.gamma(4.0, 6.0, n_customers) + 3
    days = pd.DataFrame([*_bursts(rng, usual), *_copied(rng, usual)]).assign(is_fraud=True)
    rows = pd.concat([_genuine(rng, usual), days], ignore_index=True)
    rows = rows.drop_duplicates(["customer_id", "terminal_id", "amount", "second"])
    rows = rows.sort_values(["second", "customer_id"], kind="stable", ignore_index=True)
    paid_at = NEWEST - pd.Timedelta(days=DAYS - 1) + pd.to_timedelta(rows["second"], unit="s")
    online = rows["terminal_id"].str.endswith("web")
    payments = rows.assign(
        payment_id=[f"p{number:06d}" for number in range(len(rows))],
        basket_id=[f"b{number:06d}" for number in range(len(rows))],
        store_id=rows["terminal_id"].str.split("-").str[0],
        product_id=None,
        coupon_amount=np.where(rng.random(len(rows)) < 0.1, np.round(rows["amount"] * 0.1, 2), 0.0),
        n_items=rng.integers(1, 9, len(rows)),
        channel=np.where(online, CHANNELS[2], np.where(rows["terminal_id"].str.endswith("3"), *CHANNELS[1::-1])),
        paid_at=paid_at,
    )
    return {"payments": _typed(payments, PAYMENTS), "chargebacks": _chargebacks(rng, payments)}


def _genuine(rng: np.random.Generator, usual: np.ndarray[Any, Any]) -> pd.DataFrame:
    n_rows = int(len(usual) * DAYS * PACE)
    who = rng.integers(0, len(usual), n_rows)
    till = rng.choice(np.arange(1, TILLS + 1), n_rows, p=TILL_SHARES).astype(str)
    place = np.where(rng.random(n_rows) < 0.1, "web", till)
    hours = np.clip(rng.normal(15, 3, n_rows), 7, 22)
    return pd.DataFrame(
        {
            "customer_id": [_customer(number) for number in who],
            "terminal_id": [f"{number % STORES}-{at}" for number, at in zip(who, place, strict=True)],
            "amount": np.round(usual[who] * rng.gamma(6.0, 1 / 6, n_rows) + 0.5, 2),
            "second": rng.integers(0, DAYS, n_rows) * 86_400 + (hours * 3600).astype(int),
            "is_fraud": False,
        }
    )


def _bursts(rng: np.random.Generator, usual: np.ndarray[Any, Any]) -> list[Rows]:
    rows = []
    for _ in range(rng.poisson(BURSTS_PER_DAY * DAYS)):
        who, day, store = rng.integers(len(usual)), rng.integers(DAYS), rng.integers(STORES)
        for turn in range(rng.integers(2, 6)):
            amount = np.round(usual[who] * rng.uniform(2, 6), 2)
            second = day * 86_400 + rng.integers(0, 6 * 3600) + turn
            rows.append(_paid(who, f"{store}-web", amount, second))
    return rows


def _copied(rng: np.random.Generator, usual: np.ndarray[Any, Any]) -> list[Rows]:
    days = [day for day in range(COPIED_FROM_DAY, DAYS) if rng.random() < COPIED_EVERY]
    return [
        _paid(
            rng.integers(len(usual)),
            "0-2",
            np.round(rng.uniform(5, 60), 2),
            np.int64(day * 86_400) + rng.integers(86_400),
        )
        for day in days
    ]


def _paid(who: np.int64, terminal: str, amount: float, second: np.int64) -> Rows:
    return {"customer_id": _customer(who), "terminal_id": terminal, "amount": amount, "second": second}


def _chargebacks(rng: np.random.Generator, payments: pd.DataFrame) -> pd.DataFrame:
    frauds = payments[payments["is_fraud"]]
    reported = frauds["paid_at"] + pd.to_timedelta(rng.uniform(2, 13, len(frauds)) * 86_400 // 1, unit="s")
    notices = pd.DataFrame(
        {"payment_id": frauds["payment_id"], "payment_at": frauds["paid_at"], "reported_at": reported, "reason": "10.4"}
    )
    return _typed(notices[reported < NEWEST + pd.Timedelta(days=1)], CHARGEBACKS)


def _customer(number: np.int64) -> str:
    return f"k{number:05d}"


def _typed(frame: pd.DataFrame, table: Any) -> pd.DataFrame:
    names = [column.name for column in table.columns]
    return frame.astype({column.name: TYPES[column.type] for column in table.columns})[names].reset_index(drop=True)
