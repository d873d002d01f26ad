"""Hands the training loop its steps: examples in an order drawn anew for each pass."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from ml.training.loop import shuffled
from ml.use_cases.inventory.forecast_params import TrainParams


class Steps:
    """All steps of a pass; every batch is full, so the network is compiled once."""

    def __init__(
        self, inputs: dict[str, NDArray[np.generic]], targets: NDArray[np.float64], params: TrainParams, member: int = 0
    ) -> None:
        self._inputs, self._targets, self._params, self._member = inputs, targets, params, member
        self._size = min(params.batch_size, len(targets))
        self.count = len(targets) // self._size
        self.horizon = targets.shape[1]
        self.mean = float(np.nanmean(targets))

    def of_member(self, member: int) -> Steps:
        """Return the steps in another member's order."""
        return Steps(self._inputs, self._targets, self._params, member)

    def __call__(self, epoch: int) -> Iterator[tuple[dict[str, Any], Any]]:
        """Yield inputs and targets of each step of a pass."""
        steps = shuffled(len(self._targets), self._size, self._params.seed, self._member, epoch)
        for chosen in islice(steps, self.count):
            inputs = {name: tf.constant(values[chosen]) for name, values in self._inputs.items()}
            yield inputs, tf.constant(self._targets[chosen].astype(np.float32))
