"""What to do with a message, by what it would cost: answer, ask which matter is meant, decline, or call a person.

With calibrated probabilities p the expected cost of taking a message for one thing is `WRONG (1 - p)`; of asking between k
matters `ASK k + WRONG (1 - sum of their p)`; of a person `PERSON`. The cheapest is done (Chow 1970,
https://doi.org/10.1109/TIT.1970.1054406, where the reject option has several forms).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ml.use_cases.service.corpus import OUT_OF_SCOPE

WRONG = 1.0  # cost of a wrong answer, the unit of the others
ASK = 0.1  # of each matter a customer has to read and choose from
PERSON = 0.6  # of a person's time; so that a person comes where even three options leave much doubt
MOST_OPTIONS = 3

Ranked = Sequence[tuple[str, float]]
"""Intents with their probabilities, most probable first; out of scope is one of them."""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What to do, and about which matters."""

    act: Literal["answer", "clarify", "decline", "person"]
    intents: tuple[str, ...] = ()


def decide(ranked: Ranked) -> Decision:
    """Return the act that costs least."""
    matters = [(name, p) for name, p in ranked if name != OUT_OF_SCOPE]
    outside = sum(p for name, p in ranked if name == OUT_OF_SCOPE)
    acts = [
        (WRONG * (1 - matters[0][1]), Decision(act="answer", intents=(matters[0][0],))),
        (WRONG * (1 - outside), Decision(act="decline")),
        *(_asking(matters[:k]) for k in range(2, MOST_OPTIONS + 1)),
        (PERSON, Decision(act="person", intents=tuple(name for name, _ in matters[:MOST_OPTIONS]))),
    ]
    return min(acts, key=lambda act: act[0])[1]


def _asking(matters: Ranked) -> tuple[float, Decision]:
    cost = ASK * len(matters) + WRONG * (1 - sum(p for _, p in matters))
    return cost, Decision(act="clarify", intents=tuple(name for name, _ in matters))
