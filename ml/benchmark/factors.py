"""Alternating least squares (Hu, Koren and Volinsky 2008) by `implicit`: one of the peers wherever histories are ranked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from threadpoolctl import threadpool_limits

ITERATIONS = 15
THREADS = 2


@dataclass(frozen=True, kw_only=True)
class Factors:
    """Settings."""

    size: int
    confidence: float
    ridge: float = 1.0


def fit(matrix: Any, factors: Factors, seed: int) -> Any:
    """Return the model fitted to weights of items by users `(n_users, n_items)`."""
    from implicit.cpu.als import AlternatingLeastSquares

    with threadpool_limits(1, "blas"):  # it runs threads of its own
        model = AlternatingLeastSquares(
            factors=factors.size,
            alpha=factors.confidence,
            regularization=factors.ridge,
            iterations=ITERATIONS,
            num_threads=THREADS,
            random_state=seed,
        )
        model.fit(sparse.csr_matrix(matrix), show_progress=False)
    return model


def scores(model: Any, histories: Any) -> NDArray[np.float32]:
    """Return `(n_rows, n_items)` for users whose vectors come from their histories, weights of items."""
    with threadpool_limits(1, "blas"):
        users = model.recalculate_user(np.arange(histories.shape[0]), sparse.csr_matrix(histories))
    found: NDArray[np.float32] = (users @ model.item_factors.T).astype(np.float32)
    return found
