"""Draws the last places of a list among what would come next, with chances that are known exactly and logged.

Whatever is missing, stale or short shows the base list: it is what the gate judged.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from ml.bandit.choice import Choices, chances, draw, prefer_base, prefer_best
from ml.contract import DrawnPlace, JsonObject
from ml.use_cases.recommend.encode import Events, Positions
from ml.use_cases.recommend.entry import Entry
from ml.use_cases.recommend.explore_params import FEATURES, RecommendExplore
from ml.use_cases.recommend.history import local
from ml.use_cases.recommend.vocabulary import Vocabulary

EXPLORE = "explore"  # of the state
DIGITS = 6


class Candidate(BaseModel):
    """A product that may stand at a place."""

    product_id: str
    chance: float = Field(description="with which it was drawn [0..1]")
    features: dict[str, float]


class Place(BaseModel):
    """A place that was drawn."""

    rank: int
    shown: int = Field(description="number of the candidate that was drawn; 0 is the base list's own")
    candidates: list[Candidate]


class Explored(BaseModel):
    """What was drawn of a list, and by which policy."""

    policy: str = Field(description="`base`, or `learned` with the moment up to which it learned")
    places: list[Place]


@dataclass(frozen=True, kw_only=True)
class Known:
    """What an answer was worked out from."""

    scores: NDArray[np.float32]
    """`(n_products,)`"""
    events: Events
    found: Positions
    vocabulary: Vocabulary


class Explorer:
    """Explores one list, or none of it.

    Args:
        state: The fitted state; without settings nothing is explored.
        k: Length of the list.
        now: Moment of the answer.
        seed: The request's id; without one nothing is explored.
    """

    def __init__(self, state: JsonObject, k: int, now: datetime, seed: str | None) -> None:
        self._settings = RecommendExplore.model_validate(state.get(EXPLORE, {}))
        self._k = k
        self._now = now
        self._seed = seed
        self._places = math.floor(self._settings.share * k) if seed else 0

    @property
    def wanted(self) -> int:
        """How many ranked products `rerank` needs to explore."""
        return self._k + self._places * self._settings.challengers

    def rerank(
        self, listed: list[Entry], challengers: list[Entry], known: Known
    ) -> tuple[list[Entry], Explored | None]:
        """Return the list that is shown, and what was drawn of it; the base list where products are short.

        Args:
            listed: The base list. Places of products the model has not learned stay as they are.
            challengers: What would come next, best first: `wanted` products together with the list, if there are.
            known: What they were ranked by.
        """
        if self._seed is None or not self._places or self._k + len(challengers) < self.wanted:
            return listed, None
        free = [at for at, entry in enumerate(listed) if entry.number < len(known.scores)][-self._places :]
        # The challengers are dealt out, so that each place has its own and no product can stand twice.
        candidates = [*(listed[at] for at in free), *challengers]
        arms = np.array([entry.number for entry in candidates]).reshape(-1, self._places).T
        ranks = np.array(free) + 1
        choices = Choices(features=_features(arms, ranks, known), is_there=np.ones(arms.shape, dtype=bool))
        policy, preferred = self._preferred(choices)
        chance = chances(choices, preferred, self._settings.chance)
        shown, drawn = draw(chance, self._seed).tolist(), list(listed)
        places = []
        for place, (at, arm) in enumerate(zip(free, shown, strict=True)):
            drawn[at] = candidates[arm * self._places + place]
            told = _candidates(arms[place], chance[place], choices.features[place], known.vocabulary)
            places.append(Place(rank=at + 1, shown=arm, candidates=told))
        return drawn, Explored(policy=policy, places=places)

    def _preferred(self, choices: Choices) -> tuple[str, NDArray[np.int64]]:
        policy = self._settings.policy
        if policy is None or policy.gain_low <= 0 or not set(policy.weights) <= set(FEATURES) or self._is_stale():
            return "base", prefer_base(choices)
        weights = [policy.weights.get(name, 0.0) for name in FEATURES]
        return f"learned {policy.as_of.isoformat()}", prefer_best(choices, weights)

    def _is_stale(self) -> bool:
        policy = self._settings.policy
        return policy is not None and self._now - local(policy.as_of) > timedelta(days=self._settings.max_age_days)


def drawn_places(logged: JsonObject, events: list[JsonObject]) -> list[DrawnPlace]:
    """Return the drawn places of a logged answer; a reward is a purchase of what stood there."""
    answer = logged["answer"]
    bought = {str(event["product_id"]) for event in events if "product_id" in event}
    places = (answer.get("explored") or {"places": []})["places"]
    return [_drawn_place(place, bought, answer["as_of"]) for place in places]


def _drawn_place(place: JsonObject, bought: set[str], as_of: str) -> DrawnPlace:
    candidates = place["candidates"]
    return DrawnPlace(
        features=tuple(one["features"] for one in candidates),
        chances=tuple(one["chance"] for one in candidates),
        shown=place["shown"],
        reward=float(candidates[place["shown"]]["product_id"] in bought),
        as_of=as_of,
    )


def _candidates(
    numbers: NDArray[Any], chance: NDArray[np.float64], features: NDArray[np.float64], vocabulary: Vocabulary
) -> list[Candidate]:
    return [
        Candidate(
            product_id=vocabulary.products[number],
            chance=one,
            features=dict(zip(FEATURES, values, strict=True)),
        )
        for number, one, values in zip(numbers.tolist(), chance.tolist(), features.tolist(), strict=True)
    ]


def _features(arms: NDArray[Any], ranks: NDArray[Any], known: Known) -> NDArray[np.float64]:
    """Return `(n_places, n_arms, len(FEATURES))`."""
    at = np.full(len(known.scores), -1)
    at[known.found.item] = np.arange(len(known.found.item))
    place = at[arms]
    bought = place >= 0
    count, age = (np.append(values, 0.0)[place] for values in (known.found.count, known.found.last_age))
    popularity, _, repeats, _ = known.vocabulary.statistics
    columns = (
        np.arange(arms.shape[1]) > 0,
        known.scores[arms] - known.scores[arms[:, :1]],
        bought,
        np.log1p(count),
        np.log1p(age) / 2,
        popularity[arms],
        repeats[arms],
        np.log1p(known.events.n_baskets[0]) / 2,
        ranks[:, None] / 10,
    )
    stacked = np.zeros((*arms.shape, len(FEATURES)))
    for number, column in enumerate(columns):
        stacked[:, :, number] = column
    return stacked.round(DIGITS)
