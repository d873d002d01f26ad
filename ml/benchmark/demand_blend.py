"""A combination of peers: quantiles averaged level by level, with weights that are chosen on the validation periods."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from ml.benchmark.demand_peer import Forecast, Peer, Trial
from ml.use_cases.inventory.demand_score import wql

STEPS = 5  # weights are multiples of 1 / STEPS


def blend(peers: Sequence[Peer]) -> Peer:
    """Return the peer that averages others (Lichtendahl, Grushka-Cockayne and Winkler 2013, doi:10.1287/mnsc.1120.1667)."""

    def forecast(trial: Trial, origin: int, seed: int) -> Forecast:
        seen = [peer(trial, trial.valid, seed) for peer in peers]
        weights = best_weights(seen, trial.actual(trial.valid))
        used = [(weight, peer) for weight, peer in zip(weights, peers, strict=True) if weight > 0]
        parts = [weight * peer(trial, origin, seed) for weight, peer in used]
        return sum(parts[1:], parts[0])

    return forecast


def best_weights(forecasts: Sequence[Forecast], actual: NDArray[np.float64]) -> tuple[float, ...]:
    """Return the weights, not negative and of sum 1, under which the average has the lowest WQL."""
    tried = [counts for counts in product(range(STEPS + 1), repeat=len(forecasts)) if sum(counts) == STEPS]
    stack = np.stack(forecasts)
    best = min(tried, key=lambda counts: wql(np.tensordot(np.array(counts) / STEPS, stack, axes=1), actual))
    return tuple(count / STEPS for count in best)
