"""Who recommends next baskets in the comparisons; settings are chosen on validation baskets, then all is fitted up to the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial
from itertools import product
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, sparse

from ml.benchmark import factors
from ml.benchmark.basket_data import Baskets, Scores, Weigh
from ml.use_cases.recommend.judgement import top_k

Fitted: TypeAlias = "Iterator[tuple[str, Callable[[], Scores]]]"
"""Settings, and what scores the split's rows under them."""
Fit: TypeAlias = "Callable[[Baskets, str, int], Fitted]"
"""(data, split, seed) -> all settings, fitted on what was before the split."""

PRIMARY = "recall@10"
TUNED_ROWS = 1200  # validation rows on which settings are chosen, drawn
TIE = 1e-9  # weight of popularity: orders products that score alike


def by_days(half_life: float) -> Weigh:
    """Return a weight that halves with the days."""
    return lambda age, _: np.exp2(-age / half_life)


def by_baskets(factor: float) -> Weigh:
    """Return a weight that falls with each later basket."""
    return lambda _, ago: np.power(factor, ago - 1.0)


DECAYS: dict[str, Weigh] = {
    **{f"half-life {days} days": by_days(days) for days in (14, 30, 60, 120, 240)},
    **{f"{factor:g} a basket": by_baskets(factor) for factor in (0.6, 0.8, 0.9, 0.95, 0.97, 1)},
}
FEW_DECAYS = {
    name: DECAYS[name] for name in ("half-life 30 days", "half-life 120 days", "0.8 a basket", "0.95 a basket")
}
OWN = (0.0, 1.0, 3.0, 10.0)
"""Weight of the product itself beside those it is similar to, relative to how much scores vary."""
NEIGHBOURS, SHRINKS = 200, (0.0, 10.0)
PENALTIES = (100.0, 500.0, 2500.0)
FACTORS, CONFIDENCES, REGULARISATIONS = (64, 128), (5.0, 40.0), (0.1, 10.0)


def popularity(data: Baskets, split: str, seed: int) -> Fitted:  # noqa: ARG001 - all are called alike
    """Rank by sales of the days before the split."""
    rows = len(data.features.splits[split])
    for days in (7, 14, 28, 56, 400):
        counts = data.popularity(split, days)
        yield f"{days} days", partial(np.tile, counts.astype(np.float32), (rows, 1))


def personal(data: Baskets, split: str, seed: int) -> Fitted:  # noqa: ARG001 - all are called alike
    """Rank by the customer's own purchases, decayed."""
    tie = _tie(data, split)
    for name, weigh in DECAYS.items():
        yield name, partial(_with_ties, data, split, weigh, tie)


def item_knn(data: Baskets, split: str, seed: int) -> Fitted:  # noqa: ARG001 - all are called alike
    """Rank by cosine to what the customer bought, decayed; the product itself may count, too."""
    matrix = data.learned(split)
    matrix.data[:] = 1
    for shrink in SHRINKS:
        near = cache(partial(_nearest, matrix, shrink))
        score = lambda known, near=near: (known @ near()).toarray()  # noqa: E731 - shorter than a function
        yield from _with_own(data, split, score, f"damping {shrink:g}")


def ease(data: Baskets, split: str, seed: int) -> Fitted:  # noqa: ARG001 - all are called alike
    """EASE-R (Steck 2019, arXiv:1905.03375) on decayed histories; the product itself may count, too."""
    matrix = data.learned(split)
    matrix.data[:] = 1
    for penalty in PENALTIES:
        fitted = cache(partial(_ease, matrix, penalty))
        score = lambda known, fitted=fitted: fitted()(known)  # noqa: E731 - shorter than a function
        yield from _with_own(data, split, score, f"penalty {penalty:g}")


def als(data: Baskets, split: str, seed: int) -> Fitted:
    """Alternating least squares; customers' vectors from decayed histories."""
    matrix = data.learned(split)
    matrix.data = np.log1p(matrix.data)
    for size, alpha, ridge in product(FACTORS, CONFIDENCES, REGULARISATIONS):
        wanted = factors.Factors(size=size, confidence=alpha, ridge=ridge)
        model = cache(partial(factors.fit, matrix, wanted, seed))
        for name, weigh in FEW_DECAYS.items():
            yield (
                f"{name}, {size} factors, confidence {alpha:g}, regularisation {ridge:g}",
                partial(_by_factors, model, data, split, weigh),
            )


