"""How recommendations are asked for, answered and explained; runs on numpy and the exported model alone."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from ml.contract import OUT_OF_STOCK, Explanation, JsonObject, Predictor, Reason
from ml.use_cases.recommend.describe import describe_history
from ml.use_cases.recommend.encode import Events, Positions, events_of_history, inputs, positions
from ml.use_cases.recommend.history import Purchase, from_purchases, local
from ml.use_cases.recommend.judgement import top_k
from ml.use_cases.recommend.vocabulary import Vocabulary, vocabulary_of

if TYPE_CHECKING:
    import pandas as pd

MAX_K = 50
NAMED_REASONS = 5  # products of a history that are named; the others are summed
GOLDEN_PURCHASES = 40  # newest purchases a golden request brings
DIGITS = 6
SAME_PRODUCT, OTHER_PRODUCT = "the product itself was bought", "other products were bought"


class RecommendRequest(BaseModel):
    """Who asks, or what they bought."""

    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True)

    customer_id: str | None = Field(None, min_length=1, max_length=200, description="whose known history is used")
    history: list[Purchase] | None = Field(
        None, max_length=5000, description="purchases that are used instead of a known history"
    )
    k: int = Field(10, ge=1, le=MAX_K, description="how many products")
    exclude: list[str] = Field([], max_length=1000, description="products that are not wanted")
    now: datetime | None = Field(
        None, description="moment of the visit; by default the newest the data or the history know"
    )


class Item(BaseModel):
    """One recommended product."""

    product_id: str
    name: str
    score: float = Field(description="what the products are ranked by; comparable within one answer")
    rank: int = Field(ge=1)


class RecommendResponse(BaseModel):
    """Products, best first."""

    items: list[Item]
    fallback: bool = Field(description="nothing is known of the customer: these are the most popular products")
    as_of: datetime = Field(description="moment the answer is for")


class Asked:
    """A request with everything it is answered from."""

    def __init__(self, state: JsonObject, request: RecommendRequest, history: JsonObject | None) -> None:
        self.k = request.k
        self.left_out = {*request.exclude, *(history or {}).get(OUT_OF_STOCK, ())}
        self.history = used(request, history)
        self.now = moment(state, request, self.history)
        self.events: Events = events_of_history(self.history, self.now, state)
        self.found: Positions = positions(self.events)

    def encoded(self, state: JsonObject) -> dict[str, NDArray[Any]]:
        """Return the model's inputs, one row."""
        return inputs(self.events, self.found, state)

    def best(self, scores: NDArray[np.float32], vocabulary: Vocabulary) -> list[int]:
        """Return the numbers of the best products that are wanted and can be delivered, best first."""
        left_out = [vocabulary.numbers[product] for product in self.left_out if product in vocabulary.numbers]
        allowed = scores.copy()
        allowed[left_out] = -np.inf
        k = min(self.k, len(scores) - len(set(left_out)))
        best: list[int] = top_k(allowed[None], k)[0].tolist() if k else []
        return best


def used(request: RecommendRequest, history: JsonObject | None) -> JsonObject:
    """Return the history an answer rests on: the request's own before a known one."""
    known = from_purchases(request.history) if request.history is not None else history
    return {"baskets": [], "last": None, **(known or {})}


def moment(state: JsonObject, request: RecommendRequest, history: JsonObject) -> datetime:
    """Return "now": what the request says, else the end of the data or the newest purchase, whichever is later.

    No clock is read: recorded data are years old, and the same request must get the same answer.
    """
    if request.now is not None:
        return local(request.now)
    as_of = datetime.fromisoformat(state["as_of"])
    return max([as_of, *(datetime.fromisoformat(time) for time, _ in history["baskets"][-1:])])


def answer(
    predictor: Predictor, state: JsonObject, request: BaseModel, history: JsonObject | None
) -> RecommendResponse:
    """Return the best products for a request."""
    wanted = _typed(request)
    asked, vocabulary = Asked(state, wanted, history), vocabulary_of(state)
    scores = predictor(asked.encoded(state))[0]
    items = [
        Item(
            product_id=vocabulary.products[number],
            name=vocabulary.names[number],
            score=round(float(scores[number]), DIGITS),
            rank=rank,
        )
        for rank, number in enumerate(asked.best(scores, vocabulary), 1)
    ]
    return RecommendResponse(items=items, fallback=len(asked.found.item) == 0, as_of=asked.now)


def explain(
    predictor: Predictor, state: JsonObject, request: BaseModel, history: JsonObject | None
) -> list[Explanation]:
    """Return why each product of the answer was chosen: what each product of the history adds to its score.

    The exported model itself is asked, once with an empty history (the base) and once with each product alone: scores
    are sums over the products of a history, so the differences add up to the score; what rounding leaves is the
    residual.
    """
    wanted = _typed(request)
    asked, vocabulary = Asked(state, wanted, history), vocabulary_of(state)
    encoded = asked.encoded(state)
    scores = predictor(encoded)[0]
    best = asked.best(scores, vocabulary)
    base, parts = occlude(predictor, encoded, best)
    told = _Told(asked, vocabulary)
    return [
        _explanation(
            vocabulary.names[number], float(scores[number]), float(base[at]), told.reasons(number, parts[:, at])
        )
        for at, number in enumerate(best)
    ]


