"""Rebuilds the trained network and exports it for serving."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ml.compression.litert import export_litert
from ml.contract import Frames, JsonObject, Predictor, Variant
from ml.training import weights
from ml.training.determinism import make_deterministic
from ml.use_cases.recommend.encode import FEATURES


def export(trained: Path, out: Path, splits: Frames, state: JsonObject) -> tuple[Variant, ...]:  # noqa: ARG001 - called as the contract says
    """Return the variants float32, float16 and int8; no data are needed to calibrate them."""
    shapes = {"items": (None, None), "features": (None, None, len(FEATURES))}
    return export_litert(_rebuilt(trained), shapes, out)


def reference(trained: Path) -> Predictor:
    """Return the trained network as Keras runs it."""
    return weights.as_predictor(_rebuilt(trained))


def _rebuilt(trained: Path) -> Any:
    config = weights.config(trained)
    make_deterministic(config["conditions"]["seed"], config["conditions"]["threads"])
    from ml.use_cases.recommend import network

    model = network.build(network.Shape(**config["network"]))
    weights.load(model, trained)
    return model
