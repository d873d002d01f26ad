"""What training minimises: pinball loss in pieces, whose sum over all rows is WQL but for a constant."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from ml.use_cases.inventory.demand_score import QUANTILES


def pinball_loss(horizon: int, mean: float) -> Callable[[Any, Any], Any]:
    """Return (targets, quantiles) -> `(n_rows,)`: twice the pinball loss of a period, in units of the mean demand.

    Args:
        horizon: Periods ahead.
        mean: Mean demand of the training targets, above 0: it keeps the step size independent of the shop's volumes.
    """
    levels = tf.constant(np.array(QUANTILES, dtype=np.float32))

    def loss(targets: Any, quantiles: Any) -> Any:
        known = tf.math.is_finite(targets)
        actual = tf.where(known, targets, 0.0)
        error = actual[:, :, None] - tf.reshape(quantiles, (-1, horizon, len(QUANTILES)))
        pinball = tf.reduce_mean(tf.maximum(levels * error, (levels - 1) * error), axis=2)
        return 2 * tf.reduce_sum(pinball * tf.cast(known, tf.float32), axis=1) / (mean * horizon)

    return loss
