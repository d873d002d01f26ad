"""How far exported scores are from those of the trained network they were made from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ml.contract import JsonObject

if TYPE_CHECKING:
    from numpy.typing import NDArray

DIGITS = 10


def parity(exported: NDArray[np.float32], trained: NDArray[np.float32]) -> JsonObject:
    """Return `difference` and `agreement`; none where there is no finite figure, such as for scores that are all equal.

    `difference` = max |exported − trained| / (max trained − min trained); `agreement` = Spearman's rank correlation over
    all scores of all rows.

    Args:
        exported: `(n_rows, n_outputs)`
        trained: The same rows, as the training library scores them.
    """
    from scipy import stats

    if exported.shape != trained.shape or not (np.isfinite(exported).all() and np.isfinite(trained).all()):
        return {"difference": None, "agreement": None}
    ours, theirs = exported.astype(np.float64).ravel(), trained.astype(np.float64).ravel()
    span = float(np.ptp(theirs))
    if not span or not np.ptp(ours):
        return {"difference": None, "agreement": None}
    agreement = float(stats.spearmanr(ours, theirs).statistic)
    return {
        "difference": round(float(np.abs(ours - theirs).max()) / span, DIGITS),
        "agreement": round(agreement, DIGITS),
    }