def occlude(
    predictor: Predictor, encoded: dict[str, NDArray[Any]], numbers: list[int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return scores with an empty history `(n,)` and what each position adds `(n_positions, n)`, for some products."""
    there = np.flatnonzero(encoded["items"][0] > 0)
    alone = {name: values[0, there][:, None] for name, values in encoded.items()}
    nothing = {name: np.zeros_like(values[:, :1]) for name, values in encoded.items()}
    stacked = {name: np.concatenate([nothing[name], alone[name]]) for name in encoded}
    scores = predictor(stacked)[:, numbers].astype(np.float64)
    return scores[0], scores[1:] - scores[0]


class _Told:
    """Says in words what a customer bought."""

    def __init__(self, asked: Asked, vocabulary: Vocabulary) -> None:
        self._found = asked.found
        self._vocabulary = vocabulary

    def reasons(self, number: int, parts: NDArray[np.float64]) -> tuple[Reason, ...]:
        """Return the strongest reasons for a product, and the sum of all others."""
        order = np.argsort(-np.abs(parts), kind="stable")
        named = [
            Reason(
                text=self._told(at, number, parts[at] >= 0),
                contribution=float(parts[at]),
                kind=self._kind(at, number),
            )
            for at in order[:NAMED_REASONS]
        ]
        rest = order[NAMED_REASONS:]
        if len(rest):
            text = f"{len(rest)} other products bought"
            named.append(Reason(text=text, contribution=float(parts[rest].sum()), kind=OTHER_PRODUCT))
        return tuple(named)

    def _kind(self, at: int, number: int) -> str:
        return SAME_PRODUCT if int(self._found.item[at]) == number else OTHER_PRODUCT

    def _told(self, at: int, number: int, speaks_for: bool) -> str:
        item, count = int(self._found.item[at]), int(self._found.count[at])
        times = "once" if count == 1 else f"{count} times"
        days = int(self._found.last_age[at])
        when = "today" if days == 0 else "yesterday" if days == 1 else f"{days} days ago"
        what = "it" if item == number else self._vocabulary.names[item]
        return f"{'because' if speaks_for else 'although'} you bought {what} {times}, last {when}"


def golden(examples: pd.DataFrame, state: JsonObject, n: int) -> list[JsonObject]:
    """Return requests that bring the newest purchases of test examples, spread over the window."""
    step = max(1, len(examples) // n)
    rows = examples.iloc[::step].head(n).to_dict("records")
    vocabulary = vocabulary_of(state)
    return [_golden(row, vocabulary) for row in rows]


def features(request: BaseModel, response: BaseModel, history: JsonObject | None) -> dict[str, float | str]:
    """Return what drift is looked for in; a customer of whom nothing is known has no figures but the score."""
    wanted, given = _typed(request), cast(RecommendResponse, response)
    described = describe_history(used(wanted, history), given.as_of)
    return {**described, "score": given.items[0].score if given.items else 0.0}


def outcome(logged: JsonObject, events: list[JsonObject]) -> dict[str, float]:
    """Return whether anything recommended was bought later, and the share of later purchases that were recommended."""
    items = logged.get("answer", logged)["items"]
    recommended = {item["product_id"] for item in items}
    bought = {str(event["product_id"]) for event in events if "product_id" in event}
    if not bought or not recommended:
        return {}
    hits = len(bought & recommended)
    return {"hit": float(hits > 0), "recall": hits / len(bought), "precision": hits / len(recommended)}


def _golden(row: dict[Any, Any], vocabulary: Vocabulary) -> JsonObject:
    """Return one request; products that are not in the vocabulary are left out, baskets are numbered."""
    numbers = vocabulary.find(np.asarray(row["items"], dtype=np.int64))
    known = np.flatnonzero(numbers >= 0)[:GOLDEN_PURCHASES]
    now: datetime = row["time"].to_pydatetime()
    purchases = [
        {
            "product_id": vocabulary.products[numbers[at]],
            "purchased_at": (now - timedelta(seconds=int(row["ages"][at]))).isoformat(),
            "basket_id": f"basket {int(row['baskets_ago'][at])}",
        }
        for at in known
    ]
    return {"history": purchases, "k": 10, "now": now.isoformat()}


def _explanation(subject: str, score: float, base: float, reasons: tuple[Reason, ...]) -> Explanation:
    residual = score - base - sum(reason.contribution for reason in reasons)
    return Explanation(subject=subject, score=score, base=base, reasons=reasons, residual=residual)


def _typed(request: BaseModel) -> RecommendRequest:
    return cast(RecommendRequest, request)
