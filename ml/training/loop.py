"""Trains a Keras model pass by pass: seeded order, figures to the log as they come, the best pass kept."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from ml.contract import JsonObject

log = logging.getLogger(__name__)

Batches = Callable[[int], Iterable[tuple[dict[str, Any], Any]]]
"""Pass, from 1 -> (inputs by name, targets) of each step."""


@dataclass(kw_only=True)
class Watch:
    """Measures after each pass, and says when to end.

    Args:
        measure: Returns the figures of the model as it is.
        figure: The figure that decides; higher is better.
        patience: Passes without a better figure before the end.
    """

    measure: Callable[[], dict[str, float]]
    figure: str
    patience: int
    epochs: list[JsonObject] = field(default_factory=list)
    """Figures of each pass; no timing, so that equal trainings have equal histories."""
    best: JsonObject | None = None

    @classmethod
    def newest(cls) -> Watch:
        """Return the watch that measures nothing: the newest pass is the best."""
        return cls(measure=dict, figure="epoch", patience=1)

    def look(self, loss: float) -> bool:
        """Take the figures of a pass; tell whether it is the best so far."""
        entry: JsonObject = {"epoch": len(self.epochs) + 1, "loss": loss, **self.measure()}
        self.epochs.append(entry)
        is_best = self.best is None or entry[self.figure] > self.best[self.figure]
        self.best = entry if is_best else self.best
        return is_best

    def is_over(self) -> bool:
        """Tell whether the last passes brought nothing."""
        return self.best is not None and len(self.epochs) - int(self.best["epoch"]) >= self.patience


def shuffled(n_rows: int, size: int, *key: int) -> Iterator[NDArray[np.int64]]:
    """Yield the rows of each step of a pass, in an order drawn by a key; the last step may be smaller.

    Args:
        n_rows: Training rows.
        size: Rows a step.
        key: Seed, pass and whatever else tells orders apart.
    """
    order = np.random.default_rng(key).permutation(n_rows)
    for start in range(0, n_rows, size):
        yield order[start : start + size]


def falling_adam(rate: float, steps: int, last: float, warm_up: float = 0.0) -> Any:
    """Return Adam whose step size falls along half a cosine.

    Args:
        rate: Largest step size.
        steps: Steps until the end.
        last: Step size at the end, relative to the largest.
        warm_up: Share of the steps in which it rises from nothing before it falls.
    """
    if not (rising := round(warm_up * steps)):
        return keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(rate, steps, alpha=last))
    falling = keras.optimizers.schedules.CosineDecay(
        0.0, steps - rising, alpha=last, warmup_target=rate, warmup_steps=rising
    )
    return keras.optimizers.Adam(falling)


AVERAGED = 0.99  # share of the running average of the weights that each step keeps


def fit(model: Any, batches: Batches, loss: Callable[[Any, Any], Any], watch: Watch, epochs: int) -> None:
    """Train until the passes are used up or the watch says that it is over; the best weights are put back.

    What is measured and kept is a running average of the weights (Polyak and Juditsky 1992, doi:10.1137/0330046): it
    does not jump from step to step as the weights themselves do.

    Args:
        model: Compiled with an optimizer.
        batches: Steps of a pass; shapes may differ from step to step.
        loss: (targets, scores) -> `(n_rows,)`.
        watch: Measures after each pass.
        epochs: Most passes.
    """
    averages = [tf.Variable(variable) for variable in model.trainable_variables]
    step, best = _step(model, loss, averages, _signature(model, *next(iter(batches(1))))), None
    for epoch in range(1, epochs + 1):
        began = time.monotonic()
        lost = [step(inputs, targets) for inputs, targets in batches(epoch)]
        mean = float(tf.reduce_mean(tf.stack(lost)).numpy())
        trained = time.monotonic() - began
        raw = _exchange(model, [average.numpy() for average in averages])
        if watch.look(mean):
            best = [average.numpy() for average in averages]
        _exchange(model, raw)
        _tell(watch.epochs[-1], trained, time.monotonic() - began)
        if watch.is_over():
            break
    if best is not None:
        _exchange(model, best)


def _exchange(model: Any, values: list[Any]) -> list[Any]:
    """Give the model other trainable weights, and return the ones it had."""
    before = [variable.numpy() for variable in model.trainable_variables]
    for variable, value in zip(model.trainable_variables, values, strict=True):
        variable.assign(value)
    return before


def _signature(model: Any, inputs: dict[str, Any], targets: Any) -> tuple[Any, Any]:
    """Return the shapes that all steps have in common, so that their function is traced once."""
    named = {tensor.name: tensor.shape for tensor in model.inputs}

    def spec(value: Any, shape: Any) -> Any:
        return tf.TensorSpec([None, *shape[1:]], value.dtype)

    return (
        {name: spec(value, named[name]) for name, value in inputs.items()},
        tf.nest.map_structure(lambda value: spec(value, value.shape), targets),
    )


def _step(
    model: Any, loss: Callable[[Any, Any], Any], averages: list[Any], signature: tuple[Any, Any]
) -> Callable[[Any, Any], Any]:
    @tf.function(input_signature=signature)  # type: ignore[untyped-decorator]  # TensorFlow has no types
    def step(inputs: Any, targets: Any) -> Any:
        with tf.GradientTape() as tape:
            mean = tf.reduce_mean(loss(targets, model(inputs, training=True)))
        variables = model.trainable_variables
        model.optimizer.apply(tape.gradient(mean, variables), variables)
        for average, variable in zip(averages, variables, strict=True):
            average.assign(AVERAGED * average + (1 - AVERAGED) * variable)
        return mean

    return step  # type: ignore[no-any-return]  # TensorFlow has no types


def _tell(entry: JsonObject, trained: float, whole: float) -> None:
    told = " ".join(f"{name}={value:.4f}" for name, value in entry.items() if name != "epoch")
    log.info("epoch ended epoch=%d %s train_seconds=%.1f seconds=%.1f", entry["epoch"], told, trained, whole)
