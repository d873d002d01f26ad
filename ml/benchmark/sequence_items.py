"""Models of sequences that count: who was bought by the same users, what follows what, EASE."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg import lapack

from ml.benchmark.sequence_data import Sequences
from ml.use_cases.recommend.judgement import top_k

Floats = NDArray[np.float32]

NEIGHBOURS = 200  # of an item
ROWS = 1000  # items whose similarities are dense at a time
EASE_ITEMS = 20_000  # most frequent items that enter EASE: their inverse takes 1.6 GB
REACH = 5  # items ahead that count as following
DAMPING = 10.0  # added to each squared norm


@dataclass(frozen=True)
class Ease:
    """EASE-R (Steck 2019, arXiv:1905.03375): B = I - P / diag(P), P = (XᵀX + λ I)⁻¹, diagonal 0."""

    items: NDArray[np.int64]
    """Numbers of the items that entered."""
    inverse: Floats
    """P."""

    def score(self, history: Any) -> Floats:
        """Return `(n_rows, n_items)` of histories by items; items that did not enter score 0."""
        known = history[:, self.items]
        inverse_diagonal = -1 / np.diag(self.inverse)
        found = np.zeros(history.shape, dtype=np.float32)
        found[:, self.items] = (known @ self.inverse) * inverse_diagonal + known.toarray()
        return found


def ease(sequences: Sequences, penalty: float, most: int = EASE_ITEMS) -> Ease:
    """Fit EASE in place: one matrix of items by items is all that is held.

    Args:
        sequences: Of the users learned from; an item counts once a user.
        penalty: λ
        most: Items that enter, the most frequent.
    """
    counts = np.bincount(sequences.items, minlength=sequences.n_items)
    items = np.sort(np.argsort(-counts, kind="stable")[:most])
    return Ease(items, inverted(sequences.matrix()[:, items], penalty))


def inverted(matrix: Any, penalty: float) -> Floats:
    """Return (XᵀX + λ I)⁻¹ of a sparse X, by Cholesky's factors."""
    columns = matrix.tocsc()
    n_items = columns.shape[1]
    gram = np.zeros((n_items, n_items), dtype=np.float32, order="F")
    for start in range(0, n_items, ROWS):
        gram[:, start : start + ROWS] = (columns.T @ columns[:, start : start + ROWS]).toarray()
    gram[np.diag_indices(n_items)] += penalty
    factor, failed = lapack.spotrf(gram, lower=1, clean=0, overwrite_a=1)
    inverse, failed_too = lapack.spotri(factor, lower=1, overwrite_c=1)
    if failed or failed_too:
        raise ValueError(f"Expected a positive penalty. Received {penalty:g}: the matrix cannot be inverted.")
    for start in range(0, n_items, ROWS):  # mirror the lower half, block by block: a transposed copy would double it
        end = start + ROWS
        inverse[start:end, end:] = inverse[end:, start:end].T
        block = np.tril(inverse[start:end, start:end])
        inverse[start:end, start:end] = block + np.tril(block, -1).T
    found: Floats = inverse.T  # symmetric, and by rows as sparse products want it
    return found


def neighbours(sequences: Sequences) -> sparse.csr_array:
    """Return cosines of items by the users they share, damped, the most similar of each item."""
    matrix = sequences.matrix()
    norms = np.sqrt(np.asarray(matrix.sum(axis=0)).ravel() + DAMPING)
    scaled = (matrix @ sparse.diags_array((1 / norms).astype(np.float32))).tocsc()
    return _nearest(scaled.T.tocsr(), scaled)


def transitions(sequences: Sequences, reach: int = REACH) -> sparse.csr_array:
    """Return how often each item follows another within `reach` items, the nearer the more; rows scaled by frequency."""
    follows = sparse.csr_array((sequences.n_items,) * 2, dtype=np.float32)
    row, items = sequences.row, sequences.items
    for step in range(1, reach + 1):
        same = row[:-step] == row[step:]
        weights = np.full(int(same.sum()), 1 / step, dtype=np.float32)
        follows = follows + sparse.csr_array((weights, (items[:-step][same], items[step:][same])), shape=follows.shape)
    total = np.asarray(follows.sum(axis=1)).ravel() + 1
    return (sparse.diags_array((1 / total).astype(np.float32)) @ follows).tocsr()


def _nearest(left: Any, right: Any) -> sparse.csr_array:
    n_items = right.shape[1]
    parts = []
    for start in range(0, n_items, ROWS):
        dense = (left[start : start + ROWS] @ right).toarray()
        dense[np.arange(len(dense)), start + np.arange(len(dense))] = 0
        best = top_k(dense, NEIGHBOURS)
        row = np.repeat(np.arange(len(dense)), best.shape[1])
        values = np.take_along_axis(dense, best, axis=1).ravel()
        parts.append(sparse.csr_array((values, (row, best.ravel())), shape=dense.shape))
    return sparse.vstack(parts, format="csr")
