"""Turns what was bought before into model inputs: one implementation for training, evaluation and serving.

An event is a product in a basket, with its age at the moment of the request. Events of one product of one row
become one position with features; the positions with most weight enter the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ml.contract import JsonObject
from ml.use_cases.recommend.trend import TREND_FEATURES, first_period, trend_features
from ml.use_cases.recommend.vocabulary import Vocabulary, vocabulary_of

if TYPE_CHECKING:
    import pandas as pd

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

DAY = 86_400.0  # seconds
HALF_LIVES = (7.0, 30.0, 90.0)
"""Of the counts that decay with time [days]."""
BASKET_DECAYS = (0.8, 0.9, 0.97)
"""Factors a basket, of the counts that decay with each later basket."""
DECAYS = tuple(f"days_{rate:g}" for rate in HALF_LIVES) + tuple(f"baskets_{rate:g}" for rate in BASKET_DECAYS)
STRENGTH = DECAYS.index("baskets_0.97")  # the decayed count by which positions are chosen
FLOOR = 1e-4  # smallest decayed count: what is older has been forgotten
RECENCY_FEATURES = ("log_count", "log_days", "log_baskets", "is_last", "is_single", "log_due", "log_share")
ROW_FEATURES = ("log_row_baskets", "log_row_days", "log_row_span", "log_row_size")
PRODUCT_FEATURES = ("log_popularity", "log_customers", "repeat_share", "log_gap")
GROUP_FEATURES = ("log_group_count", "log_group_share", "log_group_days", "log_group_due")
FEATURES = (
    *(f"log_{name}" for name in DECAYS),
    *RECENCY_FEATURES,
    *ROW_FEATURES,
    *PRODUCT_FEATURES,
    *GROUP_FEATURES,
    *TREND_FEATURES,
)
"""Columns of the input `features`."""


@dataclass(frozen=True, kw_only=True)
class Events:
    """Purchases of many rows, flat; within a row the newest first."""

    row: Ints
    item: Ints
    """Number in the vocabulary; products outside it are left out."""
    age: Floats
    """[days]"""
    ago: Ints
    """How many baskets before: 1 is the newest."""
    n_rows: int
    n_baskets: Floats
    """`(n_rows,)` baskets that are looked at, known products or not."""
    newest_age: Floats
    """`(n_rows,)` age of the newest basket [days]."""
    oldest_age: Floats
    """`(n_rows,)` age of the oldest basket that is looked at [days]."""
    period: Ints
    """`(n_rows,)` newest period of sales that is known, as `ml.use_cases.recommend.trend` counts periods."""


@dataclass(frozen=True, kw_only=True)
class Positions:
    """One product of one row a position, ordered by row, then by weight, then by number."""

    row: Ints
    item: Ints
    decayed: Floats
    """`(n, len(DECAYS))` counts of baskets, each decayed at its own rate; at least `FLOOR`."""
    count: Floats
    """Baskets with the product."""
    last_age: Floats
    """[days]"""
    first_age: Floats
    """[days]"""
    last_ago: Ints
    """[baskets]"""
    first_ago: Ints
    """[baskets]"""

    def take(self, at: NDArray[Any]) -> Positions:
        """Return the positions chosen, in that order."""
        return Positions(**{field.name: getattr(self, field.name)[at] for field in fields(self)})


def encode(examples: pd.DataFrame, state: JsonObject) -> dict[str, NDArray[Any]]:
    """Return `items` `(n_rows, max_history)` int32 and `features` `(n_rows, max_history, n_features)` float32.

    Item 0 stands for an empty position, item i + 1 for product i of the vocabulary; unknown products are left out.
    """
    events = events_of(examples, state)
    return inputs(events, positions(events), state)


def events_of(examples: pd.DataFrame, state: JsonObject) -> Events:
    """Return the events of examples."""
    sizes = np.array([len(items) for items in examples["items"]], dtype=np.int64)
    return known_events(
        np.repeat(np.arange(len(examples)), sizes),
        vocabulary_of(state).find(_joined(examples["items"])),
        (_joined(examples["ages"]) / DAY, _joined(examples["baskets_ago"])),
        tuple(examples[name].to_numpy(dtype=np.float64) for name in ("n_baskets", "newest_age", "oldest_age")),
        first_period(examples["time"], state["as_of"]),
    )


def events_of_history(history: JsonObject, now: datetime, state: JsonObject) -> Events:
    """Return the events of one history, as one row.

    Args:
        history: As `ml.use_cases.recommend.history` describes it.
        now: Moment of the request; what is later is left out.
        state: The fitted state.
    """
    timed = [(now - datetime.fromisoformat(time), products) for time, products in reversed(history["baskets"])]
    past = [(age.total_seconds(), products) for age, products in timed if age >= timedelta(0)]
    looked_at = past[: state["max_baskets"]]
    numbers = vocabulary_of(state).numbers
    flat = [
        (numbers.get(product, -1), age, ago) for ago, (age, products) in enumerate(looked_at, 1) for product in products
    ]
    item, age, ago = np.array(flat, dtype=np.float64).reshape(-1, 3).T
    bounds = (looked_at[0][0], looked_at[-1][0]) if looked_at else (0.0, 0.0)
    row = tuple(np.array([value], dtype=np.float64) for value in (len(looked_at), *bounds))
    when, period = (age / DAY, ago.astype(np.int64)), first_period([now], state["as_of"])
    return known_events(np.zeros(len(flat), np.int64), item.astype(np.int64), when, row, period)


def known_events(
    row: Ints, item: Ints, when: tuple[Floats, Ints], rows: tuple[NDArray[Any], ...], period: Ints
) -> Events:
    """Return events without the products that are not in the vocabulary.

    Args:
        row: Row of each event, ascending.
        item: Number in the vocabulary, or -1.
        when: Age [days] and baskets ago of each event.
        rows: Of each row the number of baskets, and the ages of the newest and the oldest [s].
        period: Of each row the newest period of sales that is known.
    """
    known = item >= 0
    return Events(
        row=row[known].astype(np.int64),
        item=item[known],
        age=when[0][known].astype(np.float64),
        ago=when[1][known].astype(np.int64),
        n_rows=len(rows[0]),
        n_baskets=rows[0],
        newest_age=rows[1] / DAY,
        oldest_age=rows[2] / DAY,
        period=period,
    )


def positions(events: Events) -> Positions:
    """Return one position for each product of each row, those with most weight first."""
    order = np.lexsort((events.ago, events.item, events.row))
    row, item = events.row[order], events.item[order]
    starts = np.flatnonzero(np.diff(row, prepend=-1) | np.diff(item, prepend=-1))
    age, ago = events.age[order], events.ago[order]
    found = Positions(
        row=row[starts],
        item=item[starts],
        decayed=np.maximum(_sums(_weights(age, ago), starts), FLOOR),
        count=np.diff(starts, append=len(row)).astype(np.float64),
        last_age=np.minimum.reduceat(age, starts) if len(starts) else age,
        first_age=np.maximum.reduceat(age, starts) if len(starts) else age,
        last_ago=np.minimum.reduceat(ago, starts) if len(starts) else ago,
        first_ago=np.maximum.reduceat(ago, starts) if len(starts) else ago,
    )
    return found.take(np.lexsort((found.item, -found.decayed[:, STRENGTH], found.row)))


@dataclass(frozen=True, kw_only=True)
class Packed:
    """Inputs of many rows without padding."""

    items: NDArray[np.int32]
    """Number in the vocabulary plus 1."""
    features: NDArray[np.float32]
    starts: Ints
    """`(n_rows,)` first position of each row."""
    sizes: Ints
    """`(n_rows,)` positions of each row."""

    def rows(self, rows: Ints, width: int | None = None) -> dict[str, NDArray[Any]]:
        """Return the model's inputs of some rows, padded to a width: by default that of the longest, at least 1."""
        sizes = self.sizes[rows]
        width = max(1, int(sizes.max(initial=0))) if width is None else width
        is_there = np.arange(width) < sizes[:, None]
        at = (self.starts[rows][:, None] + np.arange(width))[is_there]
        items = np.zeros((len(rows), width), dtype=np.int32)
        features = np.zeros((len(rows), width, self.features.shape[1]), dtype=np.float32)
        items[is_there], features[is_there] = self.items[at], self.features[at]
        return {"items": items, "features": features}


