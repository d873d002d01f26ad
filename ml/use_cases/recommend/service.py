"""How recommendations are asked for, answered and explained; runs on numpy and the exported model alone."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from ml.contract import OUT_OF_STOCK, REQUEST_ID, Explanation, JsonObject, Predictor, Reason
from ml.field import Article, Identifier, Moment, Sent, ShopTime
from ml.use_cases.recommend import newcomer, segment, similar_items
from ml.use_cases.recommend.catalogue import Catalogue, catalogue_of
from ml.use_cases.recommend.describe import describe_history
from ml.use_cases.recommend.encode import Events, Positions, events_of_history, inputs, positions
from ml.use_cases.recommend.entry import Entry
from ml.use_cases.recommend.explore import Explored, Explorer, Known
from ml.use_cases.recommend.history import Purchase, from_purchases, local
from ml.use_cases.recommend.judgement import top_k
from ml.use_cases.recommend.vocabulary import Vocabulary, vocabulary_of

if TYPE_CHECKING:
    import pandas as pd

MAX_K = 50
NAMED_REASONS = 5  # products of a history that are named; the others are summed
MOST_PURCHASES = 40  # newest purchases of an example that its request brings
DIGITS = 6
SAME_PRODUCT, OTHER_PRODUCT = "the product itself was bought", "other products were bought"
HABIT, FITTING = "bought before", "goes with what was bought"


class RecommendRequest(Sent):
    """Who asks, or what they bought."""

    customer_id: Identifier | None = Field(None, description="whose known history is used")
    history: list[Purchase] | None = Field(
        None, max_length=5000, description="purchases that are used instead of a known history"
    )
    similar_to: Article | None = Field(None, description="a product: the answer is what is similar to it, whoever asks")
    age_group: str | None = Field(None, max_length=50, description="used where no purchase is known")
    income_group: str | None = Field(None, max_length=50, description="used where no purchase or age group is known")
    k: int = Field(10, ge=1, le=MAX_K, description="how many products")
    exclude: list[Article] = Field([], max_length=1000, description="products that are not wanted")
    now: Moment | None = Field(
        None, description="moment of the visit; by default the newest the data or the history know"
    )


class Item(BaseModel):
    """One recommended product."""

    product_id: str
    name: str
    category: str = ""
    score: float = Field(description="what the products are ranked by; comparable within one answer, new ones apart")
    rank: int = Field(ge=1)
    reason: str = Field("", description="why it is here, in a few words")
    is_new: bool = Field(False, description="too new to be learned, so chosen by its category")


class RecommendResponse(BaseModel):
    """Products, best first."""

    items: list[Item]
    fallback: bool = Field(
        description="nothing is known of the customer or product: this sells now, from many categories"
    )
    as_of: ShopTime = Field(description="moment the answer is for")
    unknown_products: int = Field(0, description="products in the request that nobody knows; they were ignored")
    explored: Explored | None = Field(None, description="what was drawn by chance; none: this is the base list")


class Asked:
    """A request with everything it is answered from."""

    def __init__(self, state: JsonObject, request: RecommendRequest, history: JsonObject | None) -> None:
        self.k = request.k
        self.seed: str | None = (history or {}).get(REQUEST_ID) if request.customer_id else None
        self.left_out = {*request.exclude, *(history or {}).get(OUT_OF_STOCK, ())}
        self.history = used(request, history)
        self.now = moment(state, request, self.history)
        self.events: Events = events_of_history(self.history, self.now, state)
        self.found: Positions = positions(self.events)

    def encoded(self, state: JsonObject) -> dict[str, NDArray[Any]]:
        """Return the model's inputs, one row."""
        return inputs(self.events, self.found, state)

    def best(self, scores: NDArray[np.float32], vocabulary: Vocabulary, k: int) -> list[int]:
        """Return the numbers of the best products that are wanted and can be delivered, best first."""
        left_out = [vocabulary.numbers[product] for product in self.left_out if product in vocabulary.numbers]
        allowed = scores.copy()
        allowed[left_out] = -np.inf
        k = min(k, len(scores) - len(set(left_out)))
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


def catalogue(state: JsonObject) -> Collection[str]:
    """Return the identifiers of all products that a state knows."""
    return catalogue_of(state).numbers


def answer(
    predictor: Predictor, state: JsonObject, request: BaseModel, history: JsonObject | None
) -> RecommendResponse:
    """Return the best products for a request."""
    wanted = _typed(request)
    asked, catalogue = Asked(state, wanted, history), catalogue_of(state)
    listed, explored = _aside(predictor, state, wanted, asked), None
    if listed is None:
        listed, explored = _next_basket(predictor, state, asked, asked.seed)
    return RecommendResponse(
        items=[_item(entry, rank, catalogue) for rank, entry in enumerate(listed, 1)],
        fallback=_is_fallback(wanted, asked, catalogue),
        as_of=asked.now,
        unknown_products=_unknown(wanted, catalogue),
        explored=explored,
    )


