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

from ml.benchmark import sequence_blend as blend
from ml.benchmark import sequence_items as item_models
from ml.benchmark.sequence_blend import Mix, Scorer
from ml.benchmark.sequence_data import Sequences, read
from ml.use_cases.recommend.judgement import K

DECAYS = (1.0, 0.9, 0.8, 0.6, 0.4, 0.2)  # a later item; tried on validation
LONG = 0.95  # decay of EASE on long histories, beside the one that is best alone
PENALTIES = (20.0, 50.0, 100.0, 200.0, 500.0, 1000.0)
TUNED_ITEMS = 4000  # most frequent items on which EASE's penalty is tuned
TUNED_USERS = 4000  # validation users on whom choices are made, drawn by the seed
TOKENS = 4.0e7  # positions the network learns from in all, unless ten minutes have passed before
THREADS = 2
OURS = "ours"
HISTORY, VALID, TEST = "history", 2, 1

Tell = Callable[[str], None]
Fitted = Mapping[str, Callable[[float, Sequences], NDArray[np.float32]]]
"""By name: (decay, histories) -> scores."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """One peer's figures over the test users."""

    name: str
    hit: tuple[float, float]
    """HR@10 and half the width of its 95 % interval."""
    ndcg: tuple[float, float]
    with_seen: bool
    note: str


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What choices are made on."""

    train: Sequences
    """All before the validation items."""
    some: Sequences
    """The same of the users drawn for choices."""
    wanted: NDArray[np.int64]
    """Their validation items."""


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """Settings that were best on validation."""

    penalty: float
    decays: Mapping[str, float]


def run(path: Path, seed: int, tell: Tell, tokens: float = TOKENS) -> list[Line]:
    """Learn from a file of sequences and return the figures of ours and of each peer on the last items.

    Everything is chosen on the items before the last; then what counts items is fitted again with those as history,
    and the network, which keeps its weights, sees them as input.

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
    trial = _trial(sequences, seed)
    tuned, fitted = _tune(trial, told)
    network = _network(trial, seed, tokens, told)
    validating = {**_scorers(trial.train, fitted, tuned), "network": network}
    mixes = {name: blend.alone(name, scorer, trial.some, trial.wanted) for name, scorer in validating.items()}
    mixes[OURS] = blend.choose(validating, trial.some, trial.wanted)
    chosen = ", ".join(f"{name} {weight:g}" for name, weight in mixes[OURS].weights.items())
    told(f"mix chosen on validation, NDCG@10 {mixes[OURS].ndcg:.4f}: {chosen}")
    del validating, fitted  # the next fit needs their room
    return _judged(sequences, tuned, network, mixes, told)


def _trial(sequences: Sequences, seed: int) -> Trial:
    train, wanted = sequences.held_out(VALID)
    users = np.sort(np.random.default_rng(seed).permutation(train.n_users)[:TUNED_USERS])
    return Trial(train=train, some=train.take(users), wanted=wanted[users])


def _tune(trial: Trial, tell: Tell) -> tuple[Tuned, Fitted]:
    """Choose EASE's penalty on the most frequent items, then each model's decay; return what was fitted, too."""
    tell("tuning EASE")
    penalties = {
        penalty: _figure(_plain(item_models.ease(trial.train, penalty, TUNED_ITEMS)), trial) for penalty in PENALTIES
    }
    penalty = max(penalties, key=penalties.__getitem__)
    tell(f"EASE: penalty {penalty:g}; fitting it, item-kNN and transitions")
    fitted = _fit(trial.train, penalty)
    decays = {}
    for name, score in fitted.items():
        figures = {decay: _figure(partial(score, decay), trial) for decay in DECAYS}
        decays[name] = max(figures, key=figures.__getitem__)
        tell(f"{name}: decay {decays[name]:g}, NDCG@10 on validation {figures[decays[name]]:.4f}")
    return Tuned(penalty=penalty, decays=decays), fitted


def _plain(model: item_models.Ease) -> Scorer:
    return lambda some: model.score(some.matrix())


def _figure(scorer: Scorer, trial: Trial) -> float:
    """Return NDCG@10 on validation, the better of with and without items of the history."""
    gains = blend.ndcg(blend.ranks(scorer, trial.some, trial.wanted))
    return float(gains.mean(axis=1).max())


def _fit(train: Sequences, penalty: float) -> Fitted:
    """Fit each model that counts items."""
    ease, near = item_models.ease(train, penalty), item_models.neighbours(train)
    follows = item_models.transitions(train)
    return {
        "EASE": lambda decay, some: ease.score(some.matrix(decay)),
        "item-kNN": lambda decay, some: (some.matrix(decay) @ near).toarray(),
        "transitions": lambda decay, some: (some.matrix(decay) @ follows).toarray(),
        HISTORY: lambda decay, some: some.matrix(decay).toarray(),
    }


def _scorers(train: Sequences, fitted: Fitted, tuned: Tuned) -> dict[str, Scorer]:
    counts = np.bincount(train.items, minlength=train.n_items).astype(np.float32)
    markov = item_models.transitions(train, reach=1)
    return {
        "popularity": lambda some: np.tile(np.log1p(counts), (some.n_users, 1)),
        "Markov": lambda some: (some.matrix(last=1) @ markov).toarray(),
        **{name: partial(score, tuned.decays[name]) for name, score in fitted.items()},
        f"EASE, decay {LONG:g}": partial(fitted["EASE"], LONG),
    }


def _network(trial: Trial, seed: int, tokens: float, tell: Tell) -> Scorer:
    from ml.benchmark.sequence_network import Attentive, Course, learn

    def look(network: Attentive) -> float:
        return _figure(network.score, trial)

    tell("training the network")
    return learn(trial.train, Course(seed=seed, tokens=tokens), look, tell).score


def _judged(sequences: Sequences, tuned: Tuned, network: Scorer, mixes: Mapping[str, Mix], tell: Tell) -> list[Line]:
    """Fit what counts items again, up to the test items, and measure every peer on them."""
    histories, wanted = sequences.held_out(TEST)
    tell("fitting again with the validation items as history")
    scorers = {**_scorers(histories, _fit(histories, tuned.penalty), tuned), "network": network}
    found = []
    for name, places in blend.ranks_of_all(scorers, mixes, histories, wanted).items():
        hit, gain = _interval((places <= K).astype(float)), _interval(blend.ndcg(places))
        note = f"decay {tuned.decays[name]:g}" if name in tuned.decays else ""
        found.append(Line(name=name, hit=hit, ndcg=gain, with_seen=mixes[name].with_seen, note=note))
    return found


def _interval(values: NDArray[np.float64]) -> tuple[float, float]:
    return float(values.mean()), float(1.96 * values.std(ddof=1) / len(values) ** 0.5)


def peak_gb() -> float:
    """Return the most memory this process has held [GB]."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
