"""Fits least squares in closed form and the network from there, and hands over whichever is better on `valid`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml.compression.litert import export_litert
from ml.contract import Frames, JsonObject, Predictor, Variant
from ml.training import weights
from ml.training.determinism import make_deterministic
from ml.use_cases.rating.examples import encode
from ml.use_cases.rating.least_squares import Fit, least_squares
from ml.use_cases.rating.params import RatingTrain
from ml.use_cases.rating.table import INPUTS, TARGET

if TYPE_CHECKING:
    from pydantic import BaseModel

LEAST_SQUARES, NETWORK = "least_squares", "network"
DECIMALS = 6  # of a coefficient that is told


def train(splits: Frames, state: JsonObject, params: BaseModel, out: Path) -> JsonObject:
    """Fit both, choose by R² on `valid`, write weights, config and history; return the summary.

    Raises:
        ValueError: Least squares has no single solution.
    """
    wanted = cast(RatingTrain, params)
    conditions = make_deterministic(wanted.seed, wanted.threads)
    from ml.use_cases.rating import network  # TensorFlow reads its settings when it is imported

    rows, valid = splits["train"], splits["valid"]
    solved = least_squares(_raw(rows), _targets(rows), wanted.confidence)
    mean, scale = np.array(state["mean"]), np.array(state["scale"])
    model = network.build(len(INPUTS), wanted.hidden)
    network.straighten(model, solved.coefficients, mean, scale)
    figures = {LEAST_SQUARES: measured(_scores(model, valid, state), valid)}
    epochs = _fit(model, splits, state, wanted)
    figures[NETWORK] = measured(_scores(model, valid, state), valid)
    gain = figures[NETWORK]["r2"] - figures[LEAST_SQUARES]["r2"]
    chosen = NETWORK if gain > wanted.least_gain else LEAST_SQUARES
    if chosen == LEAST_SQUARES:
        network.straighten(model, solved.coefficients, mean, scale)
    settings = {"hidden": wanted.hidden, "chosen": chosen, "conditions": conditions}
    weights.save(model, settings, epochs, out)
    return {
        "chosen": chosen,
        "valid": figures,
        "parameters": int(model.count_params()),
        "coefficients": told(solved, wanted.confidence),
        "rows": {name: len(frame) for name, frame in splits.items()},
    }


def export(trained: Path, out: Path, splits: Frames, state: JsonObject) -> tuple[Variant, ...]:  # noqa: ARG001 - called as the contract says
    """Return the variants float32, float16 and int8; no data are needed to calibrate them."""
    return export_litert(_rebuilt(trained), {"inputs": (None, len(INPUTS))}, out)


def reference(trained: Path) -> Predictor:
    """Return the fitted network as Keras runs it."""
    return weights.as_predictor(_rebuilt(trained))


def measured(scores: NDArray[np.float64], rows: pd.DataFrame) -> dict[str, float]:
    """Return R² = 1 − Σ(y − ŷ)² / Σ(y − ȳ)² and the root of the mean squared error."""
    truth = _targets(rows)
    lost = float(((truth - scores) ** 2).sum())
    spread = float(((truth - truth.mean()) ** 2).sum())
    return {"r2": 1 - lost / spread if spread else 0.0, "rmse": float(np.sqrt(lost / len(rows)))}


def told(solved: Fit, confidence: float) -> dict[str, str]:
    """Return each coefficient with its interval, in words."""
    names = ("intercept", *INPUTS)
    columns = (np.round(values, DECIMALS).tolist() for values in (solved.coefficients, solved.low, solved.high))
    return {
        name: f"{value:g} ({low:g} to {high:g}, {confidence:.0%})"
        for name, value, low, high in zip(names, *columns, strict=True)
    }


def _rebuilt(trained: Path) -> Any:
    config = weights.config(trained)
    make_deterministic(config["conditions"]["seed"], config["conditions"]["threads"])
    from ml.use_cases.rating import network

    model = network.build(len(INPUTS), config["hidden"])
    weights.load(model, trained)
    return model


def _fit(model: Any, splits: Frames, state: JsonObject, params: RatingTrain) -> list[JsonObject]:
    import keras
    import tensorflow as tf

    from ml.training.loop import Watch, fit, shuffled

    inputs, targets = encode(splits["train"], state)["inputs"], _targets(splits["train"]).astype(np.float32)

    def steps(epoch: int) -> Iterator[tuple[Any, Any]]:
        for rows in shuffled(len(targets), params.batch_size, params.seed, epoch):
            yield {"inputs": tf.constant(inputs[rows])}, tf.constant(targets[rows])

    model.compile(keras.optimizers.Adam(params.learning_rate))
    watch = Watch(
        measure=lambda: measured(_scores(model, splits["valid"], state), splits["valid"]),
        figure="r2",
        patience=params.patience,
    )
    fit(model, steps, lambda wanted, scores: (wanted - scores[:, 0]) ** 2, watch, params.epochs)
    return watch.epochs


def _scores(model: Any, rows: pd.DataFrame, state: JsonObject) -> NDArray[np.float64]:
    return np.asarray(model(encode(rows, state)), dtype=np.float64)[:, 0]


def _raw(rows: pd.DataFrame) -> NDArray[np.float64]:
    return rows[list(INPUTS)].to_numpy(dtype=np.float64)


def _targets(rows: pd.DataFrame) -> NDArray[np.float64]:
    return rows[TARGET].to_numpy(dtype=np.float64)
