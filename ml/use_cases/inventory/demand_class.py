"""Sorts series by how their demand comes: smooth, erratic, intermittent or lumpy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

INTERVAL = 1.32  # mean periods from one sale to the next
SCATTER = 0.49  # squared coefficient of variation of the sizes of sales
CLASSES = ("smooth", "erratic", "intermittent", "lumpy")


def demand_class(demand: NDArray[np.float64]) -> NDArray[np.object_]:
    """Return the class of each series `(n_series,)` by the cut-offs of Syntetos, Boylan and Croston 2005.

    doi:10.1057/palgrave.jors.2601841: the mean interval between sales and the squared coefficient of variation of their
    sizes. A series without a sale is intermittent.

    Args:
        demand: `(n_series, n_periods)`; not-a-number where nothing is known.
    """
    known, sold = np.isfinite(demand), np.nan_to_num(demand) > 0
    sales = sold.sum(axis=1)
    interval = known.sum(axis=1) / np.maximum(sales, 1)
    sizes = np.where(sold, np.nan_to_num(demand), 0.0)
    mean = sizes.sum(axis=1) / np.maximum(sales, 1)
    variance = np.where(sold, (sizes - mean[:, None]) ** 2, 0.0).sum(axis=1) / np.maximum(sales, 1)
    scatter = variance / np.maximum(mean, 1e-9) ** 2
    code = 2 * ((interval > INTERVAL) | (sales == 0)) + (scatter > SCATTER)
    return np.asarray(np.array(CLASSES, dtype=object)[code.astype(np.int64)])
