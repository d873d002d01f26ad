"""Simulated fraud: payments that never took place, injected among a shop's recorded ones, each with its charge-back.

Every event is drawn by a generator of its own, keyed by seed, scenario, day and number, and looks back only: what was
paid on earlier days is all it knows. So no event depends on the order of rows, on another event or on any later day.
The scenarios follow the kinds of card fraud that the Fraud Detection Handbook simulates (Le Borgne et al. 2022,
https://fraud-detection-handbook.github.io, chapter 3), and two that hurt a shop's coupons and its rankings.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pandas as pd

from ml.files import canonical

SEED = 20170129
VERSION = 1  # of the scenarios: part of the source's digest
HISTORY_DAYS = 28  # what an event looks back on; the first one begins after as many recorded days
TERMINAL_FRAUD_SHARE = 0.4  # of the payments at a compromised terminal
FIRST_NEW_ACCOUNT, LAST_NEW_ACCOUNT = 10_000, 99_999  # accounts that only a ring uses
DELAY_DAYS = (1.0, 30.0)
DELAY_SHAPE = (5.0, 10.5)  # of a beta distribution over DELAY_DAYS: mean 10.4 days, two thirds within 7 to 14

Rows: TypeAlias = pd.DataFrame
"""Payments in the columns of `ml.shop.PAYMENTS`, in order of time."""
Draw: TypeAlias = Callable[[np.random.Generator, pd.Timestamp, Rows], Rows]
"""(generator, first day, payments before it) -> the payments of one event."""


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One way of fraud."""

    name: str
    """The reason that its charge-backs give."""
    events_per_day: float
    """Mean number of events that begin on a day (Poisson)."""
    draw: Draw


def keyed_generator(*key: str | int) -> np.random.Generator:
    """Return the generator that belongs to a key: its draws depend on the seed and the key alone."""
    words = np.frombuffer(hashlib.sha256(canonical(key)).digest(), dtype="<u4")
    return np.random.default_rng([SEED, *words.tolist()])


def simulate(recorded: Rows) -> Rows:
    """Return the simulated payments with `reported_at` and `reason`, in order of time.

    Args:
        recorded: All payments that took place, in order of time. More days at the end change no earlier row.
    """
    days = pd.DatetimeIndex(recorded.paid_at.dt.normalize().unique())
    starts = days[days >= days[0] + pd.Timedelta(days=HISTORY_DAYS)]
    simulated = pd.concat([recorded.head(0), *_events(recorded, starts)], ignore_index=True)
    on_open_days: Rows = simulated[simulated.paid_at.dt.normalize().isin(days)]
    return on_open_days.sort_values(["paid_at", "payment_id"], ignore_index=True)


def _events(recorded: Rows, starts: pd.DatetimeIndex) -> Iterator[Rows]:
    for day in starts:
        begin, end = recorded.paid_at.searchsorted([day - pd.Timedelta(days=HISTORY_DAYS), day])
        past = recorded.iloc[begin:end]
        for scenario in SCENARIOS:
            key = (scenario.name, day.date().isoformat())
            for number in range(keyed_generator(*key).poisson(scenario.events_per_day)):
                yield _event(scenario, (*key, number), day, past)


def _event(scenario: Scenario, key: tuple[str | int, ...], day: pd.Timestamp, past: Rows) -> Rows:
    rng = keyed_generator(*key)
    drawn = scenario.draw(rng, day, past)
    first, last = DELAY_DAYS
    delay = pd.to_timedelta(first + (last - first) * rng.beta(*DELAY_SHAPE, len(drawn)), unit="D")
    paid_at = drawn.paid_at.dt.floor("s")  # the recorded clock knows no fractions
    baskets = _basket_ids(key, len(drawn))
    return drawn.assign(
        basket_id=baskets,
        payment_id=payment_ids(baskets),
        amount=drawn.amount.round(2),
        coupon_amount=drawn.coupon_amount.round(2),
        paid_at=paid_at,
        reported_at=(paid_at + delay).dt.floor("s"),
        reason=scenario.name,
    )


def payment_ids(basket_ids: pd.Series[str]) -> pd.Series[str]:
    """Return the payments' identifiers: one payment a basket."""
    return "p" + basket_ids


def _basket_ids(key: tuple[str | int, ...], n: int) -> pd.Series[str]:
    """Return eleven digits each, as the recorded ones have."""
    digests = (hashlib.sha256(canonical((SEED, *key, "basket", turn))).digest() for turn in range(n))
    return pd.Series([str(10**10 + int.from_bytes(digest[:8]) % (9 * 10**10)) for digest in digests], dtype="str")


# --- Scenarios --------------------------------------------------------------------------------


def _stolen_card(rng: np.random.Generator, day: pd.Timestamp, past: Rows) -> Rows:
    """A burst in the quiet hours: one small payment to try the card, then large ones, where its owner never pays."""
    victim = _someone(rng, past)
    strange = ~_in_stores_of(victim, past)
    large = past.amount >= past.amount.quantile(0.85)
    trial = _some(rng, past, 1, strange & (past.amount < 4) & (past.n_items == 1))
    loot = _some(rng, past, int(rng.integers(2, 7)), strange & large)
    loot["amount"] *= rng.uniform(1, 1.5, len(loot))
    burst = pd.concat([trial, loot], ignore_index=True)
    minutes = 60 * rng.uniform(5, 10) + rng.exponential(20, len(burst)).cumsum()  # fewest payments are at 5 to 10
    return burst.assign(customer_id=victim, coupon_amount=0.0, paid_at=day + pd.to_timedelta(minutes, unit="min"))


