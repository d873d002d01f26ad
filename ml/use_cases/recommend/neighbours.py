"""Which products are bought by the same customers: a sparse item-to-item table.

Cosine of two products' columns in the matrix of customers and products, where an entry is the logarithm of one plus
the number of a customer's training baskets with the product; damped for products few customers bought.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ml.contract import JsonObject
from ml.use_cases.recommend.encode import events_of, positions
from ml.use_cases.recommend.judgement import top_k

if TYPE_CHECKING:
    import pandas as pd

NEIGHBOURS = 10  # of a product, itself not counted
DAMPING = 10.0  # added to each squared norm: similarities of rare products rest on few customers
LEVELS = 255  # steps of a similarity: it is kept in 8 bits
ROWS = 1000  # products whose similarities are in memory at a time


def similar(train: pd.DataFrame, state: JsonObject) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return numbers and similarities `(n_products, k + 1)`: each product itself (1), then the most similar."""
    scaled = _scaled(train, state)
    starts = range(0, scaled.shape[1], ROWS)
    parts = [_nearest((scaled[:, start : start + ROWS].T @ scaled).toarray(), start) for start in starts]
    numbers, values = (np.concatenate(column) for column in zip(*parts, strict=True))
    own = np.arange(len(numbers))[:, None]
    return (
        np.concatenate([own, numbers], axis=1).astype(np.int32),
        np.concatenate([np.ones(own.shape), values], axis=1).astype(np.float32),
    )


def factors(train: pd.DataFrame, state: JsonObject, size: int) -> NDArray[np.float32]:
    """Return `(n_products, size)`: what products share, by a truncated singular value decomposition.

    Columns of the scaled matrix of customers and products are approximated; each row has length 1 at most. Signs are
    fixed, and digits beyond those that matter are cut, so that equal inputs give equal bytes.
    """
    from scipy.sparse.linalg import svds

    scaled = _scaled(train, state)
    size = min(size, min(scaled.shape) - 1)
    _, values, right = svds(scaled, k=size, v0=np.ones(min(scaled.shape)))
    order = np.argsort(-values, kind="stable")
    found = right[order].T * np.sqrt(values[order] / values.max())
    found *= np.sign(found[np.abs(found).argmax(axis=0), np.arange(size)])
    lengths = np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-6)
    rounded: NDArray[np.float64] = np.round(found / lengths, 4)
    return rounded.astype(np.float32)


def _scaled(train: pd.DataFrame, state: JsonObject) -> Any:
    """Return customers by products, each column divided by its damped length."""
    from scipy import sparse

    matrix = _matrix(train, state)
    norms = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=0)).ravel() + DAMPING)
    return (matrix @ sparse.diags_array(1 / norms)).tocsc()


def _matrix(train: pd.DataFrame, state: JsonObject) -> Any:
    """Return customers by products: each customer's history at the oldest training example.

    Later baskets are what training predicts: a table that knew them would look better there than it is.
    """
    from scipy import sparse

    oldest = train.drop_duplicates("unit", keep="first")
    found = positions(events_of(oldest, state))
    shape = (len(oldest), len(state["products"]))
    return sparse.csr_array((np.log1p(found.count), (found.row, found.item)), shape=shape)


def _nearest(similarities: NDArray[Any], start: int) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Return numbers and similarities `(n_rows, k)` of other products; the first row is product `start`."""
    rows = np.arange(len(similarities))
    similarities[rows, start + rows] = -1  # itself
    rounded = np.round(similarities, 6)  # equal in all but rounding: the lower number comes first
    best = top_k(rounded, NEIGHBOURS)
    return best, np.rint(np.maximum(np.take_along_axis(rounded, best, axis=1), 0) * LEVELS) / LEVELS
