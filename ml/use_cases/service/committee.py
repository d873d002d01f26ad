"""Several networks that answer together: what a student learns from, and what shows how far MiniLM can be taken."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from ml.contract import Arrays
from ml.use_cases.service.calibrate import fitted
from ml.use_cases.service.encode import TOKENS
from ml.use_cases.service.learn import Labelled, said
from ml.use_cases.service.network import Network


class Committee:
    """Answers with the calibrated mean of its members' log-odds (Lakshminarayanan et al. 2017, arXiv:1612.01474).

    Args:
        members: Networks for the same intents.
        valid: Rows on which the mean is calibrated; none leaves it as it is.
        shifts_last: Whether the last intent is out of scope, which is calibrated by a shift of its own.
    """

    def __init__(self, members: Sequence[Network], valid: Labelled | None, *, shifts_last: bool) -> None:
        self.members = tuple(members)
        self._scale, self._shift = 1.0, 0.0
        if valid is not None:
            odds = self._odds(valid.tokens)
            self._scale, self._shift = fitted(odds, valid.intents, shifts_last=shifts_last)

    def __call__(self, inputs: Arrays) -> NDArray[np.float32]:
        """Return probabilities `(n_rows, n_intents)`."""
        odds = self._odds(inputs[TOKENS]) * self._scale
        odds[:, -1] += self._shift
        return np.asarray(softmax(odds, axis=1), dtype=np.float32)

    def _odds(self, tokens: NDArray[np.int32]) -> NDArray[np.float64]:
        return said(self.members, tokens)[:, : self.members[0].n_intents].astype(np.float64)
