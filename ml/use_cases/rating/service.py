"""How a rating is asked for, answered and explained; runs on numpy and the exported model alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
from pydantic import BaseModel, Field

from ml.contract import Explanation, JsonObject, Predictor, Reason
from ml.field import Sent
from ml.use_cases.rating.table import INPUTS

if TYPE_CHECKING:
    import pandas as pd

DIGITS = 4
WORDS = {
    "age": "age of {0:g} years",
    "gender": "gender",
    "purchase_history": "{0:g} purchases before",
    "avg_rating": "average rating of {0:g} before",
}


class RatingRequest(Sent):
    """A customer as the formula sees one."""

    age: int = Field(ge=0, le=130, description="[years]")
    gender: int = Field(ge=0, le=1, description="1 male, 0 female")
    purchase_history: int = Field(ge=0, le=1_000_000, description="purchases before [count]")
    avg_rating: float = Field(ge=0, le=100, description="mean of the customer's ratings before")


class RatingResponse(BaseModel):
    """The rating to expect."""

    rating: float


def answer(
    predictor: Predictor,
    state: JsonObject,
    request: BaseModel,
    history: JsonObject | None,  # noqa: ARG001 - called as the contract says
) -> RatingResponse:
    """Return the rating to expect."""
    return RatingResponse(rating=round(float(predictor(_encoded(_raw(request)[None], state))[0, 0]), DIGITS))


def explain(
    predictor: Predictor,
    state: JsonObject,
    request: BaseModel,
    history: JsonObject | None,  # noqa: ARG001 - called as the contract says
) -> list[Explanation]:
    """Return what each input adds against the average customer, one changed at a time.

    For a straight line the parts add up; what a bend adds between inputs is the residual.
    """
    own, mean = _raw(request), np.array(state["mean"])
    changed = np.where(np.eye(len(INPUTS), dtype=bool), own, mean)
    scores = predictor(_encoded(np.vstack([own, mean, changed]), state))[:, 0].astype(np.float64)
    score, base, parts = scores[0], scores[1], scores[2:] - scores[1]
    reasons = tuple(
        Reason(text=WORDS[name].format(value), contribution=float(part), kind=name)
        for name, value, part in zip(INPUTS, own, parts, strict=True)
    )
    residual = float(score - base - parts.sum())
    return [Explanation(subject="rating", score=float(score), base=float(base), reasons=reasons, residual=residual)]


def observe(history: JsonObject | None, event: JsonObject) -> JsonObject:  # noqa: ARG001 - called as the contract says
    """Return nothing: the request brings all that counts."""
    return {}


def from_examples(examples: pd.DataFrame, state: JsonObject, n: int) -> list[JsonObject]:  # noqa: ARG001 - called as the contract says
    """Return requests of test rows."""
    rows = examples.head(n)[list(INPUTS)].to_dict("records")
    return [{name: float(row[name]) if name == "avg_rating" else int(row[name]) for name in INPUTS} for row in rows]


def features(request: BaseModel, response: BaseModel, history: JsonObject | None) -> dict[str, float | str]:  # noqa: ARG001 - called as the contract says
    """Return what drift is looked for in."""
    asked, given = request.model_dump(), cast(RatingResponse, response)
    return {**{name: float(asked[name]) for name in INPUTS}, "score": given.rating}


def outcome(logged: JsonObject, events: list[JsonObject]) -> dict[str, float]:  # noqa: ARG001 - called as the contract says
    """Return nothing: no customer is known, so no later rating can be joined."""
    return {}


def _raw(request: BaseModel) -> np.ndarray[Any, np.dtype[np.float64]]:
    asked = request.model_dump()
    return np.array([asked[name] for name in INPUTS], dtype=np.float64)


def _encoded(rows: np.ndarray[Any, np.dtype[np.float64]], state: JsonObject) -> dict[str, Any]:
    return {"inputs": ((rows - state["mean"]) / state["scale"]).astype(np.float32)}
