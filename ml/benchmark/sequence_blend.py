"""Two stages: every scorer names its best items, and what was named is told by features that a ranker orders."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ml.benchmark.sequence_data import Sequences
from ml.use_cases.recommend.judgement import K, top_k

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Scorer = Callable[[Sequences], Floats]
"""Histories -> scores `(n_users, n_items)`."""

USERS = 256  # whose scores are in memory at a time
NEAR = 60  # items that each scorer names
NEVER = 1_000_000  # the rank of an item that nobody named
SEEN = np.float32(-1e9)  # below every score


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """Items named for some users, flat, a user's together."""

    row: Ints
    """User of each."""
    features: Floats
    """`(n_candidates, n_features)`"""
    wanted: NDArray[np.bool_]
    """Whether it is the item that came next."""
    n_users: int


class Ranker(Protocol):
    """What orders candidates."""

    def score(self, candidates: Candidates) -> NDArray[np.float64]:
        """Return `(n_candidates,)`, higher is better."""


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


def ndcg(places: Ints) -> NDArray[np.float64]:
    """Return 1 / log2(1 + rank) within the first ten, else 0."""
    found: NDArray[np.float64] = np.where(places <= K, 1 / np.log2(1.0 + places), 0.0)
    return found


def named(scorers: Mapping[str, Scorer], histories: Sequences, wanted: Ints, with_seen: bool) -> Candidates:
    """Return the union of each scorer's best items.

    Args:
        scorers: By name.
        histories: What is known.
        wanted: `(n_users,)` the item that came next.
        with_seen: Whether items of the history are named, too.
    """
    parts = [
        _named({name: scorer(part) for name, scorer in scorers.items()}, part, wanted[users], with_seen)
        for users, part in _chunks(histories)
    ]
    begins = np.cumsum([0, *(part.n_users for part in parts)])
    return Candidates(
        row=np.concatenate([part.row + begin for part, begin in zip(parts, begins, strict=False)]),
        features=np.concatenate([part.features for part in parts]),
        wanted=np.concatenate([part.wanted for part in parts]),
        n_users=int(begins[-1]),
    )


def places(candidates: Candidates, scores: NDArray[np.float64]) -> Ints:
    """Return each user's next item's place `(n_users,)` under scores of the candidates; of equals it comes last."""
    found = np.full(candidates.n_users, NEVER)
    at = np.flatnonzero(candidates.wanted)
    own = np.full(candidates.n_users, np.inf)
    own[candidates.row[at]] = scores[at]
    ahead = np.bincount(candidates.row[scores >= own[candidates.row]], minlength=candidates.n_users)
    found[candidates.row[at]] = ahead[candidates.row[at]]
    return found


@dataclass(frozen=True, kw_only=True)
class Contest:
    """Who is compared, and on what."""

    peers: Mapping[str, tuple[Scorer, bool]]
    """By name: its scorer, and whether items of the history are candidates."""
    parts: Mapping[str, Scorer]
    """What names items and tells them."""
    with_seen: bool
    """Whether the parts name items of the history."""
    ranker: Ranker


def places_of_all(contest: Contest, histories: Sequences, wanted: Ints) -> Iterator[tuple[Ints, dict[str, Ints]]]:
    """Yield some users' ranks under ours and each peer; each scorer is asked once.

    Args:
        contest: Who is compared.
        histories: What is known.
        wanted: `(n_users,)` the item that came next.

    Yields:
        Places under ours `(n_some,)`, and by peer.
    """
    scorers = {**contest.parts, **{name: scorer for name, (scorer, _) in contest.peers.items()}}
    for users, part in _chunks(histories):
        scores = {name: scorer(part) for name, scorer in scorers.items()}
        found = _named({name: scores[name] for name in contest.parts}, part, wanted[users], contest.with_seen)
        peers = {
            name: _ranks(_masked(scores[name], part, seen), wanted[users]) for name, (_, seen) in contest.peers.items()
        }
        yield places(found, contest.ranker.score(found)), peers


def _chunks(histories: Sequences) -> Iterator[tuple[Ints, Sequences]]:
    for start in range(0, histories.n_users, USERS):
        users = np.arange(start, min(start + USERS, histories.n_users))
        yield users, histories.take(users)


def _masked(scores: Floats, histories: Sequences, with_seen: bool) -> Floats:
    if not with_seen:
        scores = scores.copy()
        scores[histories.row, histories.items] = SEEN
    return scores


def _ranks(scores: Floats, wanted: Ints) -> Ints:
    own = scores[np.arange(len(wanted)), wanted][:, None]
    found: Ints = (scores >= own).sum(axis=1)
    return found


def _named(scores: Mapping[str, Floats], part: Sequences, wanted: Ints, with_seen: bool) -> Candidates:
    begin, listed, edges = np.arange(part.n_users)[:, None] * part.n_items, [], []
    for one in scores.values():
        fresh = _masked(one, part, with_seen=False)
        best = top_k(fresh, NEAR)
        values = np.take_along_axis(fresh, best, axis=1)
        is_fresh = values > SEEN
        listed.append((begin + best)[is_fresh])
        if with_seen:
            listed.append((begin + top_k(one, NEAR)).ravel())
        edges.append(np.stack([values[:, 0], np.where(is_fresh, values, values[:, :1]).min(axis=1)], axis=1))
    row, item = np.divmod(np.unique(np.concatenate(listed)), part.n_items)
    told = [_told(one[row, item], edge[row]) for one, edge in zip(scores.values(), edges, strict=True)]
    features = np.concatenate([*told, _of_users(part)[row]], axis=1)
    return Candidates(row=row, features=features, wanted=item == wanted[row], n_users=part.n_users)


def _told(values: Floats, edges: Floats) -> Floats:
    """Return a scorer's values as they are, and with its best new item at 1 and its last named one at 0."""
    first, last = edges.T
    return np.stack([values, (values - last) / np.maximum(first - last, 1e-9)], axis=1)


def _of_users(part: Sequences) -> Floats:
    """Return how much each user's history holds, and how much of it is new each time."""
    distinct = np.diff(part.matrix().indptr)
    return np.stack([np.log(part.sizes), distinct / part.sizes], axis=1).astype(np.float32)
