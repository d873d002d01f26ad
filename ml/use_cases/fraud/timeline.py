"""Counts and sums over windows of many keys' events at once: one sort, then binary searches and running sums."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Whole = NDArray[np.int64]


class Timeline:
    """Events of many keys in the order of key, moment and arrival.

    Args:
        keys: `(n_events,)` numbers from 0.
        moments: `(n_events,)` [s since 1970]; events of one key and moment keep the order they are given in.
    """

    def __init__(self, keys: Whole, moments: Whole) -> None:
        self._first = int(moments.min()) if len(moments) else 0
        self._span = int(moments.max()) - self._first + 2 if len(moments) else 2
        self.order: Whole = np.argsort(self._place(keys, moments), kind="stable")
        self._places = self._place(keys, moments)[self.order]
        self.rank: Whole = np.empty_like(self.order)
        self.rank[self.order] = np.arange(len(self.order))

    def until(self, keys: Whole, moments: Whole) -> Whole:
        """Return how many events lie before each key or are that key's, at that moment or earlier."""
        return np.searchsorted(self._places, self._place(keys, moments), side="right").astype(np.int64)

    def before(self, keys: Whole, moments: Whole) -> Whole:
        """Return how many events lie before each key or are that key's, earlier than that moment."""
        return np.searchsorted(self._places, self._place(keys, moments), side="left").astype(np.int64)

    def start(self, keys: Whole) -> Whole:
        """Return how many events lie before each key."""
        return np.searchsorted(self._places, keys * self._span, side="left").astype(np.int64)

    def sums(self, values: Whole) -> Whole:
        """Return `(n_events + 1,)` running sums in timeline order: between i and j lie `sums[j] − sums[i]`."""
        return np.concatenate([[0], np.cumsum(values[self.order], dtype=np.int64)])

    def pick(self, values: Whole, at: Whole, inside: NDArray[np.bool_], otherwise: int) -> Whole:
        """Return the value of the event at each timeline position where `inside`, else `otherwise`."""
        if not len(values):
            return np.full(len(at), otherwise, dtype=np.int64)
        safe = np.clip(at, 0, len(values) - 1)
        return np.where(inside, values[self.order][safe], otherwise).astype(np.int64)

    def _place(self, keys: Whole, moments: Whole) -> Whole:
        # one number for key and moment; what lies outside the recorded time is drawn to its edges: 0 and span − 1
        return keys * self._span + np.clip(moments - self._first + 1, 0, self._span - 1)
