"""Tallies of a whole table of payments: what each payment's card and terminal had done, and what was known, before it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml.errors import SourceInvalid
from ml.use_cases.fraud.timeline import Timeline, Whole
from ml.use_cases.fraud.velocity import (
    COUNT_DAYS,
    DAY,
    LONGEST_DAYS,
    NONE,
    ODD_DAYS,
    RISK_DAYS,
    derive,
    is_odd,
    to_cents,
)

if TYPE_CHECKING:
    import pandas as pd

PAYMENT_COLUMNS = ("payment_id", "customer_id", "terminal_id", "amount", "paid_at")
CHARGEBACK_COLUMNS = ("payment_id", "reported_at")


def features_of(payments: pd.DataFrame, chargebacks: pd.DataFrame, delay_days: int) -> pd.DataFrame:
    """Return the features of each payment, index as the payments.

    Args:
        payments: Columns `PAYMENT_COLUMNS`; of payments in the same second the earlier row came first.
        chargebacks: Columns `CHARGEBACK_COLUMNS`; one counts from `reported_at` on, at that very second too. One of a
            payment that is not in the table is left out.
        delay_days: After so many days a payment without a charge-back counts as settled [days, 1 or more].

    Raises:
        SourceInvalid: A column is missing.
    """
    import pandas as pd

    return pd.DataFrame(derive(tally(payments, chargebacks, delay_days)), index=payments.index)


def tally(payments: pd.DataFrame, chargebacks: pd.DataFrame, delay_days: int) -> dict[str, Whole]:
    """Return the tallies of each payment; see `features_of`."""
    if delay_days < 1:
        raise ValueError(f"Expected a delay of at least 1 day. Received {delay_days}.")
    _require(payments, PAYMENT_COLUMNS, "payments")
    _require(chargebacks, CHARGEBACK_COLUMNS, "charge-backs")
    cents = to_cents(payments["amount"].to_numpy(dtype=float))
    second = _seconds(payments["paid_at"])
    card, terminal = _codes(payments["customer_id"]), _codes(payments["terminal_id"])
    by_card = _by_card(card, second, cents)
    rows, reported = _known(payments["payment_id"], chargebacks)
    odd = is_odd(cents, by_card["card_count"], by_card["card_cents"])
    return {
        "cents": cents,
        "second": second,
        **by_card,
        **_known_of_card(card, second, rows, reported),
        **_by_terminal(terminal, second, delay_days * DAY),
        **_known_of_terminal(terminal, second, rows, reported),
        **_run_of_terminal(terminal, second, rows[~odd[rows]], reported[~odd[rows]], delay_days * DAY),
    }


def _by_card(card: Whole, second: Whole, cents: Whole) -> dict[str, Whole]:
    line = Timeline(card, second)
    here, start = line.rank, line.start(card)
    sums, squares = line.sums(cents), line.sums(cents**2)
    count, total = here - start, sums[here] - sums[start]
    odd = is_odd(cents, count, total).astype(np.int64)
    odds, odd_cents = line.sums(odd), line.sums(odd * cents)
    found = {
        "card_count": count,
        "card_cents": total,
        "card_squares": squares[here] - squares[start],
        "card_usual_count": count - (odds[here] - odds[start]),
        "card_usual_cents": total - (odd_cents[here] - odd_cents[start]),
        "card_last": line.pick(second, here - 1, count > 0, NONE),
    }
    for days in COUNT_DAYS:
        low = line.until(card, second - days * DAY)
        found |= {f"card_count_{days}d": here - low, f"card_cents_{days}d": sums[here] - sums[low]}
        if days == LONGEST_DAYS:
            found["card_first_30d"] = line.pick(second, low, here > low, NONE)
    for days in ODD_DAYS:
        found[f"card_odd_{days}d"] = odds[here] - odds[line.until(card, second - days * DAY)]
    return found


def _known_of_card(card: Whole, second: Whole, rows: Whole, reported: Whole) -> dict[str, Whole]:
    line = Timeline(card[rows], reported)
    high, low = line.until(card, second), line.until(card, second - LONGEST_DAYS * DAY)
    return {
        "card_known_30d": high - low,
        "card_known_paid": line.pick(second[rows], high - 1, high > low, NONE),
    }


def _by_terminal(terminal: Whole, second: Whole, delay: int) -> dict[str, Whole]:
    line = Timeline(terminal, second)
    settled = line.until(terminal, second - delay)
    found = {f"terminal_count_{days}d": line.rank - line.until(terminal, second - days * DAY) for days in COUNT_DAYS}
    for days in RISK_DAYS:
        found[f"terminal_settled_{days}d"] = settled - line.until(terminal, second - delay - days * DAY)
    return found


def _known_of_terminal(terminal: Whole, second: Whole, rows: Whole, reported: Whole) -> dict[str, Whole]:
    line = Timeline(terminal[rows], reported)
    high = line.until(terminal, second)
    return {f"terminal_known_{days}d": high - line.until(terminal, second - days * DAY) for days in RISK_DAYS}


def _run_of_terminal(terminal: Whole, second: Whole, rows: Whole, reported: Whole, delay: int) -> dict[str, Whole]:
    """Return the run of charge-backs of amounts that were not odd: they point at the terminal, odd ones at the card."""
    paid, plain = Timeline(terminal, second), Timeline(terminal[rows], reported)
    high = plain.until(terminal, second)
    lows = {days: plain.until(terminal, second - days * DAY) for days in RISK_DAYS}
    is_known = high > lows[LONGEST_DAYS]
    first = plain.pick(second[rows], lows[LONGEST_DAYS], is_known, NONE)
    last = plain.pick(second[rows], high - 1, is_known, NONE)
    settled = paid.until(terminal, second - delay)
    oldest = paid.until(terminal, second - delay - LONGEST_DAYS * DAY)
    run = settled - np.maximum(paid.before(terminal, first), oldest)
    clean = settled - np.maximum(paid.until(terminal, last), oldest)
    return {
        **{f"terminal_plain_{days}d": high - low for days, low in lows.items()},
        "terminal_run_paid": first,
        "terminal_known_paid": last,
        "terminal_run_count": np.where(is_known, np.maximum(run, 0), 0),
        "terminal_clean_count": np.where(is_known, np.maximum(clean, 0), 0),
    }


def _known(payment_ids: pd.Series, chargebacks: pd.DataFrame) -> tuple[Whole, Whole]:
    """Return rows of the payments charged back and the seconds they were reported, in the order of the charge-backs."""
    import pandas as pd

    rows = pd.Index(payment_ids).get_indexer(pd.Index(chargebacks["payment_id"])).astype(np.int64)
    found: NDArray[np.bool_] = rows >= 0
    return rows[found], _seconds(chargebacks["reported_at"])[found]


def _seconds(moments: pd.Series) -> Whole:
    return moments.to_numpy(dtype="datetime64[s]").astype(np.int64)


def _codes(values: pd.Series) -> Whole:
    import pandas as pd

    return pd.factorize(values)[0].astype(np.int64)


def _require(table: pd.DataFrame, columns: tuple[str, ...], what: str) -> None:
    missing = sorted(set(columns) - set(table.columns))
    if missing:
        raise SourceInvalid(f"{what} with {', '.join(columns)}", f"none of {', '.join(missing)}", "Map the columns.")
