"""The one definition of velocity and risk features: from whole-number tallies of a payment's past to model features.

Tallies are counts, cents and seconds, all whole numbers, so that the running state of serving and the sorted table of
training add up to the very same values in any order; `derive` is the only place where they are divided. Windows end
at the payment and leave out their far end: `(t − w, t]`, earlier payments of the same second included, the payment
itself not. Windows and the delayed terminal risk follow the Fraud Detection Handbook (Le Borgne et al. 2022, ch. 3,
"Baseline feature transformation", https://fraud-detection-handbook.github.io).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Tallies = Mapping[str, NDArray[np.int64]]
"""Whole numbers by name, each `(n_rows,)`."""

DAY = 86_400  # [s]
COUNT_DAYS = (1, 7, 30)
ODD_DAYS = (1, 7, 14)
RISK_DAYS = (1, 3, 7, 14, 30)
LONGEST_DAYS = 30
NONE = -1  # a moment that never was
MAX_CENTS = 10_000_000  # larger amounts count as this one, so that sums of squares fit 64 bits
ODD_HALVES = 5  # an amount above so many halves of the card's mean is odd
ODD_AFTER = 5  # payments a card must have made before one can be odd
PRIOR_RATE = 0.01  # share of charge-backs of a terminal nobody knows
PRIOR_PAYMENTS = 2.0  # payments that prior is worth
NIGHT_HOURS = 6  # hours from midnight that count as night, the last one included


def to_cents(amount: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return amounts as whole cents, from 0 to `MAX_CENTS`."""
    return np.clip(np.rint(amount * 100), 0, MAX_CENTS).astype(np.int64)


def cents_of(amount: float) -> int:
    """Return one amount as whole cents."""
    return int(to_cents(np.array([amount]))[0])


def is_odd(cents: NDArray[np.int64], count: NDArray[np.int64], total: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell which amounts are out of line with the `count` earlier payments of the card that sum to `total` cents."""
    return (count >= ODD_AFTER) & (2 * cents * count > ODD_HALVES * total)


def derive(tallies: Tallies) -> dict[str, NDArray[np.float64]]:
    """Return the features; not-a-number where there is nothing to tell (no earlier payment, no charge-back)."""
    return {**_of_payment(tallies), **_of_card(tallies), **_of_gaps(tallies), **_of_terminal(tallies)}


def _of_payment(tallies: Tallies) -> dict[str, NDArray[np.float64]]:
    second = tallies["second"]
    return {
        "amount": tallies["cents"] / 100,
        "is_night": (second % DAY < (NIGHT_HOURS + 1) * 3600).astype(float),
        "is_weekend": ((second // DAY + 3) % 7 >= 5).astype(float),  # day 0, 1970-01-01, was a Thursday
    }


def _of_card(tallies: Tallies) -> dict[str, NDArray[np.float64]]:
    cents, count = tallies["cents"], tallies["card_count"]
    mean = _share(tallies["card_cents"], count)
    spread = np.sqrt(np.maximum(_share(tallies["card_squares"], count) - mean**2, 0.0))
    usual = _share(tallies["card_usual_cents"], tallies["card_usual_count"])
    found = {
        "card_count": count.astype(float),
        "card_mean": usual / 100,
        "amount_to_mean": cents / np.maximum(usual, 1.0),
        "amount_in_spreads": (cents - mean) / np.maximum(spread, 100.0),
    }
    for days in COUNT_DAYS:
        with_this = tallies[f"card_count_{days}d"] + 1
        found[f"card_count_{days}d"] = with_this.astype(float)
        found[f"card_mean_{days}d"] = (tallies[f"card_cents_{days}d"] + cents) / with_this / 100
    for days in ODD_DAYS:
        odd = tallies[f"card_odd_{days}d"]
        found[f"card_odd_{days}d"] = odd.astype(float)
    found["card_odd_share_7d"] = _share(tallies["card_odd_7d"], tallies["card_count_7d"])
    found["card_known_30d"] = tallies["card_known_30d"].astype(float)
    found["card_known_days"] = _days_since(tallies, "card_known_paid")
    return found


def _of_gaps(tallies: Tallies) -> dict[str, NDArray[np.float64]]:
    gap = np.where(tallies["card_last"] == NONE, np.nan, tallies["second"] - tallies["card_last"])
    usual = _share(tallies["card_last"] - tallies["card_first_30d"], tallies["card_count_30d"] - 1)
    return {"card_gap": gap, "card_mean_gap_30d": usual, "card_gap_ratio": gap / np.maximum(usual, 1.0)}


def _of_terminal(tallies: Tallies) -> dict[str, NDArray[np.float64]]:
    found = {f"terminal_count_{days}d": tallies[f"terminal_count_{days}d"].astype(float) for days in COUNT_DAYS}
    for days in RISK_DAYS:
        settled = tallies[f"terminal_settled_{days}d"]
        found[f"terminal_known_{days}d"] = tallies[f"terminal_known_{days}d"].astype(float)
        found[f"terminal_risk_{days}d"] = _smoothed(tallies[f"terminal_known_{days}d"], settled)
        found[f"terminal_plain_{days}d"] = tallies[f"terminal_plain_{days}d"].astype(float)
    found["terminal_run_risk"] = _share(tallies["terminal_plain_30d"], tallies["terminal_run_count"])
    found["terminal_run_count"] = tallies["terminal_run_count"].astype(float)
    found["terminal_clean_count"] = tallies["terminal_clean_count"].astype(float)
    found["terminal_run_days"] = _days_since(tallies, "terminal_run_paid")
    found["terminal_known_days"] = _days_since(tallies, "terminal_known_paid")
    return found


def _share(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)
    return found


def _smoothed(known: NDArray[np.int64], settled: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the posterior mean of a share under a beta prior: (k + m·p) / (n + m)."""
    return (known + PRIOR_PAYMENTS * PRIOR_RATE) / (np.maximum(settled, known) + PRIOR_PAYMENTS)


def _days_since(tallies: Tallies, name: str) -> NDArray[np.float64]:
    """Return calendar days, not spans of 24 hours."""
    return np.where(tallies[name] == NONE, np.nan, tallies["second"] // DAY - tallies[name] // DAY)
