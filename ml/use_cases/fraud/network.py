"""The network: a small multilayer perceptron from scaled features to the log-odds of fraud, exported as LiteRT."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from ml.compression.litert import export_litert
from ml.contract import Variant
from ml.evaluation.statistic import average_precision, once
from ml.training.loop import Watch, falling_adam, fit, shuffled

INPUT = "features"
CHUNK = 65_536  # rows scored at a time


@dataclass(frozen=True, kw_only=True)
class Shape:
    """All that is needed to build it again."""

    n_inputs: int
    """Columns of `normalise.apply`."""
    hidden: int = 64
    """Units of each of the two layers."""
    dropout: float = 0.1


@dataclass(frozen=True, kw_only=True)
class Rows:
    """What the network learns from or is judged on."""

    inputs: NDArray[np.float32]
    """`(n_rows, n_inputs)`"""
    is_fraud: NDArray[np.int64]
    weights: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Course:
    """How it is trained."""

    seed: int
    epochs: int = 12
    patience: int = 3
    batch_size: int = 256
    learning_rate: float = 0.003


def build(shape: Shape) -> keras.Model:
    """Return the untrained network: `features` -> log-odds `(n_rows, 1)`."""
    inputs = keras.Input((shape.n_inputs,), name=INPUT)
    hidden = keras.layers.Dense(shape.hidden, activation="relu", name="first")(inputs)
    hidden = keras.layers.Dropout(shape.dropout)(hidden)
    hidden = keras.layers.Dense(shape.hidden, activation="relu", name="second")(hidden)
    return keras.Model({INPUT: inputs}, keras.layers.Dense(1, name="log_odds")(hidden))


def train(model: keras.Model, rows: Rows, valid: Rows | None, course: Course) -> list[dict[str, Any]]:
    """Train it; the pass with the best average precision on `valid` is kept, the last one where there is no `valid`.

    Returns:
        The figures of each pass.
    """
    steps = -(-len(rows.is_fraud) // course.batch_size)
    model.compile(falling_adam(course.learning_rate, course.epochs * steps, last=0.1))
    watch = Watch.newest() if valid is None else _watch(model, valid, course)
    fit(model, lambda epoch: _batches(rows, course, epoch), weighted_loss, watch, course.epochs)
    return watch.epochs


def _watch(model: keras.Model, valid: Rows, course: Course) -> Watch:
    return Watch(
        measure=lambda: {"ap": _precision(score(model, valid.inputs), valid)}, figure="ap", patience=course.patience
    )


def score(model: keras.Model, inputs: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return log-odds `(n_rows,)`."""
    chunks = [inputs[start : start + CHUNK] for start in range(0, len(inputs), CHUNK)]
    found = [model({INPUT: chunk}, training=False).numpy()[:, 0] for chunk in chunks]
    return np.concatenate(found).astype(np.float64) if found else np.zeros(0)


def export(model: keras.Model, out: Path) -> tuple[Variant, ...]:
    """Write it as LiteRT in each precision."""
    return export_litert(model, {INPUT: (None, model.inputs[0].shape[1])}, out)


def weighted_loss(targets: Any, log_odds: Any) -> Any:
    """Return the weighted cross-entropy of each row; `targets` are labels and weights `(n_rows, 2)`."""
    losses = tf.nn.sigmoid_cross_entropy_with_logits(labels=targets[:, 0], logits=log_odds[:, 0])
    return losses * targets[:, 1]


def _batches(rows: Rows, course: Course, epoch: int) -> Iterator[tuple[dict[str, Any], Any]]:
    targets = np.stack([rows.is_fraud, rows.weights / rows.weights.mean()], axis=1).astype(np.float32)
    for chunk in shuffled(len(targets), course.batch_size, course.seed, epoch):
        yield {INPUT: rows.inputs[chunk]}, targets[chunk]


def _precision(scores: NDArray[np.float64], rows: Rows) -> float:
    return once(average_precision("score", "label"), score=scores, label=rows.is_fraud)
