"""Exports the trained network for serving."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml.compression.litert import export_litert
from ml.contract import Variant

if TYPE_CHECKING:
    from ml.use_cases.inventory.forecast_network import Shape


def export(model: Any, shape: Shape, out: Path) -> tuple[Variant, ...]:
    """Return the variants float32, float16 and int8; no data are needed to calibrate them."""
    signature = {
        "features": (None, shape.n_features),
        "ahead": (None, shape.horizon, shape.n_ahead),
        "groups": (None, len(shape.group_sizes)),
        "scale": (None, 1),
    }
    return export_litert(model, signature, out)
