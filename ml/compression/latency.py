"""Measures how long one request takes, on one thread, as a server would see it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ml.contract import JsonObject

if TYPE_CHECKING:
    from ml.contract import Arrays, Predictor

WARM_UP = 10


def measure_latency(predictor: Predictor, requests: Sequence[Arrays]) -> JsonObject:
    """Return median, 95th percentile and mean of single requests [ms].

    Args:
        predictor: The model.
        requests: Inputs of one row each; the first few are run once before.
    """
    for inputs in requests[:WARM_UP]:
        predictor(inputs)
    spent = [_milliseconds(predictor, inputs) for inputs in requests]
    p50, p95 = np.percentile(spent, [50, 95])
    return {"p50_ms": float(p50), "p95_ms": float(p95), "mean_ms": float(np.mean(spent)), "requests": len(spent)}


def _milliseconds(predictor: Predictor, inputs: Arrays) -> float:
    began = time.perf_counter()
    predictor(inputs)
    return (time.perf_counter() - began) * 1000
