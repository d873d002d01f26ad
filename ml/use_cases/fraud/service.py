"""How a payment is answered and explained; runs on numpy, LightGBM and LiteRT alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from ml.contract import Explanation, JsonObject, Predictor, Reason
from ml.use_cases.fraud import memory
from ml.use_cases.fraud.describe import figures
from ml.use_cases.fraud.encode import inputs
from ml.use_cases.fraud.evidence import FEATURES, GROUPS, of_order, told
from ml.use_cases.fraud.history import card_of, terminal_of
from ml.use_cases.fraud.message import FraudRequest, FraudResponse, ReasonCode, local, second_of
from ml.use_cases.fraud.policy import APPROVE, DECISIONS
from ml.use_cases.fraud.predictor import EXPLAINED
from ml.use_cases.fraud.velocity import cents_of
from ml.use_cases.fraud.verdict import DECISION, PROBABILITY, SCORE

if TYPE_CHECKING:
    import pandas as pd

DIGITS = 6
ANY_DELAY = 1  # none of the figures that drift is looked for in depends on it [days]
MOST_REASONS = 3  # of a decision
LEAST_REASON = 0.05  # contribution from which a kind of evidence is named beside the strongest [log-odds]


class Asked:
    """A request with everything it is answered from."""

    def __init__(self, state: JsonObject, request: BaseModel, history: JsonObject | None) -> None:
        self.request = cast(FraudRequest, request)
        self.payment = memory.Payment(second=second_of(self.request.paid_at), cents=cents_of(self.request.amount))
        self.card = self.request.card.model_dump(exclude_none=True) if self.request.card else card_of(history)
        self.terminal = self.request.terminal.model_dump() if self.request.terminal else terminal_of(history)
        self.known = {**self._of_past(state["delay_days"]), **self._of_order()}

    def encoded(self) -> dict[str, NDArray[Any]]:
        """Return the model's inputs, one row."""
        return inputs(np.array([[self.known[name] for name in FEATURES]]))

    def explained(self, predictor: Predictor) -> NDArray[np.float64]:
        """Return score, probability, decision, base and what each kind of evidence adds."""
        found = predictor({**self.encoded(), EXPLAINED: np.ones((1, 1))})
        return np.asarray(found[0], dtype=np.float64)

    def _of_past(self, delay_days: int) -> dict[str, float]:
        return memory.features(self.card, self.terminal, self.payment, delay_days)

    def _of_order(self) -> dict[str, float]:
        asked = self.request
        found = of_order(
            np.array([self.payment.second]),
            np.array([asked.amount]),
            np.array([asked.coupon_amount]),
            np.array([asked.n_items]),
            [asked.channel],
        )
        return {name: float(value[0]) for name, value in found.items()}


def answer(predictor: Predictor, state: JsonObject, request: BaseModel, history: JsonObject | None) -> FraudResponse:
    """Return probability and decision; and reasons, where the payment is not simply approved."""
    asked = Asked(state, request, history)
    row = predictor(asked.encoded())[0]
    decision = int(row[DECISION])
    return FraudResponse(
        payment_id=asked.request.payment_id,
        decision=DECISIONS[decision],
        p_fraud=round(float(row[PROBABILITY]), DIGITS),
        score=round(float(row[SCORE]), DIGITS),
        reasons=[] if decision == APPROVE else _codes(asked, predictor),
        is_odd=memory.odd(asked.card, asked.payment),
        paid_at=local(asked.request.paid_at),
    )


def explain(
    predictor: Predictor, state: JsonObject, request: BaseModel, history: JsonObject | None
) -> list[Explanation]:
    """Return what each kind of evidence adds to the score [log-odds before calibration].

    Shapley values: of the trees their own, of the network exact ones over the kinds of evidence; what rounding leaves is
    the residual.
    """
    asked = Asked(state, request, history)
    row = asked.explained(predictor)
    score, base, parts = row[SCORE], row[DECISION + 1], row[DECISION + 2 :]
    reasons = tuple(
        Reason(text=told(kind, asked.known), contribution=float(part), kind=kind)
        for kind, part in zip(GROUPS, parts, strict=True)
    )
    residual = float(score - base - parts.sum())
    subject = f"payment of {asked.request.amount:.2f}, {DECISIONS[int(row[DECISION])]}"
    return [Explanation(subject=subject, score=float(score), base=float(base), reasons=reasons, residual=residual)]


def from_examples(examples: pd.DataFrame, state: JsonObject, n: int) -> list[JsonObject]:  # noqa: ARG001 - called as the contract says
    """Return requests that bring the memories of card and terminal, frauds first; a quarter at most if not all are asked."""
    is_fraud = examples["is_fraud"] == 1
    frauds = _spread(examples[is_fraud], n if n >= len(examples) else n // 4)
    return [_request_of(row) for row in [*frauds, *_spread(examples[~is_fraud], n - len(frauds))]]


def features(request: BaseModel, response: BaseModel, history: JsonObject | None) -> dict[str, float | str]:
    """Return what drift is looked for in."""
    asked, given = Asked({"delay_days": ANY_DELAY}, request, history), cast(FraudResponse, response)
    return {**figures(asked.known, asked.request.channel), "score": given.score}


def _codes(asked: Asked, predictor: Predictor) -> list[ReasonCode]:
    parts = np.round(asked.explained(predictor)[DECISION + 2 :], 3).tolist()
    ranked = sorted(zip(parts, GROUPS, strict=True), key=lambda part: -part[0])
    return [
        ReasonCode(code=kind, text=told(kind, asked.known), contribution=part)
        for place, (part, kind) in enumerate(ranked[:MOST_REASONS])
        if part >= LEAST_REASON or place == 0
    ]


def _spread(rows: pd.DataFrame, n: int) -> list[dict[Any, Any]]:
    """Return up to n rows from the first to the last."""
    return rows.iloc[:: max(1, len(rows) // max(n, 1))].head(n).to_dict("records")


def _request_of(row: dict[Any, Any]) -> JsonObject:
    return {
        "terminal_id": row["terminal_id"],
        "amount": float(row["paid"]),
        "coupon_amount": float(row["coupon_amount"]),
        "n_items": int(row["n_items"]),
        "channel": row["channel"],
        "paid_at": row["time"].isoformat(),
        "card": json.loads(row["card"]),
        "terminal": json.loads(row["terminal"]),
    }
