"""Mixes scorers of sequences: weights are chosen where the validation item's rank among the best of each can be counted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.benchmark.sequence_data import Sequences
from ml.use_cases.recommend.judgement import K, top_k

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Scorer = Callable[[Sequences], Floats]
"""Histories -> scores `(n_users, n_items)`."""

USERS = 256  # whose scores are in memory at a time
NEAR = 100  # items of each scorer that compete
GRID = (0.0, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
ROUNDS = 3  # times each weight is looked at
SEEN = 1e6  # below every score


@dataclass(frozen=True, kw_only=True)
class Mix:
    """What was chosen on validation users."""

    weights: Mapping[str, float]
    """Of each scorer's standardised scores."""
    with_seen: bool
    """Whether items of the history are candidates."""
    ndcg: float
    """NDCG@10 on the validation users."""


def ranks(scorer: Scorer, histories: Sequences, wanted: Ints) -> Ints:
    """Return the place of each user's next item among all items, 1 is first; of equals it comes last.

    Args:
        scorer: Whose order.
        histories: What is known.
        wanted: `(n_users,)` the item that came next.

    Returns:
        `(2, n_users)`: first with items of the history left out, then with them as candidates.
    """
    parts = []
    for users, part in _chunks(histories):
        scores = scorer(part)
        parts.append(np.stack([_ranks(_masked(scores, part, seen), wanted[users]) for seen in (False, True)]))
    return np.concatenate(parts, axis=1)


def ranks_of_all(
    scorers: Mapping[str, Scorer], mixes: Mapping[str, Mix], histories: Sequences, wanted: Ints
) -> dict[str, Ints]:
    """Return the places `(n_users,)` under each mix; each scorer is asked once.

    Args:
        scorers: By name.
        mixes: By name.
        histories: What is known.
        wanted: `(n_users,)` the item that came next.
    """
    parts: dict[str, list[Ints]] = {name: [] for name in mixes}
    for users, part in _chunks(histories):
        scores = {name: standardised(scorer(part)) for name, scorer in scorers.items()}
        for name, mix in mixes.items():
            total = np.sum([weight * scores[one] for one, weight in mix.weights.items() if weight > 0], axis=0)
            parts[name].append(_ranks(_masked(total, part, mix.with_seen), wanted[users]))
    return {name: np.concatenate(places) for name, places in parts.items()}


def ndcg(places: Ints) -> NDArray[np.float64]:
    """Return 1 / log2(1 + rank) within the first ten, else 0."""
    found: NDArray[np.float64] = np.where(places <= K, 1 / np.log2(1.0 + places), 0.0)
    return found


def alone(name: str, scorer: Scorer, histories: Sequences, wanted: Ints) -> Mix:
    """Return one scorer as a mix, with or without items of the history as is better."""
    figures = ndcg(ranks(scorer, histories, wanted)).mean(axis=1)
    return Mix(weights={name: 1.0}, with_seen=bool(figures[1] > figures[0]), ndcg=float(figures.max()))


def standardised(scores: Floats) -> Floats:
    """Return each row with mean 0 and deviation 1."""
    deviation = scores.std(axis=1, keepdims=True)
    found: Floats = (scores - scores.mean(axis=1, keepdims=True)) / np.maximum(deviation, 1e-9)
    return found


def choose(scorers: Mapping[str, Scorer], histories: Sequences, wanted: Ints) -> Mix:
    """Return the best mix, with or without items of the history."""
    found = _candidates(scorers, histories, wanted)
    mixes = [_climb(tuple(scorers), *found, with_seen=with_seen) for with_seen in (False, True)]
    return max(mixes, key=lambda mix: mix.ndcg)


def _chunks(histories: Sequences) -> list[tuple[Ints, Sequences]]:
    starts = range(0, histories.n_users, USERS)
    parts = [np.arange(start, min(start + USERS, histories.n_users)) for start in starts]
    return [(users, histories.take(users)) for users in parts]


def _masked(scores: Floats, histories: Sequences, with_seen: bool) -> Floats:
    if not with_seen:
        scores = scores.copy()
        scores[histories.row, histories.items] = -SEEN
    return scores


def _ranks(scores: Floats, wanted: Ints) -> Ints:
    own = scores[np.arange(len(wanted)), wanted][:, None]
    places: Ints = (scores >= own).sum(axis=1)
    return places


def _candidates(scorers: Mapping[str, Scorer], histories: Sequences, wanted: Ints) -> tuple[Floats, Floats, Floats]:
    """Return scores of candidates and of the wanted item, and which candidates were seen before.

    Candidates `(n_users, n_candidates, n_scorers)` are the best of each scorer, with and without the history; those
    that are there twice or are the wanted item itself are not a number. Wanted: `(n_users, 1, n_scorers)`, seen:
    `(n_users, n_candidates)`, 0 or 1, its first column tells of the wanted item.
    """
    parts = []
    for users, part in _chunks(histories):
        scores = [standardised(scorer(part)) for scorer in scorers.values()]
        best = np.concatenate(
            [top_k(_masked(one, part, with_seen), NEAR) for one in scores for with_seen in (False, True)], axis=1
        )
        own = wanted[users][:, None]
        listed = np.concatenate([own, np.sort(best, axis=1)], axis=1)
        values = np.stack([np.take_along_axis(one, listed, axis=1) for one in scores], axis=2)
        again = np.diff(listed, axis=1, prepend=-1) == 0
        again[:, 1:] |= listed[:, 1:] == own
        values[again] = np.nan
        seen = np.take_along_axis(part.matrix().toarray() > 0, listed, axis=1)
        parts.append((values[:, 1:], values[:, :1], seen.astype(np.float32)))
    return tuple(np.concatenate(column) for column in zip(*parts, strict=True))  # type: ignore[return-value]


def _climb(names: Sequence[str], near: Floats, own: Floats, seen: Floats, *, with_seen: bool) -> Mix:
    """Change one weight at a time as long as it helps, from the best single scorer."""
    # only `seen` candidates are handicapped; the wanted item is, too, where it was seen
    far = 0.0 if with_seen else SEEN

    def measure(weights: Floats) -> float:
        ahead = (near @ weights) - far * seen[:, 1:] >= (own @ weights) - far * seen[:, :1]
        return float(ndcg(1 + ahead.sum(axis=1)).mean())

    near = np.where(np.isnan(near), -SEEN, near)
    singles = np.eye(len(names), dtype=np.float32)
    weights = max(singles, key=measure)
    best = measure(weights)
    for _ in range(ROUNDS):
        before = best
        for at in range(len(names)):
            for value in GRID:
                tried = weights.copy()
                tried[at] = value
                figure = measure(tried) if tried.any() else 0.0
                if figure > best + 1e-6:
                    weights, best = tried, figure
        if best == before:
            break
    told = {name: float(weight) for name, weight in zip(names, weights, strict=True)}
    return Mix(weights=told, with_seen=with_seen, ndcg=best)
