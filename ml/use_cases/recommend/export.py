"""Rebuilds the trained network and exports it for serving."""

from __future__ import annotations

from pathlib import Path

from ml.compression.litert import export_litert
from ml.contract import Frames, JsonObject, Variant
from ml.training import weights
from ml.training.determinism import make_deterministic
from ml.use_cases.recommend.encode import FEATURES


def export(trained: Path, out: Path, splits: Frames, state: JsonObject) -> tuple[Variant, ...]:  # noqa: ARG001
    """Return the variants float32, float16 and int8; no data are needed to calibrate them."""
    config = weights.config(trained)
    make_deterministic(config["conditions"]["seed"], config["conditions"]["threads"])
    from ml.use_cases.recommend import network

    model = network.build(network.Shape(**config["network"]))
    weights.load(model, trained)
    return export_litert(model, {"items": (None, None), "features": (None, None, len(FEATURES))}, out)