def pack(examples: pd.DataFrame, state: JsonObject) -> Packed:
    """Return the inputs of examples without padding."""
    events = events_of(examples, state)
    return packed(events, positions(events), state)


def packed(events: Events, found: Positions, state: JsonObject) -> Packed:
    """Return the positions that enter the model: at most `max_history` a row, those with most weight."""
    place = np.arange(len(found.row)) - np.searchsorted(found.row, found.row)
    kept = place < int(state["max_history"])
    sizes = np.bincount(found.row[kept], minlength=events.n_rows)
    return Packed(
        items=(found.item[kept] + 1).astype(np.int32),
        features=_features(events, found.take(kept), state).astype(np.float32),
        starts=np.cumsum(sizes) - sizes,
        sizes=sizes,
    )


def inputs(events: Events, found: Positions, state: JsonObject) -> dict[str, NDArray[Any]]:
    """Return the model's inputs, padded to `max_history` positions."""
    return packed(events, found, state).rows(np.arange(events.n_rows), int(state["max_history"]))


def _features(events: Events, found: Positions, state: JsonObject) -> Floats:
    """Return `(n_positions, n_features)`, each roughly within -3 and 3."""
    row, single = found.row, found.count == 1
    gap = (found.first_age - found.last_age) / np.maximum(found.count - 1, 1)  # mean days between purchases
    columns = [
        *(np.log(found.decayed) / 2).T,
        np.log1p(found.count),
        np.log1p(found.last_age) / 2,
        np.log1p(found.last_ago) / 2,
        found.last_ago == 1,
        single,
        np.where(single, 0.0, np.log((found.last_age + 1) / (gap + 1))),
        np.log(found.count / found.first_ago) / 2,
        *(column[row] for column in _row_features(events)),
        *(column[found.item] for column in vocabulary_of(state).statistics),
        *_group_features(found, vocabulary_of(state)),
        *trend_features(events.period[row], found.item, vocabulary_of(state)).T,
    ]
    return np.stack([np.asarray(column, dtype=np.float64) for column in columns], axis=1)


