"""Replays payments and charge-backs in order: what serving would remember of each card and terminal, at any moment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from ml.contract import JsonObject
from ml.files import canonical
from ml.serving.subject import unit_of
from ml.use_cases.fraud import memory
from ml.use_cases.fraud.velocity import to_cents

if TYPE_CHECKING:
    import pandas as pd

Event = tuple[int, int, int]
"""Second, whether it is a payment, row of the payment."""


class Replay:
    """Memories that grow event by event.

    Args:
        payments: `customer_id`, `terminal_id`, `payment_id`, `amount`, `paid_at`; of the same second the earlier row first.
        chargebacks: `payment_id`, `reported_at`; one of an unknown payment is left out.
        delay_days: As `memory.update_terminal`.
    """

    def __init__(self, payments: pd.DataFrame, chargebacks: pd.DataFrame, delay_days: int) -> None:
        self.cards: dict[str, JsonObject] = {}
        self.terminals: dict[str, JsonObject] = {}
        self._delay = delay_days
        self._seconds: list[int] = seconds(payments["paid_at"]).tolist()
        self._cents: list[int] = to_cents(payments["amount"].to_numpy(dtype=float)).tolist()
        self._customers, self._places = payments["customer_id"].tolist(), payments["terminal_id"].tolist()
        self._was_odd: dict[int, bool] = {}
        self._events = sorted([*self._payments(), *_reported(payments, chargebacks)])

    def run(self, wanted: set[int]) -> Iterator[tuple[int, JsonObject, JsonObject]]:
        """Replay everything; yield row, card and terminal of each wanted row before it is paid."""
        for moment, is_payment, row in self._events:
            card, terminal = self._known(row)
            event = self._event(moment, bool(is_payment), row)
            if is_payment:
                self._was_odd[row] = memory.odd(card, memory.Payment(second=moment, cents=self._cents[row]))
                if row in wanted:
                    yield row, card, terminal
            self.cards[self._customers[row]] = memory.update_card(card, event)
            self.terminals[self._places[row]] = memory.update_terminal(terminal, event, self._delay)

    def histories(self) -> pd.DataFrame:
        """Return columns `unit` and `history` (JSON) of every card and terminal, as serving stores them."""
        import pandas as pd

        named = {**self.cards, **{unit_of("terminal_id", name): known for name, known in self.terminals.items()}}
        rows = [(unit, canonical(named[unit]).decode()) for unit in sorted(named)]
        return pd.DataFrame(rows, columns=["unit", "history"], dtype="str")

    def _payments(self) -> Iterator[Event]:
        return ((moment, 1, row) for row, moment in enumerate(self._seconds))

    def _known(self, row: int) -> tuple[JsonObject, JsonObject]:
        card = self.cards.get(self._customers[row]) or memory.new_card()
        return card, self.terminals.get(self._places[row]) or memory.new_terminal()

    def _event(self, moment: int, is_payment: bool, row: int) -> memory.Event:
        if is_payment:
            return memory.Payment(second=moment, cents=self._cents[row])
        return memory.Chargeback(reported=moment, paid=self._seconds[row], was_odd=self._was_odd.get(row, False))


def seconds(moments: pd.Series) -> np.ndarray:
    """Return whole seconds since 1970 `(n_rows,)`; fractions are cut off."""
    return moments.to_numpy(dtype="datetime64[s]").astype(np.int64)


def _reported(payments: pd.DataFrame, chargebacks: pd.DataFrame) -> Iterator[Event]:
    rows = dict(zip(payments["payment_id"].tolist(), range(len(payments)), strict=True))
    moments = seconds(chargebacks["reported_at"]).tolist()
    known = zip(moments, chargebacks["payment_id"].tolist(), strict=True)
    return ((moment, 0, rows[payment]) for moment, payment in known if payment in rows)
