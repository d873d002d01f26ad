"""From which probability on an intent is believed: chosen on validation rows, so that few texts in scope are declined."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.evaluation.statistic import calibration_error, once

MOST_LOST = 0.003
"""Accuracy in scope that the threshold may cost on the validation rows."""


@dataclass(frozen=True, kw_only=True)
class Scored:
    """Texts with what a network says of them."""

    p: NDArray[np.float64]
    """`(n_rows, n_intents)`; the last is out of scope."""
    intents: NDArray[np.int64]
    """By number `(n_rows,)`."""
    has_outside: bool
    """Whether there is such a thing as out of scope."""

    @property
    def matters(self) -> NDArray[np.float64]:
        """Probabilities of what is in scope."""
        return self.p[:, :-1] if self.has_outside else self.p

    @property
    def inside(self) -> NDArray[np.bool_]:
        """Which rows are in scope."""
        return np.less(self.intents, self.matters.shape[1])

    def answered(self, threshold: float) -> NDArray[np.bool_]:
        """Tell which rows are answered: some intent in scope is as probable as the threshold."""
        found: NDArray[np.bool_] = self.matters.max(axis=1) >= threshold
        return found

    def accuracy(self, threshold: float) -> float:
        """Return the share of the rows in scope that are answered, and rightly."""
        hit = self.answered(threshold) & (self.matters.argmax(axis=1) == self.intents)
        return float(hit[self.inside].mean())


def choose(valid: Scored) -> float:
    """Return the highest threshold that costs no more accuracy in scope than allowed; 0 where nothing is out of scope."""
    if not valid.has_outside or not valid.inside.any():
        return 0.0
    least = valid.accuracy(0.0) - MOST_LOST
    tried = np.unique(valid.matters[valid.inside].max(axis=1))
    kept = [float(one) for one in tried if valid.accuracy(float(one)) >= least]
    return max(kept, default=0.0)


def figures(rows: Scored, threshold: float) -> dict[str, float]:
    """Return accuracy in scope, recall and precision of out of scope, and the calibration error of the most probable."""
    right = (rows.p.argmax(axis=1) == rows.intents).astype(np.float64)
    told = {
        "accuracy": rows.accuracy(threshold),
        "calibration_error": once(calibration_error("said", "right"), said=rows.p.max(axis=1), right=right),
    }
    if not rows.has_outside:
        return told
    declined, outside = ~rows.answered(threshold), ~rows.inside
    caught = float((declined & outside).sum())
    return {
        **told,
        "out_of_scope_recall": caught / max(float(outside.sum()), 1.0),
        "out_of_scope_precision": caught / max(float(declined.sum()), 1.0),
        "threshold": threshold,
    }
