"""How lists are judged on held-out baskets, and the simple recommenders a model has to beat."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ml.contract import JsonObject
from ml.use_cases.recommend import breadth
from ml.use_cases.recommend.breadth import Lists
from ml.use_cases.recommend.catalogue import catalogue_of
from ml.use_cases.recommend.encode import events_of, positions
from ml.use_cases.recommend.newcomer import with_newcomers

if TYPE_CHECKING:
    import pandas as pd

K = 10
CHUNK = 512  # rows that are ranked at a time: a copy of all scores would be large
BLOCK = 64  # columns whose largest score is looked at first

NOTES = {
    "coverage": "share of the learned products that are in any list",
    "repeat_share": "share of recommended products the customer bought before",
    "departments": "distinct departments in a list",
    "popular_share": "share of recommended products that are among the ten most popular",
    "new_share": "share of places with a product too new to be learned",
    "new_recall": "share of purchases of such products that were in the list",
    **breadth.NOTES,
}


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

    Recall@10 = bought products among the first ten / bought products; a product that is not in the catalogue counts as
    bought and missed. NDCG@10 (Järvelin and Kekäläinen 2002, doi:10.1145/582415.582418) with gain 1 for a bought
    product: sum of 1/log2(rank + 1) over hits / the same sum for a perfect list.
    """
    import pandas as pd

    hits = hits_at(listed(scores, examples, state), examples, state)
    bought = np.array([len(target) for target in examples["targets"]])
    discounts = 1 / np.log2(np.arange(2, K + 2))
    ideal = np.concatenate([[np.inf], np.cumsum(discounts)])[np.minimum(bought, K)]
    values = {
        "recall@10": hits.sum(axis=1) / np.maximum(bought, 1),
        "ndcg@10": hits @ discounts[: hits.shape[1]] / ideal,
    }
    return pd.DataFrame(values, index=examples.index)


def listed(scores: NDArray[np.float32], examples: pd.DataFrame, state: JsonObject) -> NDArray[np.int64]:
    """Return `(n_rows, k)` numbers of the products that are shown, best first: some lists have a new one."""
    return with_newcomers(top_k(scores, K), examples, state)


def hits_at(shown: NDArray[np.int64], examples: pd.DataFrame, state: JsonObject) -> NDArray[np.float64]:
    """Return `(n_rows, k)`: 1 where the product at that rank was bought."""
    rows = zip(shown, targets_of(examples, state), strict=True)
    return np.array([np.isin(row, target) for row, target in rows], dtype=float).reshape(shown.shape)


def targets_of(examples: pd.DataFrame, state: JsonObject) -> Iterator[NDArray[np.int64]]:
    """Yield the numbers of the products each customer bought, as far as the catalogue has them."""
    numbers = catalogue_of(state).keys
    for target in examples["targets"]:
        yield np.array([numbers[key] for key in np.asarray(target).tolist() if key in numbers], dtype=np.int64)


def summarise(scores: NDArray[np.float32], examples: pd.DataFrame, state: JsonObject) -> dict[str, float]:
    """Return figures of all lists together; `NOTES` says what they are."""
    shown, catalogue = listed(scores, examples, state), catalogue_of(state)
    found, width = positions(events_of(examples, state)), len(catalogue.products)
    recommended = np.arange(len(shown))[:, None] * width + shown
    lists = Lists(shown=shown, bought_row=found.row, bought=found.item, catalogue=catalogue)
    return {
        "coverage": len(np.unique(shown[shown < catalogue.n_learned])) / catalogue.n_learned,
        "repeat_share": float(np.isin(recommended, found.row * width + found.item).mean()),
        "departments": float(np.mean([len(set(row)) for row in catalogue.aisles[shown].tolist()])),
        "popular_share": float((shown < K).mean()),
        "new_share": float((shown >= catalogue.n_learned).mean()),
        "new_recall": _new_recall(shown, examples, state),
        **breadth.figures(lists),
    }


def _new_recall(shown: NDArray[np.int64], examples: pd.DataFrame, state: JsonObject) -> float:
    n_learned, bought, hits = catalogue_of(state).n_learned, 0, 0
    for row, target in zip(shown, targets_of(examples, state), strict=True):
        new = target[target >= n_learned]
        bought, hits = bought + len(new), hits + int(np.isin(new, row).sum())
    return hits / bought if bought else 0.0
