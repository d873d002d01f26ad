"""Weights at rest: the same numbers give the same bytes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml.contract import Arrays, JsonObject, Predictor
from ml.errors import IntegrityBroken
from ml.files import read_json, write_json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WEIGHTS, CONFIG, HISTORY = "model.weights.h5", "config.json", "history.json"


def save(model: Any, config: JsonObject, epochs: list[JsonObject], out: Path) -> None:
    """Write a Keras model's weights, what rebuilds it, and the course of its training."""
    out.mkdir(parents=True, exist_ok=True)
    model.save_weights(out / WEIGHTS, overwrite=True)
    write_json(out / CONFIG, config)
    write_json(out / HISTORY, {"epochs": epochs})


def load(model: Any, folder: Path) -> None:
    """Load weights into a model of the same shape.

    Raises:
        IntegrityBroken: The file is missing or holds other shapes.
    """
    try:
        model.load_weights(folder / WEIGHTS)
    except (OSError, ValueError) as error:
        raise IntegrityBroken(f"weights of this model in {folder}", type(error).__name__, "Train again.") from error


def as_predictor(model: Any) -> Predictor:
    """Return a Keras model as a predictor in float, to compare exports with."""

    def predict(inputs: Arrays) -> NDArray[np.float32]:
        import numpy as np

        return np.asarray(model(dict(inputs), training=False), dtype=np.float32)

    return predict


def config(folder: Path) -> JsonObject:
    """Return what rebuilds the model."""
    return read_json(folder / CONFIG)
