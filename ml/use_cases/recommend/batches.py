"""Cuts training examples into steps: shuffled by a seed, examples of like size together, padded to the widest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ml.contract import JsonObject
from ml.use_cases.recommend.encode import Packed, pack
from ml.use_cases.recommend.vocabulary import Vocabulary, vocabulary_of

if TYPE_CHECKING:
    import pandas as pd

    from ml.use_cases.recommend.params import RecommendTrain

MAX_TARGETS = 60  # products of a basket that are learned from, the most popular first
POOL = 16  # steps whose examples are sorted by size: wider pools save padding but mix less


class Steps:
    """The steps of each pass.

    Args:
        examples: Training examples.
        state: The fitted state.
        params: Seed and batch size.
    """

    def __init__(self, examples: pd.DataFrame, state: JsonObject, params: RecommendTrain) -> None:
        targets = padded_targets(examples, vocabulary_of(state))
        packed = pack(examples, state)
        useful = np.flatnonzero((targets >= 0).any(axis=1))
        self._packed: Packed = packed
        self._targets = targets
        self._useful = useful
        self._params = params

    @property
    def count(self) -> int:
        """Steps of a pass."""
        return -(-len(self._useful) // self._params.batch_size)

    def __call__(self, epoch: int) -> Iterator[tuple[dict[str, NDArray[Any]], NDArray[np.int32]]]:
        """Yield inputs and targets of each step of a pass."""
        for rows in self._order(epoch):
            yield self._packed.rows(rows), self._targets[rows]

    def _order(self, epoch: int) -> list[NDArray[np.int64]]:
        rng = np.random.default_rng([self._params.seed, epoch])
        size, shuffled = self._params.batch_size, rng.permutation(self._useful)
        pools = [shuffled[at : at + POOL * size] for at in range(0, len(shuffled), POOL * size)]
        ordered = [pool[np.argsort(self._packed.sizes[pool], kind="stable")] for pool in pools]
        steps = [pool[at : at + size] for pool in ordered for at in range(0, len(pool), size)]
        return [steps[at] for at in rng.permutation(len(steps))]


def padded_targets(examples: pd.DataFrame, vocabulary: Vocabulary) -> NDArray[np.int32]:
    """Return the products bought as numbers in the vocabulary `(n_rows, MAX_TARGETS)`, -1 where there is none."""
    padded = np.full((len(examples), MAX_TARGETS), -1, dtype=np.int32)
    for row, keys in enumerate(examples["targets"]):
        numbers = vocabulary.find(np.asarray(keys, dtype=np.int64))
        known = np.sort(numbers[numbers >= 0])[:MAX_TARGETS]
        padded[row, : len(known)] = known
    return padded
