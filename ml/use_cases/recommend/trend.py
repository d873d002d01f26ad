"""How well each product sold of late, as it was known at a moment: seasons, promotions, and what is sold no more.

Sales are kept by periods of some days, newest first, up to the end of the data. At a moment only periods that had ended
before it count, so an example knows nothing of its own period, nor of what came later; a request after the end of the
data knows all.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ml.use_cases.recommend.vocabulary import Vocabulary

PERIOD = timedelta(days=3)
SPANS = (5, 10, 28)
"""How far sales are looked back [periods]: about 2, 4 and 12 weeks."""
TREND_FEATURES = tuple(f"log_sold_{span}" for span in SPANS)
FEW = 0.5  # baskets added to each count: what did not sell at all still has a logarithm


def first_period(moments: Any, as_of: Any) -> NDArray[np.int64]:
    """Return the newest period of sales that had ended at each moment: 0 from the end of the data on.

    Args:
        moments: `(n_rows,)` moments.
        as_of: End of the data.
    """
    before = np.datetime64(as_of, "us") - np.asarray(moments, dtype="datetime64[us]")
    periods: NDArray[np.int64] = np.ceil(np.maximum(before / np.timedelta64(PERIOD), 0)).astype(np.int64)
    return periods


def trend_features(periods: NDArray[np.int64], items: NDArray[np.int64], vocabulary: Vocabulary) -> NDArray[np.float64]:
    """Return `(n, len(SPANS))`: logarithm of each product's share of sales over each span, relative to the mean product.

    Args:
        periods: `(n,)` newest period that is known, as `first_period` returns it.
        items: `(n,)` numbers in the vocabulary.
        vocabulary: Knows the sales.
    """
    sold, n_products = vocabulary.sold, len(vocabulary.products)
    last = sold.shape[1] - 1
    columns = []
    for span in SPANS:
        begin, end = np.minimum(periods, last), np.minimum(periods + span, last)
        total = vocabulary.sold_in_all[end] - vocabulary.sold_in_all[begin]
        share = (sold[items, end] - sold[items, begin] + FEW) / (total / n_products + FEW)
        columns.append(np.log(share) / 2)
    return np.stack(columns, axis=1)
