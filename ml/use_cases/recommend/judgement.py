"""How lists are judged on held-out baskets, and the simple recommenders a model has to beat."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ml.contract import JsonObject
from ml.use_cases.recommend.encode import events_of
from ml.use_cases.recommend.vocabulary import vocabulary_of

if TYPE_CHECKING:
    import pandas as pd

    from ml.use_cases.recommend.vocabulary import Vocabulary

K = 10
CHUNK = 512  # rows that are ranked at a time: a copy of all scores would be large
BLOCK = 64  # columns whose largest score is looked at first


def top_k(scores: NDArray[np.floating[Any]], k: int) -> NDArray[np.int64]:
    """Return `(n_rows, k)` numbers of the best, best first; equal scores fall to the lower number."""
    k = min(k, scores.shape[1])
    parts = [_top_k(scores[start : start + CHUNK], k) for start in range(0, len(scores), CHUNK)]
    return np.concatenate(parts) if parts else np.zeros((0, k), dtype=np.int64)


def _top_k(scores: NDArray[np.floating[Any]], k: int) -> NDArray[np.int64]:
    # The k-th largest block maximum bounds the k-th largest score from below. Partitioning the scores themselves is
    # slow where most are equal, as a customer's zeros are.
    block = max(1, min(BLOCK, scores.shape[1] // k))
    tops = np.maximum.reduceat(scores, np.arange(0, scores.shape[1], block), axis=1)
    edges = np.partition(tops, -k, axis=1)[:, -k]
    best = np.empty((len(scores), k), dtype=np.int64)
    for row, (values, edge) in enumerate(zip(scores, edges, strict=True)):
        near = np.flatnonzero(values >= edge)
        best[row] = near[np.argsort(-values[near], kind="stable")[:k]]
    return best


def measure(scores: NDArray[np.float32], examples: pd.DataFrame, state: JsonObject) -> pd.DataFrame:
    """Return Recall@10 and NDCG@10 of each example.

    Recall@10 = bought products among the first ten / bought products; a product outside the vocabulary counts as
    bought and missed. NDCG@10 (Järvelin and Kekäläinen 2002, doi:10.1145/582415.582418) with gain 1 for a bought
    product: sum of 1/log2(rank + 1) over hits / the same sum for a perfect list.
    """
    import pandas as pd

    hits = hits_at(scores, examples, vocabulary_of(state))
    bought = np.array([len(target) for target in examples["targets"]])
    discounts = 1 / np.log2(np.arange(2, K + 2))
    ideal = np.concatenate([[np.inf], np.cumsum(discounts)])[np.minimum(bought, K)]
    values = {
        "recall@10": hits.sum(axis=1) / np.maximum(bought, 1),
        "ndcg@10": hits @ discounts[: hits.shape[1]] / ideal,
    }
    return pd.DataFrame(values, index=examples.index)


def hits_at(scores: NDArray[np.float32], examples: pd.DataFrame, vocabulary: Vocabulary) -> NDArray[np.float64]:
    """Return `(n_rows, k)`: 1 where the product at that rank was bought."""
    best = top_k(scores, K)
    targets = _targets(examples, vocabulary)
    return np.array([np.isin(row, target) for row, target in zip(best, targets, strict=True)], dtype=float).reshape(
        best.shape
    )


def _targets(examples: pd.DataFrame, vocabulary: Vocabulary) -> Iterator[NDArray[np.int64]]:
    for target in examples["targets"]:
        found = vocabulary.find(np.asarray(target, dtype=np.int64))
        yield found[found >= 0]


def summarise(scores: NDArray[np.float32], examples: pd.DataFrame, state: JsonObject) -> dict[str, float]:
    """Return figures of all lists together.

    `coverage`: share of the vocabulary that is in any list. `repeat_share`: share of recommended products the customer
    bought before. `departments`: distinct departments in a list. `popular_share`: share of recommended products that
    are among the ten most popular.
    """
    best, vocabulary = top_k(scores, K), vocabulary_of(state)
    events = events_of(examples, state)
    width = len(vocabulary.products)
    recommended = np.arange(len(best))[:, None] * width + best
    code = np.unique(np.array(vocabulary.departments, dtype=object), return_inverse=True)[1]
    return {
        "coverage": len(np.unique(best)) / width,
        "repeat_share": float(np.isin(recommended, events.row * width + events.item).mean()),
        "departments": float(np.mean([len(set(row)) for row in code[best].tolist()])),
        "popular_share": float((best < K).mean()),
    }
