"""How broad lists are, and whether they favour what is popular anyway."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from ml.use_cases.recommend.catalogue import Catalogue

MIXED = 0.01  # of the customer's taste that is mixed into a list's (Steck 2018): no ratio is infinite

NOTES = {
    "diversity": "share of pairs of a list that are of different categories",
    "gini": "how unequally products are shown: 0 all alike, near 1 a few have all places",
    "novelty": "mean surprise at a recommended product, -log2 of its share of purchases [bit]",
    "popularity_lift": "by how much more popular lists are than what customers bought before: 0 alike, 1 twice as popular",
    "miscalibration": "how far the departments of lists are from those of earlier purchases: 0 alike",
}


@dataclass(frozen=True, kw_only=True)
class Lists:
    """Lists of customers, and what each bought before."""

    shown: NDArray[np.int64]
    """`(n_rows, k)` numbers in the catalogue."""
    bought_row: NDArray[np.int64]
    """Row of each distinct product a customer bought before."""
    bought: NDArray[np.int64]
    """Its number."""
    catalogue: Catalogue


def figures(lists: Lists) -> dict[str, float]:
    """Return the figures of this module by name."""
    shown, catalogue = lists.shown, lists.catalogue
    return {
        "diversity": diversity(catalogue.kinds[shown]),
        "gini": gini(np.bincount(shown.ravel(), minlength=len(catalogue.products))[: catalogue.n_learned]),
        "novelty": novelty(shown, catalogue.popularity),
        "popularity_lift": popularity_lift(lists),
        "miscalibration": miscalibration(lists),
    }


def diversity(kinds: NDArray[np.int64]) -> float:
    """Return the mean share of pairs of a list that are of different categories [0..1]; 0 for lists of one.

    1 - intra-list similarity (Ziegler et al. 2005, doi:10.1145/1060745.1060754), likeness 1 within a category, else 0.

    Args:
        kinds: `(n_rows, k)` category of each product shown.
    """
    pairs = list(combinations(range(kinds.shape[1]), 2))
    if not pairs or not len(kinds):
        return 0.0
    return float(np.mean([(kinds[:, one] != kinds[:, other]).mean() for one, other in pairs]))


def gini(counts: NDArray[np.integer]) -> float:
    """Return the Gini coefficient of how often each product is shown: 0 where all alike, near 1 where few have all.

    G = Σ_i (2 i - n - 1) c_(i) / (n Σ c), counts ascending, i from 1 (Fleder and Hosanagar 2009, doi:10.1287/mnsc.1080.0974).
    """
    ordered, n = np.sort(counts), len(counts)
    total = ordered.sum()
    return float(((2 * np.arange(1, n + 1) - n - 1) * ordered).sum() / (n * total)) if total else 0.0


def novelty(shown: NDArray[np.int64], popularity: NDArray[np.float64]) -> float:
    """Return the mean of -log2 of each shown product's share of purchases [bit] (Vargas and Castells 2011).

    doi:10.1145/2043932.2043955. A product without purchases counts as if it had one.
    """
    shares = np.maximum(popularity, 1) / popularity.sum()
    return float(-np.log2(shares[shown]).mean()) if shown.size else 0.0


def popularity_lift(lists: Lists) -> float:
    """Return by how much more popular what is shown is than what customers bought before: 0 where alike, 1 where twice.

    ΔGAP = (GAP_shown - GAP_bought) / GAP_bought, GAP = mean over customers of the mean popularity of their products
    (Abdollahpouri et al. 2019, arXiv:1907.13286); customers without purchases are left out.
    """
    popularity = lists.catalogue.popularity
    counts = np.bincount(lists.bought_row, minlength=len(lists.shown))
    summed = np.bincount(lists.bought_row, weights=popularity[lists.bought], minlength=len(lists.shown))
    known = counts > 0
    if not known.any():
        return 0.0
    before = (summed[known] / counts[known]).mean()
    return float(popularity[lists.shown[known]].mean(axis=1).mean() / before - 1)


def miscalibration(lists: Lists) -> float:
    """Return how far the departments of lists are from those of earlier purchases: 0 where each list mirrors them.

    Mean over customers of KL(p ‖ 0.99 q + 0.01 p), p and q the shares of departments before and in the list (Steck 2018,
    doi:10.1145/3240323.3240372); customers without purchases are left out.
    """
    aisles, width = lists.catalogue.aisles, int(lists.catalogue.aisles.max()) + 1
    before = _shares(lists.bought_row, aisles[lists.bought], len(lists.shown), width)
    rows = np.repeat(np.arange(len(lists.shown)), lists.shown.shape[1])
    shown = _shares(rows, aisles[lists.shown].ravel(), len(lists.shown), width)
    known = before.sum(axis=1) > 0
    p, mixed = before[known], (1 - MIXED) * shown[known] + MIXED * before[known]
    terms = np.where(p > 0, p * np.log(np.where(p > 0, p, 1) / np.where(p > 0, mixed, 1)), 0)
    return float(terms.sum(axis=1).mean()) if len(p) else 0.0


def _shares(row: NDArray[np.int64], group: NDArray[np.int64], n_rows: int, width: int) -> NDArray[np.float64]:
    counts = np.bincount(row * width + group, minlength=n_rows * width).reshape(n_rows, width)
    shares: NDArray[np.float64] = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return shares
