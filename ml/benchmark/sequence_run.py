"""`tradewind sequences`: next item of plain sequences, ranked among all items; ours and its peers in one run."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ml.benchmark import factors as als
from ml.benchmark import sequence_blend as blend
from ml.benchmark import sequence_items as item_models
from ml.benchmark import sequence_ranker as ranking
from ml.benchmark.factors import Factors
from ml.benchmark.sequence_blend import Contest, Scorer
from ml.benchmark.sequence_data import Sequences, read
from ml.use_cases.recommend.judgement import K

DECAYS = (1.0, 0.9, 0.8, 0.6, 0.4, 0.2)  # a later item; tried on validation
LONG = 0.95  # decay of EASE on long histories, beside the one that is best alone
PENALTIES = (5.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0)
FACTORS = tuple(Factors(size=size, confidence=confidence) for size in (64, 128) for confidence in (1.0, 10.0, 40.0))
TUNED_ITEMS = 4000  # most frequent items on which EASE's penalty is tuned
TRIAL_ITEMS = 14_000  # most frequent items that EASE holds on validation: a minute; on the test it holds `EASE_ITEMS`
TUNED_USERS = 2000  # validation users on whom settings are chosen, drawn by the seed
RANKED_USERS = 6000  # validation users from whom the order of candidates is learned
AGAIN = 0.005  # share of validation items seen before, from which on items of the history are candidates
TIE = 1e-6  # weight of popularity: orders items that were not bought before
TOKENS = 3.0e7  # positions the network learns from in all, unless its time is over before
NETWORK_ENDS = 600.0  # its time is over so long after the beginning [s], but it has a minute at least
THREADS = 2
OURS = "ours"
POPULARITY, PERSONAL, KNN, EASE, ALS = "popularity", "personal frequency", "item-kNN", "EASE-R", "ALS"
PEERS = (POPULARITY, PERSONAL, KNN, EASE, ALS)
VALID, TEST = 2, 1

Tell = Callable[[str], None]
Ints = NDArray[np.int64]
Decayed = Callable[[float, Sequences], NDArray[np.float32]]
"""(decay, histories) -> scores."""
Fitted = Mapping[str, Decayed]


@dataclass(frozen=True, kw_only=True)
class Line:
    """One contender's figures over the test users."""

    name: str
    hit: tuple[float, float]
    """HR@10 and half the width of its 95 % interval."""
    ndcg: tuple[float, float]
    ours_hit: tuple[float, float]
    """Ours divided by it in HR@10, and half the width of the paired 95 % interval."""
    ours_ndcg: tuple[float, float]
    with_seen: bool
    note: str


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What settings are chosen on."""

    train: Sequences
    """All before the validation items."""
    some: Sequences
    """The same of the users drawn for choices."""
    wanted: Ints
    """Their validation items."""
    repeats: bool
    """Whether an item of the history may come again."""


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """Settings that were best on validation."""

    penalty: float
    factors: Factors
    seed: int
    decays: Mapping[str, float]


def run(path: Path, seed: int, tell: Tell, tokens: float = TOKENS) -> list[Line]:
    """Learn from a file of sequences and return the figures of ours and of each peer on the last items.

    Everything is chosen on the items before the last; then all is fitted again with those as history, and the network
    learns on with them.

    Args:
        path: Lines `user item item …`.
        seed: Of the network and of the users on whom choices are made.
        tell: Receives progress.
        tokens: Positions the network learns from at most.

    Raises:
        SourceInvalid: The file is not as expected.
    """
    from ml.training.determinism import make_deterministic

    make_deterministic(seed, THREADS)
    began = time.monotonic()

    def told(text: str) -> None:
        tell(f"[{time.monotonic() - began:5.0f} s, {peak_gb():.1f} GB] {text}")

    sequences = read(path)
    told(
        f"{sequences.n_users:,} users, {sequences.n_items:,} items, {len(sequences.items):,} events; "
        f"{sequences.too_short:,} users with fewer than 3 items left out"
    )
    return _run(sequences, seed, tokens, began + NETWORK_ENDS, told)


def _run(sequences: Sequences, seed: int, tokens: float, end: float, tell: Tell) -> list[Line]:
    from ml.benchmark.sequence_network import Course, learn, refine

    train, wanted = sequences.held_out(VALID)
    trial = _trial(train, wanted, seed)
    tuned, fitted = _tune(trial, seed, tell)
    tell("training the network")
    course = Course(seed=seed, tokens=tokens, seconds=max(60.0, end - time.monotonic()))
    network = learn(train, course, lambda one: _figure(one.score, trial), tell)
    parts = _parts(train, fitted, tuned, network.score)
    users = np.sort(np.random.default_rng(seed).permutation(train.n_users)[:RANKED_USERS])
    tell(f"learning to order what the parts name, from {len(users):,} users")
    ranker = ranking.learned(blend.named(parts, train.take(users), wanted[users], trial.repeats), seed, tell)
    with_seen = {name: trial.repeats and _prefers_seen(parts[name], trial) for name in PEERS}
    del parts, fitted  # the next fit needs their room
    histories, last = sequences.held_out(TEST)
    tell("fitting again, and training on, with the validation items as history")
    refine(network, histories, seed)
    parts = _parts(histories, _fit(histories, tuned), tuned, network.score)
    peers = {name: (parts[name], with_seen[name]) for name in PEERS}
    contest = Contest(peers=peers, parts=parts, with_seen=trial.repeats, ranker=ranker)
    tell(f"ranking all items for {histories.n_users:,} users")
    return _lines(_places(contest, histories, last), tuned, with_seen, trial.repeats)


def _trial(train: Sequences, wanted: Ints, seed: int) -> Trial:
    users = np.sort(np.random.default_rng(seed).permutation(train.n_users)[:TUNED_USERS])
    some = train.take(users)
    again = some.matrix()[np.arange(len(users)), wanted[users]] > 0
    return Trial(train=train, some=some, wanted=wanted[users], repeats=bool(again.mean() > AGAIN))


def _tune(trial: Trial, seed: int, tell: Tell) -> tuple[Tuned, Fitted]:
    """Choose EASE's penalty on the most frequent items, and ALS's factors; then each model's decay; return what was fitted."""

    def by_ease(penalty: float) -> float:
        model = item_models.ease(trial.train, penalty, TUNED_ITEMS)
        return _figure(lambda some: model.score(some.matrix(DECAYS[1])), trial)

    def by_als(factors: Factors) -> float:
        model = als.fit(trial.train.matrix(), factors, seed)
        return _figure(lambda some: als.scores(model, some.matrix(DECAYS[1])), trial)

    tell("tuning EASE and ALS")
    first = Tuned(penalty=max(PENALTIES, key=by_ease), factors=max(FACTORS, key=by_als), seed=seed, decays={})
    tell(f"EASE: penalty {first.penalty:g}; ALS: {first.factors.size} factors, confidence {first.factors.confidence:g}")
    fitted = _fit(trial.train, first, TRIAL_ITEMS)
    decays = {}
    for name, score in fitted.items():
        decays[name] = max(DECAYS, key=partial(_decayed, score, trial))
        tell(f"{name}: decay {decays[name]:g}")
    return Tuned(penalty=first.penalty, factors=first.factors, seed=seed, decays=decays), fitted