def _compromised_terminal(rng: np.random.Generator, day: pd.Timestamp, past: Rows) -> Rows:
    """Cards that were copied at a till pay there again for two to four weeks; amounts and hours are ordinary ones."""
    served = past.terminal_id.map(past.terminal_id.value_counts())
    busy = (past.channel == "till") & (served >= HISTORY_DAYS)  # one payment a day at least
    till = _some(rng, past, 1, busy).iloc[0]
    copied = past.terminal_id == till.terminal_id
    n_days = int(rng.integers(14, 29))
    odds = TERMINAL_FRAUD_SHARE / (1 - TERMINAL_FRAUD_SHARE)
    clones = _some(rng, past, max(1, rng.poisson(copied.sum() / HISTORY_DAYS * n_days * odds)))
    return clones.assign(
        customer_id=_some(rng, past, len(clones), copied).customer_id,
        terminal_id=till.terminal_id,
        store_id=till.store_id,
        channel=till.channel,
        paid_at=_on_days(rng, day, n_days, clones),
    )


def _account_takeover(rng: np.random.Generator, day: pd.Timestamp, past: Rows) -> Rows:
    """From one day on an account orders online, for another store, and more than its owner did."""
    victim = _someone(rng, past)
    usual = past.amount[past.customer_id == victim].mean()
    more = past.amount >= min(1.5 * usual, past.amount.quantile(0.95))
    store = str(_some(rng, past, 1, ~_in_stores_of(victim, past)).store_id.iloc[0])
    orders = _some(rng, past, int(rng.integers(5, 12)), more)
    paid_at = _on_days(rng, day, int(rng.integers(7, 22)), orders)
    return orders.assign(customer_id=victim, **_online(store), paid_at=paid_at)


def _coupon_abuse(rng: np.random.Generator, day: pd.Timestamp, past: Rows) -> Rows:
    """An account pays most of its baskets by coupon, again and again, in its own stores."""
    abuser = _someone(rng, past)
    worthwhile = past.amount >= 10
    own = worthwhile & _in_stores_of(abuser, past)
    baskets = _some(rng, past, int(rng.integers(5, 11)), own if own.any() else worthwhile)
    price = baskets.amount + baskets.coupon_amount
    coupon = (price * rng.uniform(0.5, 0.9, len(baskets))).round(2)
    paid_at = _on_days(rng, day, int(rng.integers(10, 31)), baskets)
    return baskets.assign(customer_id=abuser, amount=price - coupon, coupon_amount=coupon, paid_at=paid_at)


def _order_farming(rng: np.random.Generator, day: pd.Timestamp, past: Rows) -> Rows:
    """A ring of accounts, half of them new, orders one cheap article many times within two days, for its rank."""
    cheap = past.product_id.notna() & (past.n_items == 1) & (past.amount <= 10)
    article = _some(rng, past, 1, cheap & ~past.product_id.where(cheap).duplicated()).iloc[0]
    n_accounts = int(rng.integers(8, 16))
    new = rng.integers(FIRST_NEW_ACCOUNT, LAST_NEW_ACCOUNT + 1, n_accounts // 2).astype(str)
    known = _some(rng, past, n_accounts - len(new)).customer_id
    accounts = np.repeat([*new, *known], rng.integers(1, 4, n_accounts))
    pieces = rng.integers(1, 3, len(accounts))
    orders = _some(rng, past, len(accounts))
    return orders.assign(
        customer_id=pd.Series(accounts, dtype="str"),
        **_online(orders.store_id),
        product_id=article.product_id,
        n_items=pieces,
        amount=article.amount * pieces,
        coupon_amount=0.0,
        paid_at=day + pd.to_timedelta(rng.uniform(0, 48, len(accounts)), unit="h"),
    )


SCENARIOS = (
    Scenario(name="stolen_card", events_per_day=0.18, draw=_stolen_card),
    Scenario(name="compromised_terminal", events_per_day=0.03, draw=_compromised_terminal),
    Scenario(name="account_takeover", events_per_day=0.1, draw=_account_takeover),
    Scenario(name="coupon_abuse", events_per_day=0.08, draw=_coupon_abuse),
    Scenario(name="order_farming", events_per_day=0.04, draw=_order_farming),
)


def _some(rng: np.random.Generator, rows: Rows, n: int, among: pd.Series[bool] | None = None) -> Rows:
    """Return n rows drawn with replacement: what is simulated is made of what was recorded."""
    positions = np.arange(len(rows)) if among is None else np.flatnonzero(among)
    return rows.iloc[rng.choice(positions, size=n)].reset_index(drop=True)


def _someone(rng: np.random.Generator, past: Rows) -> str:
    """Return a customer; the more payments, the more likely."""
    return str(_some(rng, past, 1).customer_id.iloc[0])


def _in_stores_of(customer: str, past: Rows) -> pd.Series[bool]:
    """Tell which payments were made in stores where the customer paid."""
    return past.store_id.isin(past.store_id[past.customer_id == customer])


def _on_days(rng: np.random.Generator, day: pd.Timestamp, n_days: int, rows: Rows) -> pd.Series[pd.Timestamp]:
    """Return times of day as in the rows, on days drawn from n days on."""
    days_later = pd.to_timedelta(pd.Series(rng.integers(0, n_days, len(rows))), unit="D")
    times: pd.Series[pd.Timestamp] = day + days_later + (rows.paid_at - rows.paid_at.dt.normalize())
    return times


def _online(store: str | pd.Series[str]) -> dict[str, str | pd.Series[str]]:
    return {"store_id": store, "terminal_id": store + "-web", "channel": "online"}
