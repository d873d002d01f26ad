"""How an event changes what is known of a card and of a terminal."""

from __future__ import annotations

from typing import Any

from ml.contract import JsonObject
from ml.use_cases.fraud import memory
from ml.use_cases.fraud.message import event_of

LONGEST_DELAY_DAYS = 120
"""How far back a terminal's payments are kept, whatever `delay_days` a version was trained with [days]."""
TERMINAL = "terminal_id"


def observe_card(history: JsonObject | None, event: JsonObject) -> JsonObject:
    """Return a card's history after a payment or a charge-back.

    Raises:
        ValueError: A field is missing or of another type.
    """
    return memory.update_card(card_of(history), event_of(event))


def observe_terminal(history: JsonObject | None, event: JsonObject) -> JsonObject:
    """Return a terminal's history after a payment or a charge-back.

    Raises:
        ValueError: A field is missing or of another type.
    """
    return memory.update_terminal(terminal_of({TERMINAL: history}), event_of(event), LONGEST_DELAY_DAYS)


def card_of(history: JsonObject | None) -> dict[str, Any]:
    """Return the card's part of what the server knows; a new card's memory where there is none."""
    return history if history and "count" in history else memory.new_card()


def terminal_of(history: JsonObject | None) -> dict[str, Any]:
    """Return the terminal's part of what the server knows; a new terminal's memory where there is none."""
    return (history or {}).get(TERMINAL) or memory.new_terminal()
