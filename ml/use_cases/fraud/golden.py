"""Golden requests of no card: made-up memories of cards and terminals, plain and suspicious, and payments on them.

Read of the data is one figure, the median amount to one digit, so that amounts are of the shop's kind.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from math import floor, log10
from typing import TYPE_CHECKING

from ml.contract import JsonObject
from ml.use_cases.fraud.memory import (
    Chargeback,
    Payment,
    new_card,
    new_terminal,
    update_card,
    update_terminal,
)
from ml.use_cases.fraud.message import second_of
from ml.use_cases.fraud.velocity import DAY, cents_of

if TYPE_CHECKING:
    import pandas as pd

NOW = datetime(2026, 1, 14, 12)  # any day will do: only time between payments and the hour are looked at
TIMES = (1.0, 1.2, 0.4, 6.0, 0.8, 25.0)  # of the usual amount
HOURS, CHANNELS = (0, 4, -9, 7, -2), ("till", "self_checkout", "online")  # hours from noon
CARDS, TERMINALS = ("regular", "burst", "charged back", "new", "rare"), ("quiet", "busy", "charged back", "new")
LEAST_UNIT, NO_DATA = 0.01, 20.0  # [currency of the shop]


def golden(examples: pd.DataFrame, state: JsonObject, n: int) -> list[JsonObject]:
    """Return n requests, each with another card, terminal, amount, hour and channel."""
    usual, delay = _usual(examples), int(state["delay_days"])
    return [_request(at, usual, delay) for at in range(n)]


def _usual(examples: pd.DataFrame) -> float:
    """Return the median amount to one digit."""
    median = float(examples["paid"].median()) if len(examples) else NO_DATA
    if not median >= LEAST_UNIT:
        return NO_DATA
    return round(median, -floor(log10(median)))


def _request(at: int, usual: float, delay: int) -> JsonObject:
    paid_at = NOW + timedelta(hours=HOURS[at % len(HOURS)])
    amount = round(usual * TIMES[at % len(TIMES)], 2)
    return {
        "terminal_id": f"made up {at % len(TERMINALS)}",
        "amount": amount,
        "coupon_amount": round(amount / 10, 2) if at % 7 == 3 else 0.0,
        "n_items": 1 + at % 6,
        "channel": CHANNELS[at % len(CHANNELS)],
        "paid_at": paid_at.isoformat(),
        "card": _card(CARDS[at % len(CARDS)], usual, second_of(paid_at)),
        "terminal": _terminal(TERMINALS[at % len(TERMINALS)], delay, second_of(paid_at)),
    }


def _card(kind: str, usual: float, now: int) -> JsonObject:
    """Return the memory of a card that was used every fourth day, lately every few minutes, once, or never."""
    ages = {"new": (), "rare": (40 * DAY,), "burst": (30 * DAY, 20 * DAY, 10 * DAY, 1800, 900, 300)}
    card = new_card()
    for turn, age in enumerate(ages.get(kind, range(56 * DAY, 0, -4 * DAY))):
        times = 5 if age < DAY else 1 + turn % 3 / 10
        card = update_card(card, Payment(second=now - age, cents=cents_of(round(usual * times, 2))))
    if kind == "charged back":
        card = update_card(card, Chargeback(reported=now - 2 * DAY, paid=now - 12 * DAY, was_odd=True))
    return card


def _terminal(kind: str, delay: int, now: int) -> JsonObject:
    """Return the memory of a terminal with a payment every day, every hour, or none."""
    every = {"new": 0, "busy": DAY // 24}.get(kind, DAY)
    terminal = new_terminal()
    for age in range(40 * DAY, 0, -every) if every else ():
        terminal = update_terminal(terminal, Payment(second=now - age, cents=0), delay)
    if kind == "charged back":
        for days in (9, 5, 2):
            notice = Chargeback(reported=now - days * DAY, paid=now - (days + 8) * DAY, was_odd=False)
            terminal = update_terminal(terminal, notice, delay)
    return terminal
