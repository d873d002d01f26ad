"""The toy use case's exported model: numpy alone, so that a fresh process opens it at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np


class LinearPredictor:
    """Scores `(n_rows, 4)` = inputs · weights + bias."""

    def __init__(self, folder: Path) -> None:
        stored = np.load(folder / "weights.npz")
        self.weights = stored["weights"].astype(np.float32) * stored["scale"].astype(np.float32)
        self.bias = stored["bias"].astype(np.float32)

    def __call__(self, inputs: Any) -> Any:
        rows = np.concatenate([inputs["person"], inputs["history"]], axis=1)
        return rows @ self.weights + self.bias
