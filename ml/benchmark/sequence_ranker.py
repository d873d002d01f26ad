"""Orders the items that scorers name: a conditional logit, and on top of it trees where these help on users held out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from ml.benchmark.sequence_blend import Candidates, ndcg, places

if TYPE_CHECKING:
    import lightgbm

Floats = NDArray[np.float64]

FOLDS = 3
RIDGE = 0.01
STEPS = 100  # of the logit's fit
TREES = 150
SETTINGS = {
    "objective": "lambdarank",
    "learning_rate": 0.05,
    "num_leaves": 7,
    "min_data_in_leaf": 50,
    "feature_fraction": 0.6,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "lambda_l2": 5.0,
    "lambdarank_truncation_level": 20,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,  # rows are few, and a second thread that has to wait for its core costs more than it brings
    "verbosity": -1,
}


@dataclass(frozen=True, kw_only=True)
class Ordering:
    """What was learned."""

    mean: Floats
    deviation: Floats
    weights: Floats
    """`(n_features,)` of standardised features."""
    trees: lightgbm.Booster | None = None
    """Add to the logit's score."""

    def score(self, candidates: Candidates) -> Floats:
        """Return `(n_candidates,)`, higher is better."""
        found = self.linear(candidates)
        return found if self.trees is None else found + np.asarray(self.trees.predict(candidates.features))

    def linear(self, candidates: Candidates) -> Floats:
        """Return the logit's part of it."""
        found: Floats = (candidates.features - self.mean) / self.deviation @ self.weights
        return found


def learned(candidates: Candidates, seed: int, tell: Callable[[str], None]) -> Ordering:
    """Return the logit alone or with trees, whichever has the higher NDCG@10 on users it was not learned from.

    Args:
        candidates: Of validation users.
        seed: Of folds and trees.
        tell: Receives both figures.
    """
    fold = np.random.default_rng(seed).integers(0, FOLDS, candidates.n_users)
    gains = np.zeros(2)
    for held in range(FOLDS):
        test, logit = _of(candidates, fold == held), _logit(_of(candidates, fold != held))
        for at, tried in enumerate((logit, _with_trees(logit, _of(candidates, fold != held), seed))):
            gains[at] += ndcg(places(test, tried.score(test))).sum()
    plain, boosted = gains / candidates.n_users
    tell(f"NDCG@10 on validation users held out: logit {plain:.4f}, with trees {boosted:.4f}")
    found = _logit(candidates)
    return _with_trees(found, candidates, seed) if boosted > plain else found


def _logit(candidates: Candidates) -> Ordering:
    """Maximise the chance of the item that came next among those named for its user (McFadden 1974)."""
    some = _answered(candidates)
    if not some.n_users:
        nothing = np.zeros(candidates.features.shape[1])
        return Ordering(mean=nothing, deviation=nothing + 1, weights=nothing)
    mean, deviation = some.features.mean(axis=0), some.features.std(axis=0) + 1e-9
    x = ((some.features - mean) / deviation).astype(np.float64)
    begins = np.flatnonzero(np.diff(some.row, prepend=-1))
    wanted = x[some.wanted].sum(axis=0)

    def loss(weights: Floats) -> tuple[float, Floats]:
        scores = x @ weights
        top = np.maximum.reduceat(scores, begins)
        chances = np.exp(scores - top[some.row])
        total = np.add.reduceat(chances, begins)
        likelihood = wanted @ weights - (np.log(total) + top).sum()
        slope = x.T @ (chances / total[some.row]) - wanted
        return -likelihood / some.n_users + RIDGE / 2 * weights @ weights, slope / some.n_users + RIDGE * weights

    fitted = optimize.minimize(loss, np.zeros(x.shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": STEPS})
    return Ordering(mean=mean, deviation=deviation, weights=fitted.x)


def _with_trees(logit: Ordering, candidates: Candidates, seed: int) -> Ordering:
    """Add trees that correct the logit (LambdaMART, Burges 2010)."""
    import lightgbm

    some = _answered(candidates)
    if not some.n_users:
        return logit
    rows = lightgbm.Dataset(
        some.features, some.wanted.astype(np.int32), group=np.bincount(some.row), init_score=logit.linear(some)
    )
    return replace(logit, trees=lightgbm.train({**SETTINGS, "seed": seed}, rows, num_boost_round=TREES))


def _of(candidates: Candidates, users: NDArray[np.bool_]) -> Candidates:
    """Return what was named for some users, who are numbered anew."""
    kept, number = users[candidates.row], np.cumsum(users) - 1
    return Candidates(
        row=number[candidates.row[kept]],
        features=candidates.features[kept],
        wanted=candidates.wanted[kept],
        n_users=int(users.sum()),
    )


def _answered(candidates: Candidates) -> Candidates:
    """Return the users for whom the item that came next was named: only from them is there something to learn."""
    users = np.zeros(candidates.n_users, dtype=np.bool_)
    users[candidates.row[candidates.wanted]] = True
    return _of(candidates, users)
