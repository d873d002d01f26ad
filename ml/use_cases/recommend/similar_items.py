"""Products similar to one: by what buying it adds to others in the exported model; by attributes where that rests on few.

    likeness(i, j) = trust · lift(i | j) / highest lift + (1 − trust) · alike(i, j)
    lift(i | j) = score of i after buying j − score of i without any purchase
    trust = n / (n + FEW), n = training baskets with the rarer of the two

A product too new to be learned has n = 0 at both ends: attributes alone speak for it, and at most the tenth place goes to one.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from ml.contract import JsonObject, Predictor, Reason
from ml.use_cases.recommend.catalogue import UNKNOWN, Catalogue, catalogue_of
from ml.use_cases.recommend.encode import events_of_history, inputs, positions
from ml.use_cases.recommend.entry import Entry
from ml.use_cases.recommend.newcomer import PLACE, newcomers_of

FEW = 20.0  # baskets: as much as attributes weigh against purchases
ALIKE = {"category": 0.6, "brand": 0.2, "department": 0.2}
"""What each attribute in common adds; together 1."""
POPULAR = "popular"  # where nothing else speaks for a product
TOGETHER, CATEGORY, BRAND, DEPARTMENT = "often bought together", "same category", "same brand", "same department"


@dataclass(frozen=True, kw_only=True)
class Likeness:
    """How similar all products are to one, term by term: `(n_products,)` each."""

    together: NDArray[np.float64]
    category: NDArray[np.float64]
    brand: NDArray[np.float64]
    department: NDArray[np.float64]

    @property
    def total(self) -> NDArray[np.float64]:
        """The sum of the terms [about 0..1]."""
        return self.together + self.category + self.brand + self.department

    def terms(self, number: int) -> dict[str, float]:
        """Return what each reason adds for one product."""
        named = {TOGETHER: self.together, CATEGORY: self.category, BRAND: self.brand, DEPARTMENT: self.department}
        return {reason: float(values[number]) for reason, values in named.items() if values[number]}


def likeness(predictor: Predictor, state: JsonObject, number: int, now: datetime) -> Likeness:
    """Return how similar all products of the catalogue are to one of them."""
    catalogue = catalogue_of(state)
    baskets = np.minimum(catalogue.popularity, catalogue.popularity[number])
    baskets[catalogue.n_learned :] = 0
    trust = baskets / (baskets + FEW) if not catalogue.is_new(number) else np.zeros(len(baskets))
    alike = {
        name: (1 - trust) * weight * _same(getattr(catalogue, column), number)
        for (name, weight), column in zip(ALIKE.items(), ("categories", "brands", "departments"), strict=True)
    }
    return Likeness(together=trust * _lift(predictor, state, catalogue, number, now), **alike)


def entries(like: Likeness, number: int, k: int, state: JsonObject, left_out: AbstractSet[str]) -> list[Entry]:
    """Return the most similar products with their reasons, the strongest first."""
    name, total = catalogue_of(state).names[number], like.total
    listed = []
    for at in most_similar(like, number, k, state, left_out):
        terms = sorted(like.terms(at).items(), key=lambda term: -term[1])
        reasons = tuple(Reason(text=f"{kind}: {name}", contribution=value, kind=kind) for kind, value in terms)
        listed.append(Entry(number=at, score=float(total[at]), said=terms[0][0] if terms else POPULAR, reasons=reasons))
    return listed


def most_similar(
    like: Likeness, number: int, k: int, state: JsonObject, left_out: AbstractSet[str] = frozenset()
) -> list[int]:
    """Return the most similar products that can be shown, best first: equal ones by popularity, one new one at most."""
    catalogue = catalogue_of(state)
    unwanted = {*left_out, catalogue.products[number]}
    order = np.argsort(-like.total[: catalogue.n_learned], kind="stable").tolist()
    best = list(islice((at for at in order if catalogue.products[at] not in unwanted), k))
    newcomers = newcomers_of(state)
    if newcomers is None or k <= PLACE:
        return best
    of_kind = [at for at in newcomers.firsts(unwanted).tolist() if catalogue.kinds[at] == catalogue.kinds[number]]
    return [*best[:PLACE], *of_kind, *best[PLACE:]][:k]


def _lift(
    predictor: Predictor, state: JsonObject, catalogue: Catalogue, number: int, now: datetime
) -> NDArray[np.float64]:
    """Return what one purchase adds to each product's score, as a share of the highest gain; 0 where it adds nothing."""
    gains = np.zeros(len(catalogue.products))
    if catalogue.is_new(number):
        return gains
    bought = {"baskets": [[now.isoformat(), [catalogue.products[number]]]], "last": None}
    events = events_of_history(bought, now, state)
    encoded = inputs(events, positions(events), state)
    nothing = {name: np.zeros_like(values) for name, values in encoded.items()}
    both = {name: np.concatenate([encoded[name], nothing[name]]) for name in encoded}
    after, before = predictor(both).astype(np.float64)
    gains[: catalogue.n_learned] = np.maximum(after - before, 0)
    gains[number] = 0
    highest = gains.max()
    return gains / highest if highest > 0 else gains


def _same(values: tuple[str, ...], number: int) -> NDArray[np.float64]:
    own = values[number]
    is_same: NDArray[np.bool_] = np.array(values, dtype=object) == own
    return is_same.astype(np.float64) * (own != UNKNOWN)
