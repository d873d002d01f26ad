"""Trains a teacher on labelled texts, and a student on what the teacher says: for the pipeline, a CSV, and benchmarks alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from ml.contract import JsonObject
from ml.training.loop import Watch, falling_adam, fit, shuffled
from ml.use_cases.service.encode import TOKENS
from ml.use_cases.service.network import Network, Numbers, Tokens, scored, trimmed

WARM_UP = 0.1  # of all steps; a pretrained network forgets if the first ones are large
LIKE_LENGTHS = 20  # steps whose texts are sorted by length, so that little padding is computed
LEFT_OUT = 0.15  # of a text's tokens in the copy that the teacher is asked about beside the text
VECTOR_WEIGHT = 5.0  # of the distance to the teacher's vector, against that to its probabilities


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """Texts with what is wanted by them."""

    tokens: Tokens
    """`(n_rows, n_tokens)`, filled up with 0."""
    intents: NDArray[np.int64]
    """By number `(n_rows,)`; the last is out of scope, where there is one."""


@dataclass(frozen=True, kw_only=True)
class Course:
    """How a network is trained."""

    seed: int
    epochs: int = 6
    patience: int = 3
    batch_size: int = 32
    learning_rate: float = 1e-4
    smoothing: float = 0.1
    consistency: float = 0.0
    """Weight of the difference between two readings of a text, each with a dropout of its own; 0 reads it once."""


def teach(network: Network, train: Labelled, valid: Labelled | None, course: Course) -> list[JsonObject]:
    """Train on labels; the pass that is right most often on `valid` is kept, without it the last. Return the figures of each pass.

    The head begins at the middle of each intent's texts, so that the network knows something before its first step
    (prototypes: Snell et al. 2017, arXiv:1703.05175).
    """
    network.head.directions.assign(_middles(scored(network.encoder, train.tokens), train.intents, network.n_intents))

    def loss(wanted: Any, found: Any) -> Any:
        odds = found[:, : network.n_intents]
        spread = course.smoothing / network.n_intents
        hoped = tf.one_hot(wanted, network.n_intents) * (1 - course.smoothing) + spread
        wrong = tf.nn.softmax_cross_entropy_with_logits(hoped, odds)
        return wrong + course.consistency * _apart(odds) if course.consistency else wrong

    return _fitted(network, train.tokens, train.intents, loss, valid, course)


def distil(
    student: Network, teachers: Sequence[Network], texts: Tokens, valid: Labelled | None, course: Course
) -> list[JsonObject]:
    """Train a student to say of texts, and of a copy of each with words left out, what its teachers say on average.

    Loss: KL(teacher ‖ student) of the probabilities (Hinton et al. 2015, arXiv:1503.02531) + 5 (1 − cos) of the vectors.

    Returns:
        The figures of each pass.
    """
    seen = np.concatenate([texts, _thinned(texts, course.seed)])
    told, n = said(teachers, seen), student.n_intents

    def loss(wanted: Any, found: Any) -> Any:
        hoped = tf.nn.softmax(wanted[:, :n])
        apart = tf.nn.softmax_cross_entropy_with_logits(hoped, found[:, :n])
        return apart + VECTOR_WEIGHT * (1 - tf.reduce_sum(wanted[:, n:] * found[:, n:], axis=-1))

    return _fitted(student, seen, told, loss, valid, replace(course, consistency=0.0))


def said(networks: Sequence[Network], tokens: Tokens) -> Numbers:
    """Return the mean of what networks score: log-odds, and behind them the vector."""
    return np.asarray(np.mean([scored(one.scores, tokens) for one in networks], axis=0), dtype=np.float32)


def accuracy(network: Network, rows: Labelled) -> float:
    """Return the share of texts of which the most probable intent is the right one."""
    found = scored(network.scores, rows.tokens)[:, : network.n_intents].argmax(axis=1)
    return float((found == rows.intents).mean())


def _fitted(
    network: Network,
    tokens: Tokens,
    targets: NDArray[Any],
    loss: Any,
    valid: Labelled | None,
    course: Course,
) -> list[JsonObject]:
    def batches(epoch: int) -> Iterator[tuple[dict[str, Any], Any]]:
        for step in _alike(tokens, course.batch_size, course.seed, epoch):
            rows = np.tile(step, 2) if course.consistency else step
            yield {TOKENS: tf.constant(trimmed(tokens[rows]))}, tf.constant(targets[rows])

    steps = course.epochs * -(-len(tokens) // course.batch_size)
    network.scores.compile(falling_adam(course.learning_rate, steps, last=0.0, warm_up=WARM_UP))
    watch = Watch.newest() if valid is None else _watch(network, valid, course)
    fit(network.scores, batches, loss, watch, course.epochs)
    return watch.epochs


def _apart(odds: Any) -> Any:
    """Return half the symmetric KL divergence between a step's two halves, row by row, for both halves alike.

    R-Drop (Liang et al. 2021, arXiv:2106.14448): the second half holds the texts of the first, read again.

    Args:
        odds: Log-odds `(2 n_rows, n_intents)`.
    """
    once, again = (tf.nn.log_softmax(half) for half in tf.split(odds, 2))
    apart = 0.5 * tf.reduce_sum((tf.exp(once) - tf.exp(again)) * (once - again), axis=-1)
    return tf.tile(apart, [2])


def _watch(network: Network, valid: Labelled, course: Course) -> Watch:
    return Watch(measure=lambda: {"accuracy": accuracy(network, valid)}, figure="accuracy", patience=course.patience)


def _alike(tokens: Tokens, size: int, seed: int, epoch: int) -> Iterator[NDArray[np.int64]]:
    """Yield the rows of each step of a pass, drawn by the key, such that a step's texts are of like length."""
    lengths = np.count_nonzero(tokens, axis=1)
    steps = []
    for drawn in shuffled(len(tokens), size * LIKE_LENGTHS, seed, epoch):
        rows = drawn[np.argsort(lengths[drawn], kind="stable")]
        steps += [rows[at : at + size] for at in range(0, len(rows), size)]
    for at in np.random.default_rng([seed, epoch, 1]).permutation(len(steps)):
        yield steps[at]


def _middles(vectors: Numbers, intents: NDArray[np.int64], n_intents: int) -> Numbers:
    """Return the sum of each intent's vectors; an intent without a text stays at zero."""
    found = np.zeros((n_intents, vectors.shape[1]), dtype=np.float32)
    np.add.at(found, intents, vectors)
    return found


def _thinned(tokens: Tokens, seed: int) -> Tokens:
    """Return texts with some tokens left out, never the marks at the ends, nor all."""
    rng = np.random.default_rng([seed, 2])
    lengths = np.count_nonzero(tokens, axis=1)
    thin = np.zeros_like(tokens)
    for row, (text, length) in enumerate(zip(tokens, lengths, strict=True)):
        inner = text[1 : length - 1]
        kept = inner[rng.random(len(inner)) >= LEFT_OUT]
        told = np.concatenate([text[:1], kept if len(kept) else inner, text[length - 1 : length]])
        thin[row, : len(told)] = told
    return thin