BASELINES: dict[str, Fit] = {
    "popularity": popularity,
    "personal frequency": personal,
    "item-kNN": item_knn,
    "EASE-R": ease,
    "ALS": als,
}


def tuned(fit: Fit, data: Baskets, seed: int) -> tuple[str, Scores]:
    """Return the settings with the best Recall@10 on validation, and scores of the test rows under them."""
    some = data.with_fewer("valid", TUNED_ROWS)
    figures = {name: some.judge("valid", score())[PRIMARY].mean() for name, score in fit(some, "valid", seed)}
    best = max(figures, key=lambda name: float(figures[name]))
    return best, next(score() for name, score in fit(data, "test", seed) if name == best)


def _tie(data: Baskets, split: str) -> NDArray[np.float32]:
    counts = data.popularity(split, 400)
    found: NDArray[np.float32] = (TIE * counts / counts.max()).astype(np.float32)
    return found


def _with_ties(data: Baskets, split: str, weigh: Weigh, tie: NDArray[np.float32]) -> Scores:
    found: Scores = data.history(split, weigh).toarray() + tie
    return found


def _with_own(data: Baskets, split: str, score: Callable[[sparse.csr_array], Scores], settings: str) -> Fitted:
    """Add the product itself to what is said of others, at every decay and weight."""
    for name, weigh in FEW_DECAYS.items():
        others = cache(lambda weigh=weigh: score(data.history(split, weigh)))
        for own in OWN:
            yield f"{settings}, {name}, own {own:g}", partial(_summed, data, split, weigh, own, others)


def _summed(data: Baskets, split: str, weigh: Weigh, own: float, others: Callable[[], Scores]) -> Scores:
    known = data.history(split, weigh)
    weight = own * float(others().std()) / max(float(known.data.std()), TIE)
    found: Scores = others() + weight * known.toarray()
    return found


def _nearest(matrix: sparse.csr_array, shrink: float) -> sparse.csr_array:
    norms = np.sqrt(np.asarray(matrix.sum(axis=0)).ravel() + shrink) + TIE
    scaled = (matrix @ sparse.diags_array((1 / norms).astype(np.float32))).tocsc()
    parts = []
    for start in range(0, scaled.shape[1], 1000):
        dense = (scaled[:, start : start + 1000].T @ scaled).toarray()
        rows = np.arange(len(dense))
        dense[rows, start + rows] = 0
        best = top_k(dense, NEIGHBOURS)
        values = np.take_along_axis(dense, best, axis=1).ravel()
        parts.append(sparse.csr_array((values, (np.repeat(rows, best.shape[1]), best.ravel())), shape=dense.shape))
    return sparse.vstack(parts, format="csr")


def _ease(matrix: sparse.csr_array, penalty: float) -> Callable[[sparse.csr_array], Scores]:
    """Return what scores histories; there are fewer customers than products, so their matrix is inverted (Woodbury).

    P = (XᵀX + λ I)⁻¹ = (I - Xᵀ K X) / λ with K = (X Xᵀ + λ I)⁻¹; B = I - P / diag(P).
    """
    gram = (matrix @ matrix.T).toarray().astype(np.float64)
    inverse = linalg.inv(gram + penalty * np.eye(len(gram))).astype(np.float32)
    dense = inverse @ matrix
    diagonal = (1 - np.asarray(matrix.multiply(dense).sum(axis=0)).ravel()) / penalty

    def score(known: sparse.csr_array) -> Scores:
        projected = (known.toarray() - (known @ matrix.T) @ dense) / penalty
        found: Scores = (known.toarray() - projected / diagonal).astype(np.float32)
        return found

    return score


def _by_factors(fitted: Callable[[], Any], data: Baskets, split: str, weigh: Weigh) -> Scores:
    known = data.history(split, weigh)
    known.data = np.log1p(known.data)
    return factors.scores(fitted(), known)