def _row_features(events: Events) -> Sequence[Floats]:
    size = np.bincount(events.row, minlength=events.n_rows) / np.maximum(events.n_baskets, 1)
    return (
        np.log1p(events.n_baskets) / 2,
        np.log1p(events.newest_age),
        np.log1p(events.oldest_age) / 4,
        np.log1p(size),
    )


def _group_features(found: Positions, vocabulary: Vocabulary) -> Sequence[Floats]:
    """Return how much was bought of products like each, its share of them, and how long ago the last of them was."""
    key = found.row * (vocabulary.n_groups + 1) + vocabulary.groups[found.item]
    _, group = np.unique(key, return_inverse=True)
    count = np.bincount(group, weights=found.decayed[:, STRENGTH])
    newest = np.full(len(count), np.inf)
    np.minimum.at(newest, group, found.last_age)
    gap = vocabulary.gaps[found.item]
    return (
        np.log(count[group]) / 2,
        np.log(found.decayed[:, STRENGTH] / count[group]) / 2,
        np.log1p(newest[group]) / 2,
        np.log((newest[group] + 1) / (gap + 1)) / 2,
    )


def _weights(age: Floats, ago: Ints) -> Floats:
    by_days = [np.exp2(-age / half_life) for half_life in HALF_LIVES]
    by_baskets = [np.power(factor, (ago - 1).astype(np.float64)) for factor in BASKET_DECAYS]
    return np.stack([*by_days, *by_baskets], axis=1) if len(age) else np.zeros((0, len(DECAYS)))


def _sums(values: Floats, starts: Ints) -> Floats:
    if len(starts) == 0:
        return values[:0]
    summed: Floats = np.add.reduceat(values, starts, axis=0)
    return summed


def _joined(lists: pd.Series) -> NDArray[Any]:
    return np.concatenate(list(lists)) if len(lists) else np.zeros(0, dtype=np.int64)