def explain(
    predictor: Predictor, state: JsonObject, request: BaseModel, history: JsonObject | None
) -> list[Explanation]:
    """Return why each product of the base list was chosen: what each product of the history adds to its score.

    The exported model itself is asked, once with an empty history (the base) and once with each product alone: scores
    are sums over the products of a history, so the differences add up to the score; what rounding leaves is the
    residual.
    """
    wanted = _typed(request)
    asked, catalogue = Asked(state, wanted, history), catalogue_of(state)
    listed = _aside(predictor, state, wanted, asked)
    if listed is None:
        listed = _with_reasons(predictor, state, asked, _next_basket(predictor, state, asked, None)[0])
    return [entry.explained(catalogue.names[entry.number]) for entry in listed]


def _is_fallback(request: RecommendRequest, asked: Asked, catalogue: Catalogue) -> bool:
    if request.similar_to is not None:
        return request.similar_to not in catalogue.numbers
    return len(asked.found.item) == 0


def _aside(predictor: Predictor, state: JsonObject, request: RecommendRequest, asked: Asked) -> list[Entry] | None:
    """Return the list where it is not about the next basket of a customer with a history: similar products, or a fallback."""
    catalogue = catalogue_of(state)
    if _is_fallback(request, asked, catalogue):
        groups = {name: getattr(request, name) for name in segment.ATTRIBUTES}
        return segment.entries(state, segment.segment_of(state, groups), asked.k, asked.left_out)
    if request.similar_to is None:
        return None
    number = catalogue.numbers[request.similar_to]
    like = similar_items.likeness(predictor, state, number, asked.now)
    return similar_items.entries(like, number, asked.k, state, asked.left_out)


def _next_basket(
    predictor: Predictor, state: JsonObject, asked: Asked, seed: str | None
) -> tuple[list[Entry], Explored | None]:
    """Return the products the model ranks first, and what was drawn of them by chance, if there is a seed.

    The tenth may have given way to a new one.
    """
    vocabulary, bought = vocabulary_of(state), set(asked.found.item.tolist())
    scores = predictor(asked.encoded(state))[0]
    explorer = Explorer(state, asked.k, asked.now, seed)
    ranked = [
        Entry(number=number, score=float(scores[number]), said=HABIT if number in bought else FITTING)
        for number in asked.best(scores, vocabulary, explorer.wanted)
    ]
    listed = newcomer.placed(ranked[: asked.k], state, asked.found, asked.now, asked.left_out)
    known = Known(scores=scores, events=asked.events, found=asked.found, vocabulary=vocabulary)
    return explorer.rerank(listed, ranked[asked.k :], known)


def _with_reasons(predictor: Predictor, state: JsonObject, asked: Asked, listed: list[Entry]) -> list[Entry]:
    """Add to each product the model ranked what it starts from and what each product of the history adds."""
    vocabulary = vocabulary_of(state)
    ranked = [entry.number for entry in listed if entry.number < len(vocabulary.products)]
    base, parts = occlude(predictor, asked.encoded(state), ranked)
    told = _Told(asked, vocabulary)
    places = {number: at for at, number in enumerate(ranked)}
    return [
        replace(entry, base=float(base[at]), reasons=told.reasons(entry.number, parts[:, at]))
        if (at := places.get(entry.number)) is not None
        else entry
        for entry in listed
    ]


def _item(entry: Entry, rank: int, catalogue: Catalogue) -> Item:
    return Item(
        product_id=catalogue.products[entry.number],
        name=catalogue.names[entry.number],
        category=catalogue.categories[entry.number],
        score=round(entry.score, DIGITS),
        rank=rank,
        reason=entry.said,
        is_new=catalogue.is_new(entry.number),
    )


def _unknown(request: RecommendRequest, catalogue: Catalogue) -> int:
    """Return how many products the request brings that are not in the catalogue."""
    named = {purchase.product_id for purchase in request.history or ()}
    if request.similar_to is not None:
        named.add(request.similar_to)
    return len(named - catalogue.numbers.keys())


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


def from_examples(examples: pd.DataFrame, state: JsonObject, n: int) -> list[JsonObject]:
    """Return requests that bring the newest purchases of test examples, spread over the window."""
    step = max(1, len(examples) // n)
    rows = examples.iloc[::step].head(n).to_dict("records")
    vocabulary = vocabulary_of(state)
    return [_request_of(row, vocabulary) for row in rows]


def features(request: BaseModel, response: BaseModel, history: JsonObject | None) -> dict[str, float | str]:
    """Return what drift is looked for in: what is known of the customer, and the score where the model ranked the list."""
    wanted, given = _typed(request), cast(RecommendResponse, response)
    described = describe_history(used(wanted, history), given.as_of)
    if given.fallback or wanted.similar_to is not None:
        return {**described}
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


def _request_of(row: dict[Any, Any], vocabulary: Vocabulary) -> JsonObject:
    """Return one request; products that are not in the vocabulary are left out, baskets are numbered."""
    numbers = vocabulary.find(np.asarray(row["items"], dtype=np.int64))
    known = np.flatnonzero(numbers >= 0)[:MOST_PURCHASES]
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


def _typed(request: BaseModel) -> RecommendRequest:
    return cast(RecommendRequest, request)
