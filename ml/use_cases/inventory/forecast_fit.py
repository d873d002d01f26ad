"""Trains the network on pinball loss, and forecasts with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml.contract import JsonObject
from ml.training.determinism import make_deterministic
from ml.use_cases.inventory.demand_score import wql
from ml.use_cases.inventory.demand_window import stacked
from ml.use_cases.inventory.forecast_encode import encode
from ml.use_cases.inventory.forecast_params import TrainParams

if TYPE_CHECKING:
    from ml.training.loop import Watch
    from ml.use_cases.inventory.forecast_batches import Steps
    from ml.use_cases.inventory.forecast_network import Shape

Inputs: TypeAlias = "dict[str, NDArray[np.generic]]"

SLOWEST = 0.02  # step size at the end, relative to the start
FORECAST_ROWS = 8192  # rows whose activations are in memory at a time


@dataclass(frozen=True, kw_only=True)
class Forecaster:
    """A trained network and what encodes its inputs."""

    model: Any
    shape: Shape
    state: JsonObject
    epochs: list[JsonObject]
    """Figures of each pass of each member."""
    conditions: JsonObject
    """What the weights depend on beside their inputs."""

    def __call__(self, examples: pd.DataFrame) -> NDArray[np.float64]:
        """Return quantiles `(n_rows, horizon · n_quantiles)` [pieces]."""
        return _predict(self.model, encode(examples, self.state))


def fit(
    train: pd.DataFrame,
    state: JsonObject,
    params: TrainParams,
    *,
    valid: pd.DataFrame | None = None,
    passes: int | None = None,
) -> Forecaster:
    """Train every member; with `valid` its best pass is kept, without the last.

    Args:
        train: Examples; targets that are not-a-number are left out of the loss.
        state: From `fit_state`, on the same periods.
        params: How.
        valid: Later examples, to choose on.
        passes: Passes to make where that was chosen before; the step size falls as if all were made.
    """
    conditions = make_deterministic(params.seed, params.threads)
    from ml.use_cases.inventory import forecast_network as network  # TensorFlow reads its settings when it is imported
    from ml.use_cases.inventory.forecast_batches import Steps

    inputs, targets = encode(train, state), stacked(train, "targets")
    shape = _shape(inputs, state, params)
    model = network.build(shape)
    steps = Steps(inputs, targets, params)
    seen = None if valid is None else (encode(valid, state), stacked(valid, "targets"))
    epochs = []
    for number in range(params.members):
        member = model.get_layer(f"member_{number}")
        member.get_layer("standard").adapt(inputs["features"])
        if params.warm_start:
            network.start_at(
                member, shared_quantiles(targets, np.asarray(inputs["scale"], np.float64), state["quantiles"])
            )
        watch = _watch(member, params, seen)
        _fit_member(member, steps.of_member(number), params, watch, passes or params.epochs)
        epochs += [{"member": number, **one} for one in watch.epochs]
    return Forecaster(model=model, shape=shape, state=state, epochs=epochs, conditions=conditions)


def shared_quantiles(
    targets: NDArray[np.float64], scale: NDArray[np.float64], levels: Sequence[float]
) -> NDArray[np.float64]:
    """Return the quantiles of demand over scale that minimise the pinball loss of all examples `(n_quantiles,)`.

    They are those of the distribution in which each demand counts as much as its scale (Koenker 2005, section 5.3).

    Args:
        targets: `(n_rows, horizon)`; not-a-number where unknown.
        scale: `(n_rows, 1)`.
        levels: Levels of the quantiles.
    """
    known = np.isfinite(targets)
    relative, weight = (targets / scale)[known], np.broadcast_to(scale, targets.shape)[known]
    order = np.argsort(relative, kind="stable")
    reached = np.cumsum(weight[order]) / weight.sum()
    places = np.minimum(np.searchsorted(reached, levels), len(order) - 1)
    return np.asarray(relative[order][places])


def best_passes(found: Forecaster) -> int:
    """Return how many passes were best on `valid`, the median over members: as many are made on all the data."""
    passes = pd.DataFrame(found.epochs)
    best = passes.loc[passes.groupby("member")["neg_wql"].idxmax(), "epoch"]
    return int(best.median())


def _fit_member(member: Any, steps: Steps, params: TrainParams, watch: Watch, passes: int) -> None:
    from ml.training.loop import falling_adam, fit
    from ml.use_cases.inventory.forecast_objective import pinball_loss

    member.compile(falling_adam(params.learning_rate, params.epochs * steps.count, last=SLOWEST))
    fit(member, steps, pinball_loss(steps.horizon, steps.mean), watch, passes)


def _watch(member: Any, params: TrainParams, seen: tuple[Inputs, NDArray[np.float64]] | None) -> Watch:
    """Return what measures a member after each pass; where nothing is seen, the newest pass is the best."""
    from ml.training.loop import Watch

    if seen is None:
        return Watch.newest()
    inputs, actual = seen
    return Watch(
        measure=lambda: {"neg_wql": -wql(_predict(member, inputs), actual)}, figure="neg_wql", patience=params.patience
    )


def _shape(inputs: Inputs, state: JsonObject, params: TrainParams) -> Shape:
    from ml.use_cases.inventory.forecast_network import Shape

    sizes = tuple(len(level["names"]) + 1 for level in state["hierarchy"]["levels"].values())
    return Shape(
        n_features=inputs["features"].shape[1],
        n_ahead=inputs["ahead"].shape[2],
        group_sizes=sizes or (1,),
        horizon=state["horizon"],
        n_quantiles=len(state["quantiles"]),
        hidden=params.hidden,
        embedding=params.embedding,
        dropout=params.dropout,
        members=params.members,
    )


def _predict(model: Any, inputs: Inputs) -> NDArray[np.float64]:
    starts = range(0, len(inputs["scale"]), FORECAST_ROWS)
    parts = [
        np.asarray(model({name: values[at : at + FORECAST_ROWS] for name, values in inputs.items()}, training=False))
        for at in starts
    ]
    return np.concatenate(parts).astype(np.float64)
