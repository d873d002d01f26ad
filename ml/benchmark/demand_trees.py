"""LightGBM quantile trees over the network's own inputs: the global peer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml.benchmark.demand_peer import Forecast, Trial, fitted_state
from ml.contract import JsonObject
from ml.use_cases.inventory.demand_score import QUANTILES
from ml.use_cases.inventory.demand_window import stacked
from ml.use_cases.inventory.forecast_encode import encode

ROWS = 100_000  # rows of a training, drawn from all periods ahead of all examples
PARAMS = {
    "objective": "quantile",
    "learning_rate": 0.1,
    "num_leaves": 24,
    "min_data_in_leaf": 100,
    "feature_fraction": 0.7,
    "num_threads": 1,
    "verbosity": -1,
    "deterministic": True,
}
MOST, PATIENCE = 150, 10  # trees; trees without a better pinball loss on `valid`


@dataclass(frozen=True, kw_only=True)
class Rows:
    """One row a period ahead: what the network sees of it, the scale, and what was asked for."""

    x: NDArray[np.float32]
    scale: NDArray[np.float64]
    demand: NDArray[np.float64]

    def dataset(self) -> Any:
        """Return relative demand weighted by the scale: its pinball loss is that of demand in pieces."""
        import lightgbm

        return lightgbm.Dataset(self.x, self.demand / self.scale, weight=self.scale)


@cache
def light_gbm(trial: Trial, origin: int, seed: int) -> Forecast:
    """Return quantiles of one model a level, sorted so that none crosses; their sizes are chosen on `valid`."""
    state, horizon = fitted_state(trial, origin), trial.window.horizon
    seen, rows = _drawn(trial.past(origin), state, seed), _flat(trial.at(origin), state)
    sizes = _sizes(trial, seed)
    models = [_train(seen, level, seed, trees) for level, trees in zip(QUANTILES, sizes, strict=True)]
    found = np.stack([model.predict(rows.x) * rows.scale for model in models], axis=1)
    return np.sort(np.maximum(found, 0), axis=1).reshape(-1, horizon * len(QUANTILES))


@cache
def _sizes(trial: Trial, seed: int) -> tuple[int, ...]:
    """Return how many trees of each level are best on `valid`."""
    state = fitted_state(trial, trial.valid)
    seen = _drawn(trial.past(trial.valid), state, seed)
    rows = trial.at(trial.valid).assign(targets=list(trial.actual(trial.valid)))
    later = _flat(rows, state)
    return tuple(_train(seen, level, seed, MOST, later).best_iteration for level in QUANTILES)


def _train(seen: Rows, level: float, seed: int, trees: int, valid: Rows | None = None) -> Any:
    import lightgbm

    stop = lightgbm.early_stopping(PATIENCE, verbose=False)
    return lightgbm.train(
        PARAMS | {"alpha": level, "seed": seed},
        seen.dataset(),
        trees,
        valid_sets=[] if valid is None else [valid.dataset()],
        callbacks=[] if valid is None else [stop],
    )


def _drawn(examples: pd.DataFrame, state: JsonObject, seed: int) -> Rows:
    """Return as many periods ahead as one training sees."""
    known = np.flatnonzero(np.isfinite(stacked(examples, "targets").ravel()))
    chosen = np.random.default_rng(seed).choice(known, min(ROWS, len(known)), replace=False)
    return _flat(examples, state, np.sort(chosen))


def _flat(examples: pd.DataFrame, state: JsonObject, chosen: NDArray[np.int64] | None = None) -> Rows:
    """Return one row a period ahead, of all of them or of those chosen by number."""
    inputs, horizon = encode(examples, state), state["horizon"]
    cells = np.arange(len(examples) * horizon) if chosen is None else chosen
    rows, ahead = np.divmod(cells, horizon)
    planned = inputs["ahead"].reshape(-1, inputs["ahead"].shape[2])[cells][:, horizon:]
    x = np.concatenate([inputs["features"][rows], planned, inputs["groups"][rows], ahead[:, None]], axis=1)
    return Rows(
        x=x.astype(np.float32),
        scale=inputs["scale"][rows, 0].astype(np.float64),
        demand=stacked(examples, "targets").ravel()[cells],
    )
