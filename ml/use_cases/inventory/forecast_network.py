"""The model: quantiles of demand for all periods ahead at once, never falling from one level to the next.

q[h, k] = scale · Σ_{j ≤ k} softplus(d[h, j](x)): sums of positive steps cannot cross (as in Gasthaus et al. 2019,
proceedings.mlr.press/v89/gasthaus19a.html, and Park et al. 2022, proceedings.mlr.press/v151/park22a.html).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

START = -3.0  # where steps start before softplus: near no demand at all
LEAST_STEP = 1e-2  # between two quantiles that training starts at: softplus has to be able to grow it
EXTREME = 5.0  # standard deviations at which a feature is cut off: no forecast rests on what was never seen


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Sizes of a network; all a reader of `config.json` needs to build it again."""

    n_features: int
    n_ahead: int
    group_sizes: tuple[int, ...]
    """Number of groups of each level, unseen included."""
    horizon: int
    n_quantiles: int
    hidden: int
    embedding: int
    dropout: float
    members: int
    """Networks that differ in their seed only, whose quantiles are averaged."""


def build(shape: Shape) -> keras.Model:
    """Return the untrained model: `features`, `ahead`, `groups`, `scale` -> `(n_rows, horizon · n_quantiles)` [pieces].

    Its members' quantiles are averaged level by level (Lichtendahl, Grushka-Cockayne and Winkler 2013,
    doi:10.1287/mnsc.1120.1667); each is a layer of its own, `member_0` and so on, to be trained alone.
    """
    inputs = _inputs(shape)
    each = [_member(shape, f"member_{number}")(inputs) for number in range(shape.members)]
    return keras.Model(inputs, sum(each[1:], each[0]) / shape.members)


def start_at(member: keras.Model, quantiles: Any) -> None:
    """Let an untrained member say the same quantiles, relative to its scale, of every series `(n_quantiles,)`, rising."""
    steps = np.maximum(np.diff(quantiles, prepend=0.0), LEAST_STEP)
    layer = member.get_layer("steps")
    kernel, _ = layer.get_weights()
    layer.set_weights([np.zeros_like(kernel), np.log(np.expm1(steps)).astype(np.float32)])
    straight = member.get_layer("straight")
    straight.set_weights([np.zeros_like(values) for values in straight.get_weights()])


def _inputs(shape: Shape) -> dict[str, Any]:
    return {
        "features": keras.Input((shape.n_features,), name="features"),
        "ahead": keras.Input((shape.horizon, shape.n_ahead), name="ahead"),
        "groups": keras.Input((len(shape.group_sizes),), dtype="int32", name="groups"),
        "scale": keras.Input((1,), name="scale"),
    }


def _member(shape: Shape, name: str) -> keras.Model:
    inputs = _inputs(shape)
    past = _past(shape, inputs["features"], inputs["groups"])
    rising = keras.ops.cumsum(keras.ops.softplus(_steps(shape, past, inputs["ahead"])), axis=2)
    flat = keras.ops.reshape(rising, (-1, shape.horizon * shape.n_quantiles))
    return keras.Model(inputs, flat * inputs["scale"], name=name)


def _past(shape: Shape, features: Any, groups: Any) -> Any:
    """Return what the past and the groups say `(n_rows, hidden + …)`."""
    embedded = [
        keras.layers.Embedding(size, shape.embedding, embeddings_initializer="zeros", name=f"group_{level}")(
            groups[:, level]
        )
        for level, size in enumerate(shape.group_sizes)
    ]
    standard = keras.layers.Normalization(name="standard")(features)
    wide = keras.layers.Concatenate()([keras.ops.clip(standard, -EXTREME, EXTREME), *embedded])
    first = keras.layers.Dense(shape.hidden, activation="relu", name="first")(wide)
    dropped = keras.layers.Dropout(shape.dropout)(first)
    return keras.layers.Concatenate()([dropped, wide])


def _steps(shape: Shape, past: Any, ahead: Any) -> Any:
    """Return the steps between quantiles before softplus `(n_rows, horizon, n_quantiles)`; periods share weights."""
    whole = keras.layers.Dense(shape.hidden, name="from_past")(past)
    each = keras.layers.Dense(shape.hidden, use_bias=False, name="from_plans")(ahead)
    second = keras.ops.relu(keras.ops.expand_dims(whole, 1) + each)
    start = keras.initializers.Constant(START)
    steps = keras.layers.Dense(shape.n_quantiles, bias_initializer=start, name="steps")(second)
    straight = keras.layers.Dense(shape.n_quantiles, use_bias=False, name="straight")(past)
    return steps + keras.ops.expand_dims(straight, 1)
