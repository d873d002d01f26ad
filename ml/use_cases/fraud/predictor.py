"""The model as it is served: trees, network, or both, calibrated, with decisions; needs no TensorFlow."""

from __future__ import annotations

from itertools import combinations
from math import factorial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml.compression.predictor import open_litert
from ml.contract import Arrays, JsonObject, Predictor
from ml.errors import IntegrityBroken
from ml.files import read_json
from ml.use_cases.fraud import blend, boost, normalise
from ml.use_cases.fraud.encode import features_of
from ml.use_cases.fraud.evidence import FEATURES, GROUPS
from ml.use_cases.fraud.verdict import finish_of

if TYPE_CHECKING:
    import lightgbm

TREES, DECISION = "trees.txt", "decision.json"
EXPLAINED = "explained"
"""An input of any value `(n_rows, 1)`: where it is there, what each kind of evidence adds to the score is told as well."""

AMOUNT = FEATURES.index("amount")
NAMES = tuple(GROUPS)
SIZES = [len(names) for names in GROUPS.values()]
OF_KIND = np.repeat(np.arange(len(NAMES)), SIZES)
"""Kind of evidence of each feature, by number."""

Numbers = NDArray[np.float64]


class FraudPredictor:
    """Trees (LightGBM), network and what follows their score. Not for use by two threads at once."""

    def __init__(self, trees: lightgbm.Booster | None, network: Predictor | None, decision: JsonObject) -> None:
        self._trees = trees
        self._network = network
        self._share: float = decision["share"]
        self._scale: JsonObject = decision["scale"]
        self._finish = finish_of(decision)

    def __call__(self, inputs: Arrays) -> NDArray[np.float32]:
        """Return score (log-odds), calibrated probability and decision `(n_rows, 3)`.

        Where the input `explained` is there, base and the contribution of each kind of evidence follow `(n_rows, 4 + n)`:
        they sum to the score.
        """
        features = features_of(inputs)
        found = self._finish(self._score(features), features[:, AMOUNT])
        told = [found, self._contributions(features)] if EXPLAINED in inputs else [found]
        return np.concatenate(told, axis=1).astype(np.float32)

    def _score(self, features: Numbers) -> Numbers:
        nothing = np.zeros(len(features))
        trees = boost.score(self._trees, features) if self._trees else nothing
        return blend.blend(trees, self._of_network(features) if self._network else nothing, self._share)

    def _of_network(self, features: Numbers) -> Numbers:
        return self._run(normalise.apply(features, self._scale))

    def _run(self, scaled: NDArray[np.float32]) -> Numbers:
        assert self._network is not None  # noqa: S101 - for the type checker
        return self._network({"features": scaled})[:, 0].astype(np.float64)

    def _contributions(self, features: Numbers) -> Numbers:
        nothing = np.zeros((len(features), 1 + len(NAMES)))
        trees = self._trees_tell(features) if self._trees else nothing
        network = self._network_tells(features) if self._network else nothing
        return self._share * trees + (1 - self._share) * network

    def _trees_tell(self, features: Numbers) -> Numbers:
        """Return the trees' own Shapley values, summed by kind (Lundberg et al. 2020, doi:10.1038/s42256-019-0138-9)."""
        assert self._trees is not None  # noqa: S101 - for the type checker
        told = np.asarray(self._trees.predict(features, pred_contrib=True, num_threads=1))
        by_kind = np.add.reduceat(told[:, :-1], np.cumsum([0, *SIZES[:-1]]), axis=1)
        return np.column_stack([told[:, -1], by_kind])

    def _network_tells(self, features: Numbers) -> Numbers:
        """Return exact Shapley values of the kinds of evidence: one left out stands at the mean of what was learned from.

        Shapley 1953: the mean, over all orders in which the kinds come in, of what each changes when it comes.
        """
        scaled = normalise.apply(features, self._scale)
        typical = np.concatenate([np.zeros(len(FEATURES)), np.ones(len(FEATURES))]).astype(np.float32)
        is_in = MEMBERS[:, np.tile(OF_KIND, 2)]
        rows = np.where(is_in[None], scaled[:, None, :], typical)
        values = self._run(rows.reshape(-1, rows.shape[-1])).reshape(len(features), -1)
        return np.column_stack([values[:, 0], values @ SHAPLEY])


def open_fraud(folder: Path) -> FraudPredictor:
    """Open a variant.

    Args:
        folder: Holds `decision.json`, and of `trees.txt` and `model.tflite` whatever has a share.

    Raises:
        IntegrityBroken: A part is missing or cannot be read.
    """
    decision = read_json(folder / DECISION)
    share = decision["share"]
    trees = boost.from_text(_text(folder / TREES)) if share > 0 else None
    network = open_litert(folder) if share < 1 else None
    return FraudPredictor(trees, network, decision)


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError as error:
        raise IntegrityBroken(f"trees in {path}", type(error).__name__, "Run the compress stage again.") from error


def _coalitions() -> tuple[NDArray[np.bool_], Numbers]:
    """Return the sets of kinds `(n_sets, n_kinds)`, the empty one first, and the weight of each in each kind's value."""
    n = len(NAMES)
    chosen = [members for size in range(n + 1) for members in combinations(range(n), size)]
    is_in = np.array([[kind in members for kind in range(n)] for members in chosen])
    sizes = is_in.sum(axis=1)
    gained = [factorial(max(size - 1, 0)) * factorial(n - size) / factorial(n) for size in sizes]
    missed = [factorial(size) * factorial(max(n - size - 1, 0)) / factorial(n) for size in sizes]
    weights = np.where(is_in, np.array(gained)[:, None], -np.array(missed)[:, None])
    return is_in, weights


MEMBERS, SHAPLEY = _coalitions()
