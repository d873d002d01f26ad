"""What serving remembers of a card and of a terminal, as plain JSON, and the features of a payment from it.

Memories hold the payments and charge-backs of the longest window and a handful of sums; an event returns a new memory.
Replaying a table event by event gives the features of `ml.use_cases.fraud.tally` to the last bit.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from dataclasses import dataclass
from typing import Any

import numpy as np

from ml.contract import JsonObject
from ml.use_cases.fraud.velocity import (
    COUNT_DAYS,
    DAY,
    LONGEST_DAYS,
    NONE,
    ODD_AFTER,
    ODD_DAYS,
    ODD_HALVES,
    RISK_DAYS,
    derive,
)

LONGEST = LONGEST_DAYS * DAY
SECOND, CENTS, ODD = range(3)  # of a remembered payment; a terminal remembers the second only
REPORTED, PAID, WAS_ODD = range(3)  # of a remembered charge-back


@dataclass(frozen=True, kw_only=True)
class Payment:
    """A payment that asks to be accepted."""

    second: int
    """When [s since 1970, local time of the shop]."""
    cents: int
    """How much, from `to_cents`."""


@dataclass(frozen=True, kw_only=True)
class Chargeback:
    """What became known of an accepted payment."""

    reported: int
    """When it became known [s since 1970]; from then on it counts."""
    paid: int
    """When the payment was made [s since 1970]."""
    was_odd: bool
    """What `odd` said of the payment."""


Event = Payment | Chargeback


def new_card() -> JsonObject:
    """Return the memory of a card that was never seen."""
    return {"count": 0, "cents": 0, "squares": 0, "usual_count": 0, "usual_cents": 0, "payments": [], "known": []}


def new_terminal() -> JsonObject:
    """Return the memory of a terminal that was never seen."""
    return {"payments": [], "known": []}


def odd(card: JsonObject, payment: Payment) -> bool:
    """Tell whether the amount is out of line with the card's earlier payments; see `velocity.is_odd`."""
    count: int = card["count"]
    return count >= ODD_AFTER and 2 * payment.cents * count > ODD_HALVES * int(card["cents"])


def update_card(card: JsonObject, event: Event) -> JsonObject:
    """Return the card's memory after an event."""
    if isinstance(event, Chargeback):
        return _with_known(card, event)
    is_odd = odd(card, event)
    return {
        "count": card["count"] + 1,
        "cents": card["cents"] + event.cents,
        "squares": card["squares"] + event.cents**2,
        "usual_count": card["usual_count"] + (not is_odd),
        "usual_cents": card["usual_cents"] + (0 if is_odd else event.cents),
        "last": max(event.second, card.get("last", NONE)),
        "payments": _inserted(card["payments"], [event.second, event.cents, int(is_odd)], event.second - LONGEST),
        "known": card["known"],
    }


def update_terminal(terminal: JsonObject, event: Event, delay_days: int) -> JsonObject:
    """Return the terminal's memory after an event."""
    if isinstance(event, Chargeback):
        return _with_known(terminal, event)
    oldest = event.second - LONGEST - delay_days * DAY
    return {"payments": _inserted(terminal["payments"], [event.second], oldest), "known": terminal["known"]}


def features(card: JsonObject, terminal: JsonObject, payment: Payment, delay_days: int) -> dict[str, float]:
    """Return the features of a payment from what is remembered before it; names and order as `tally.features_of`."""
    tallies = {
        "cents": payment.cents,
        "second": payment.second,
        **_of_card(card, payment.second),
        **_of_terminal(terminal, payment.second, delay_days * DAY),
    }
    found = derive({name: np.array([value], dtype=np.int64) for name, value in tallies.items()})
    return {name: float(value[0]) for name, value in found.items()}


def _of_card(card: JsonObject, now: int) -> dict[str, int]:
    recent, known = card["payments"], _since(card["known"], now - LONGEST, now)
    found = {
        "card_count": card["count"],
        "card_cents": card["cents"],
        "card_squares": card["squares"],
        "card_usual_count": card["usual_count"],
        "card_usual_cents": card["usual_cents"],
        "card_last": card.get("last", NONE),
        "card_known_30d": len(known),
        "card_known_paid": known[-1][PAID] if known else NONE,
    }
    for days in COUNT_DAYS:
        inside = _since(recent, now - days * DAY, now)
        found |= {f"card_count_{days}d": len(inside), f"card_cents_{days}d": sum(paid[CENTS] for paid in inside)}
    for days in ODD_DAYS:
        found[f"card_odd_{days}d"] = sum(paid[ODD] for paid in _since(recent, now - days * DAY, now))
    longest = _since(recent, now - LONGEST, now)
    return {**found, "card_first_30d": longest[0][SECOND] if longest else NONE}


def _of_terminal(terminal: JsonObject, now: int, delay: int) -> dict[str, int]:
    paid, known = terminal["payments"], terminal["known"]
    plain = [one for one in known if not one[WAS_ODD]]
    found = {f"terminal_count_{days}d": len(_since(paid, now - days * DAY, now)) for days in COUNT_DAYS}
    for days in RISK_DAYS:
        low = now - days * DAY
        found[f"terminal_settled_{days}d"] = len(_since(paid, low - delay, now - delay))
        found[f"terminal_known_{days}d"] = len(_since(known, low, now))
        found[f"terminal_plain_{days}d"] = len(_since(plain, low, now))
    return found | _run(paid, _since(plain, now - LONGEST, now), now - delay)


def _run(payments: list[Any], plain: list[Any], settled: int) -> dict[str, int]:
    if not plain:
        return {
            "terminal_run_paid": NONE,
            "terminal_known_paid": NONE,
            "terminal_run_count": 0,
            "terminal_clean_count": 0,
        }
    first, last = plain[0][PAID], plain[-1][PAID]
    inside = _since(payments, settled - LONGEST, settled)
    return {
        "terminal_run_paid": first,
        "terminal_known_paid": last,
        "terminal_run_count": len(inside) - bisect_left(inside, first, key=_moment),
        "terminal_clean_count": len(inside) - bisect_right(inside, last, key=_moment),
    }


def _with_known(memory: JsonObject, event: Chargeback) -> JsonObject:
    entry = [event.reported, event.paid, int(event.was_odd)]
    return {**memory, "known": _inserted(memory["known"], entry, event.reported - LONGEST)}


def _inserted(entries: list[Any], entry: list[int], oldest: int) -> list[Any]:
    """Return the entries later than `oldest` and the new one, in order of moment and arrival."""
    kept = entries[bisect_right(entries, oldest, key=_moment) :]
    insort(kept, entry, key=_moment)
    return kept


def _since(entries: list[Any], after: int, until: int) -> list[Any]:
    return entries[bisect_right(entries, after, key=_moment) : bisect_right(entries, until, key=_moment)]


def _moment(entry: list[int]) -> int:
    return entry[0]
