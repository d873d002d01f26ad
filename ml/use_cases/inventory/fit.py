"""Trains the network, first to see on `valid` how many passes are best, then on all that precedes the test."""

from __future__ import annotations

import logging
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ml.contract import Frames, JsonObject, Predictor, Variant
from ml.training import weights
from ml.training.determinism import make_deterministic
from ml.use_cases.inventory.forecast_fit import Forecaster, best_passes
from ml.use_cases.inventory.forecast_fit import fit as fit_network
from ml.use_cases.inventory.judgement import measure
from ml.use_cases.inventory.params import InventoryTrain

if TYPE_CHECKING:
    import pandas as pd
    from pydantic import BaseModel

    from ml.use_cases.inventory.forecast_network import Shape

NETWORK = "network"

log = logging.getLogger(__name__)


def train(splits: Frames, state: JsonObject, params: BaseModel, out: Path) -> JsonObject:
    """Train, write weights, config and history; return the summary."""
    import pandas as pd

    wanted = cast(InventoryTrain, params)
    tuned = fit_network(splits["train"], state, wanted, valid=splits["valid"])
    passes = best_passes(tuned)
    figures = _figures(tuned, splits["valid"], state)
    known = pd.concat([splits["train"], splits["valid"]], ignore_index=True)
    final = fit_network(known, state, wanted, passes=passes)
    settings = {"network": asdict(final.shape), "conditions": final.conditions, "passes": passes}
    weights.save(final.model, settings, _curve(tuned.epochs), out)
    log.info("network trained passes=%d wql=%.4f", passes, figures["wql"])
    return {
        "chosen": NETWORK,
        "valid": {NETWORK: figures},
        "parameters": int(final.model.count_params()),
        "passes": passes,
        "rows": {name: len(frame) for name, frame in splits.items()},
    }


def export(trained: Path, out: Path, splits: Frames, state: JsonObject) -> tuple[Variant, ...]:  # noqa: ARG001 - called as the contract says
    """Return the variants float32, float16 and int8; no data are needed to calibrate them."""
    from ml.use_cases.inventory.forecast_export import export as export_network

    model, shape = _rebuilt(trained)
    return export_network(model, shape, out)


def reference(trained: Path) -> Predictor:
    """Return the trained network as Keras runs it."""
    return weights.as_predictor(_rebuilt(trained)[0])


def _rebuilt(trained: Path) -> tuple[Any, Shape]:
    config = weights.config(trained)
    make_deterministic(config["conditions"]["seed"], config["conditions"]["threads"])
    from ml.use_cases.inventory.forecast_network import Shape, build

    settings = config["network"]
    shape = Shape(**{**settings, "group_sizes": tuple(settings["group_sizes"])})
    model = build(shape)
    weights.load(model, trained)
    return model, shape


def _curve(epochs: list[JsonObject]) -> list[JsonObject]:
    """Return each pass with the members' mean loss and their mean WQL on `valid`."""
    passes: dict[int, list[JsonObject]] = {}
    for one in epochs:
        passes.setdefault(one["epoch"], []).append(one)
    return [
        {
            "epoch": number,
            "loss": sum(one["loss"] for one in members) / len(members),
            "valid_wql": -sum(one["neg_wql"] for one in members) / len(members),
        }
        for number, members in sorted(passes.items())
    ]


def _figures(found: Forecaster, valid: pd.DataFrame, state: JsonObject) -> dict[str, float]:
    parts = measure(found(valid), valid, state)
    return {
        "stock_cost": float(parts["stock_cost"].mean()),
        "wql": float(parts["pinball"].sum() / parts["demand"].sum()),
        "fill_rate": float(parts["filled"].sum() / parts["asked"].sum()),
    }