def _decayed(score: Decayed, trial: Trial, decay: float) -> float:
    return _figure(partial(score, decay), trial)


def _figure(scorer: Scorer, trial: Trial) -> float:
    """Return NDCG@10 on validation, the better of with and without items of the history."""
    return float(max(_both(scorer, trial)))


def _prefers_seen(scorer: Scorer, trial: Trial) -> bool:
    without, with_seen = _both(scorer, trial)
    return bool(with_seen > without)


def _both(scorer: Scorer, trial: Trial) -> NDArray[np.float64]:
    found: NDArray[np.float64] = blend.ndcg(blend.ranks(scorer, trial.some, trial.wanted)).mean(axis=1)
    return found


def _fit(train: Sequences, tuned: Tuned, ease_items: int = item_models.EASE_ITEMS) -> Fitted:
    """Fit each model that counts items."""
    ease, near = item_models.ease(train, tuned.penalty, ease_items), item_models.neighbours(train)
    follows, model = item_models.transitions(train), als.fit(train.matrix(), tuned.factors, tuned.seed)
    counts = np.bincount(train.items, minlength=train.n_items)
    tie = (TIE * counts / counts.max()).astype(np.float32)
    return {
        PERSONAL: lambda decay, some: some.frequency(decay).toarray() + tie,
        KNN: lambda decay, some: (some.matrix(decay) @ near).toarray(),
        EASE: lambda decay, some: ease.score(some.matrix(decay)),
        ALS: lambda decay, some: als.scores(model, some.matrix(decay)),
        "transitions": lambda decay, some: (some.matrix(decay) @ follows).toarray(),
    }


def _parts(train: Sequences, fitted: Fitted, tuned: Tuned, network: Scorer) -> dict[str, Scorer]:
    counts = np.bincount(train.items, minlength=train.n_items).astype(np.float32)
    markov = item_models.transitions(train, reach=1)
    return {
        POPULARITY: lambda some: np.tile(np.log1p(counts), (some.n_users, 1)),
        **{name: partial(score, tuned.decays[name]) for name, score in fitted.items()},
        f"EASE-R, decay {LONG:g}": partial(fitted[EASE], LONG),
        "Markov": lambda some: (some.matrix(last=1) @ markov).toarray(),
        "network": network,
    }


def _places(contest: Contest, histories: Sequences, wanted: Ints) -> dict[str, Ints]:
    """Return the place of each user's last item under ours and each peer."""
    ours, peers = zip(*blend.places_of_all(contest, histories, wanted), strict=True)
    return {
        OURS: np.concatenate(ours),
        **{name: np.concatenate([part[name] for part in peers]) for name in contest.peers},
    }


def _lines(places: Mapping[str, Ints], tuned: Tuned, with_seen: Mapping[str, bool], repeats: bool) -> list[Line]:
    hits = {name: (found <= K).astype(float) for name, found in places.items()}
    gains = {name: blend.ndcg(found) for name, found in places.items()}
    return [
        Line(
            name=name,
            hit=_mean(hits[name]),
            ndcg=_mean(gains[name]),
            ours_hit=_ratio(hits[OURS], hits[name]),
            ours_ndcg=_ratio(gains[OURS], gains[name]),
            with_seen=with_seen.get(name, repeats),
            note=f"decay {tuned.decays[name]:g}" if name in tuned.decays else "",
        )
        for name in places
    ]


def _mean(values: NDArray[np.float64]) -> tuple[float, float]:
    return float(values.mean()), float(1.96 * values.std(ddof=1) / len(values) ** 0.5)


def _ratio(ours: NDArray[np.float64], other: NDArray[np.float64]) -> tuple[float, float]:
    """Return the ratio of two means over the same users; its error is that of `ours - ratio · other` (Fieller's first order)."""
    if not other.any():
        return float("inf"), 0.0
    ratio = ours.mean() / other.mean()
    return float(ratio), _mean(ours - ratio * other)[1] / float(other.mean())


def peak_gb() -> float:
    """Return the most memory this process has held [GB]."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
