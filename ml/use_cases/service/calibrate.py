"""Makes probabilities mean what they say: one scale for all log-odds, and one shift for out of scope, fitted on `valid`.

Temperature scaling (Guo et al. 2017, arXiv:1706.04599); the shift, as in Platt's scaling, because the share of messages
that are out of scope is not what the training rows make it. Both are folded into the head: what is exported is calibrated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax

if TYPE_CHECKING:
    from ml.use_cases.service.learn import Labelled
    from ml.use_cases.service.network import Network

WIDEST = 6.0  # of the logarithm of the scale: a network that is never wrong on `valid` would ask for an endless one


def calibrate(network: Network, valid: Labelled, *, shifts_last: bool) -> tuple[float, float]:
    """Fit scale and shift on `valid`, change the network's head by them, and return both.

    Args:
        network: Trained.
        valid: Rows that it did not learn from.
        shifts_last: Whether the last intent is out of scope, which has a shift of its own.
    """
    from ml.use_cases.service.network import scored  # brings TensorFlow

    odds = scored(network.scores, valid.tokens)[:, : network.n_intents].astype(np.float64)
    scale, shift = fitted(odds, valid.intents, shifts_last=shifts_last)
    network.head.scale.assign(network.head.scale * scale)
    bias = network.head.bias.numpy() * scale
    bias[-1] += shift
    network.head.bias.assign(bias)
    return scale, shift


def fitted(odds: NDArray[np.float64], intents: NDArray[np.int64], *, shifts_last: bool) -> tuple[float, float]:
    """Return the scale and the shift that make the right intents most probable, Σ log p largest."""
    rows = np.arange(len(intents))

    def lost(settings: NDArray[np.float64]) -> float:
        changed = odds * np.exp(settings[0])
        changed[:, -1] += settings[1]
        return float(-log_softmax(changed, axis=1)[rows, intents].mean())

    bounds = [(-WIDEST, WIDEST), (-10.0, 10.0) if shifts_last else (0.0, 0.0)]
    found = minimize(lost, np.zeros(2), method="L-BFGS-B", bounds=bounds)
    return float(np.exp(found.x[0])), float(found.x[1])
