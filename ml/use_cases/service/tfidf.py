"""The linear yardstick: character n-grams, weighted by how rare they are, and ridge regression on the intents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import softmax

from ml.use_cases.service.calibrate import fitted

if TYPE_CHECKING:
    import pandas as pd

LENGTHS = (1, 2, 3, 4)  # characters of an n-gram
RIDGE = 1.0

Answering = Callable[[Iterable[str]], NDArray[np.float32]]


def fit(train: pd.DataFrame, valid: pd.DataFrame, classes: Sequence[str]) -> Answering:
    """Return texts -> probabilities `(n_rows, n_classes)`; solved in the dual, (XXᵀ + I) A = Y."""
    counted = [_grams(text) for text in train["text"]]
    known = {gram: at for at, gram in enumerate(sorted({gram for grams in counted for gram in grams}))}
    frequency = Counter(gram for grams in counted for gram in grams)
    rarity = np.log(len(counted) / np.array([frequency[gram] for gram in known])) + 1
    x = _weighted(counted, known, rarity)
    y = _one_hot(train["intent"], classes)
    kernel = (x @ x.T).toarray() + RIDGE * np.eye(len(counted))
    coefficients = x.T @ np.linalg.solve(kernel, y)

    def odds(texts: Iterable[str]) -> NDArray[np.float64]:
        return np.asarray(_weighted([_grams(text) for text in texts], known, rarity) @ coefficients)

    scale, shift = fitted(odds(valid["text"]), _one_hot(valid["intent"], classes).argmax(axis=1), shifts_last=True)

    def answer(texts: Iterable[str]) -> NDArray[np.float32]:
        changed = scale * odds(texts)
        changed[:, -1] += shift
        return np.asarray(softmax(changed, axis=1), dtype=np.float32)

    return answer


def _grams(text: str) -> Counter[str]:
    padded = f" {text.casefold()} "
    return Counter(padded[at : at + n] for n in LENGTHS for at in range(len(padded) - n + 1))


def _weighted(rows: Sequence[Counter[str]], known: dict[str, int], rarity: NDArray[np.float64]) -> sparse.csr_array:
    """Return (1 + log count) · rarity, scaled to length 1 `(n_rows, n_grams)`; unknown n-grams do not count."""
    kept = [{known[gram]: 1 + np.log(count) for gram, count in row.items() if gram in known} for row in rows]
    ends = np.cumsum([0, *map(len, kept)])
    columns = np.array([at for row in kept for at in row], dtype=np.int64)
    values = np.array([value for row in kept for value in row.values()], dtype=np.float64) * rarity[columns]
    found = sparse.csr_array((values, columns, ends), shape=(len(rows), len(known)))
    lengths = np.sqrt(np.asarray(found.multiply(found).sum(axis=1)).ravel())
    return sparse.csr_array(sparse.diags_array(1 / np.maximum(lengths, 1e-12)) @ found)


def _one_hot(intents: Iterable[str], classes: Sequence[str]) -> NDArray[np.float64]:
    is_wanted = np.array(list(intents), dtype=str)[:, None] == np.array(classes, dtype=str)
    return np.asarray(is_wanted, dtype=np.float64)
