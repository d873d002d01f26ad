"""A straight line and a bend: with the bend at zero the network is ordinary least squares."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

LINE, BEND = "line", "bend"


def build(n_inputs: int, hidden: int) -> Any:
    """Return rating(x) = w·x + b + v·relu(Ux + c), of scaled inputs; the bend starts at zero."""
    inputs = keras.Input((n_inputs,), name="inputs")
    line = keras.layers.Dense(1, name=LINE)(inputs)
    folded = keras.layers.Dense(hidden, activation="relu", name="folds")(inputs)
    bend = keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros", name=BEND)(folded)
    return keras.Model({"inputs": inputs}, keras.layers.Add(name="rating")([line, bend]))


def straighten(model: Any, coefficients: NDArray[np.float64], mean: NDArray[np.float64], scale: Any) -> None:
    """Make the network say what least squares says: coefficients of raw inputs, intercept first."""
    slopes = coefficients[1:] * scale
    intercept = coefficients[0] + coefficients[1:] @ mean
    model.get_layer(LINE).set_weights([slopes[:, None].astype(np.float32), np.array([intercept], dtype=np.float32)])
    bend = model.get_layer(BEND)
    bend.set_weights([np.zeros_like(values) for values in bend.get_weights()])
