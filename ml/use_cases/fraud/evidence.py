"""What a score rests on: the features by kind of evidence, and what each kind says to a reviewer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ml.use_cases.fraud.velocity import COUNT_DAYS, DAY, NIGHT_HOURS, ODD_DAYS, RISK_DAYS

Known = Mapping[str, float]
"""Features of one payment by name; not-a-number where there is nothing to tell."""

GROUPS: dict[str, tuple[str, ...]] = {
    "amount": (
        "amount",
        "card_mean",
        "amount_to_mean",
        "amount_in_spreads",
        *(f"card_mean_{days}d" for days in COUNT_DAYS),
    ),
    "time": ("hour", "is_night", "is_weekend"),
    "order": ("coupon_share", "n_items", "item_price", "is_online", "is_self_checkout"),
    "pace": (*(f"card_count_{days}d" for days in COUNT_DAYS), "card_gap", "card_mean_gap_30d", "card_gap_ratio"),
    "card": (
        "card_count",
        *(f"card_odd_{days}d" for days in ODD_DAYS),
        "card_odd_share_7d",
        "card_known_30d",
        "card_known_days",
    ),
    "terminal": (
        *(f"terminal_count_{days}d" for days in COUNT_DAYS),
        *(f"terminal_{what}_{days}d" for days in RISK_DAYS for what in ("known", "risk", "plain")),
        "terminal_run_risk",
        "terminal_run_count",
        "terminal_clean_count",
        "terminal_run_days",
        "terminal_known_days",
    ),
}
"""The model's inputs: names of features by kind of evidence, in the order the model reads them."""

FEATURES: tuple[str, ...] = tuple(name for names in GROUPS.values() for name in names)
HOUR, MINUTE = 3600, 60  # [s]


def of_order(
    second: NDArray[np.int64],
    amount: NDArray[np.float64],
    coupon_amount: NDArray[np.float64],
    n_items: NDArray[np.int64],
    channel: Sequence[str],
) -> dict[str, NDArray[np.float64]]:
    """Return what a payment tells of itself, beyond `velocity`; each `(n_rows,)`.

    Args:
        second: When it is made [s since 1970, local time of the shop].
        amount: Paid, after coupons [currency of the shop].
        coupon_amount: Paid by coupon [currency of the shop].
        n_items: [pieces]; 0 counts as 1.
        channel: One of `ml.shop.CHANNELS`; another one is neither online nor a self-checkout.
    """
    price, where = amount + coupon_amount, np.asarray(channel, dtype=object)
    share = np.divide(coupon_amount, price, out=np.zeros_like(price), where=price > 0)
    return {
        "hour": (second % DAY // HOUR).astype(float),
        "coupon_share": share,
        "n_items": n_items.astype(float),
        "item_price": price / np.maximum(n_items, 1),
        "is_online": (where == "online").astype(float),
        "is_self_checkout": (where == "self_checkout").astype(float),
    }


def told(kind: str, known: Known) -> str:
    """Return what one kind of evidence says of a payment, in words."""
    return WORDS[kind](known)


def _amount(known: Known) -> str:
    paid = f"{known['amount']:.2f} paid"
    times = known["amount_to_mean"]
    return f"{paid}; the card's usual amount is not known" if np.isnan(times) else f"{paid}, {_times(times)} its usual"


def _times(ratio: float) -> str:
    return f"{ratio:.1f} times" if ratio < 10 else f"{ratio:.0f} times"


def _time(known: Known) -> str:
    part = "night" if known["hour"] <= NIGHT_HOURS else "day"
    return f"paid at {known['hour']:.0f} o'clock, by {part}{', at the weekend' if known['is_weekend'] else ''}"


def _order(known: Known) -> str:
    where = "online" if known["is_online"] else "at the self-checkout" if known["is_self_checkout"] else "at a till"
    pieces = _count(known["n_items"], "item")
    share = known["coupon_share"]
    return f"{pieces} bought {where}" + (f", {share:.0%} of the price paid by coupon" if share else "")


def _pace(known: Known) -> str:
    counts = (
        f"payment {known['card_count_1d']:.0f} of this card within a day, {known['card_count_7d']:.0f} within a week"
    )
    return counts if np.isnan(known["card_gap"]) else f"{counts}; the one before {_ago(known['card_gap'])}"


def _ago(seconds: float) -> str:
    if seconds < HOUR:
        return f"{seconds // MINUTE:.0f} minutes ago"
    return f"{seconds // HOUR:.0f} hours ago" if seconds < 2 * DAY else f"{seconds // DAY:.0f} days ago"


def _card(known: Known) -> str:
    if not known["card_count"]:
        return "a card that was never seen before"
    odd, back = known["card_odd_14d"], known["card_known_30d"]
    return (
        f"a card with {_count(known['card_count'], 'payment')} before, {odd:.0f} unusual in two weeks, {_backs(back)}"
    )


def _terminal(known: Known) -> str:
    paid = _count(known["terminal_count_7d"], "payment")
    return f"a terminal with {paid} in a week, {_backs(known['terminal_known_30d'])}"


def _backs(count: float) -> str:
    return f"{_count(count, 'charge-back')} reported in 30 days"


def _count(count: float, what: str) -> str:
    return f"{f'{count:.0f}' if count else 'no'} {what}{'' if count == 1 else 's'}"


WORDS: dict[str, Callable[[Known], str]] = {
    "amount": _amount,
    "time": _time,
    "order": _order,
    "pace": _pace,
    "card": _card,
    "terminal": _terminal,
}
