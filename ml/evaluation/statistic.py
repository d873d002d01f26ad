"""Figures that are no mean over rows, worked out for many resamples at once: ratios of sums, and how well scores rank.

Each function returns a `Statistic` (`ml.contract`) over the columns it is told the names of.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ml.contract import Statistic

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Ratio:
    """Σ top / Σ bottom over the rows of a draw; not-a-number where the bottom sums to nothing.

    Its sums can be taken by unit before units are drawn, which `ml.evaluation.figures` does.
    """

    top: str
    bottom: str

    def __call__(self, parts: Mapping[str, NDArray[np.float64]], weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the figure of each draw."""
        return _divided(weights @ parts[self.top], weights @ parts[self.bottom])


def ratio(top: str, bottom: str) -> Statistic:
    """Return Σ top / Σ bottom."""
    return Ratio(top, bottom)


def once(statistic: Statistic, **parts: ArrayLike) -> float:
    """Return a statistic over all rows, each counted once; not-a-number where there is no evidence."""
    import numpy as np

    columns = {name: np.asarray(values, dtype=np.float64) for name, values in parts.items()}
    n_rows = len(next(iter(columns.values())))
    return float(statistic(columns, np.ones((1, n_rows)))[0])


def root_mean(part: str) -> Statistic:
    """Return √(mean of a part), such as the root of the mean squared error."""

    def statistic(parts: Mapping[str, NDArray[np.float64]], weights: NDArray[np.float64]) -> NDArray[np.float64]:
        import numpy as np

        return np.sqrt(_divided(weights @ parts[part], weights.sum(axis=1)))

    return statistic


def calibration_error(score: str, label: str, bins: int = 10) -> Statistic:
    """Return Σ |Σ label − Σ score| / rows over bins of nearly equal row counts, by rising score.

    The expected calibration error (Naeini et al. 2015, AAAI 29) of probabilities. The bins are those of all rows, so that
    each draw is judged by the same ones.
    """

    def statistic(parts: Mapping[str, NDArray[np.float64]], weights: NDArray[np.float64]) -> NDArray[np.float64]:
        import numpy as np

        order = np.argsort(parts[score], kind="stable")
        starts = np.unique(np.arange(bins) * len(order) // bins)
        gaps = weights[:, order] * (parts[label] - parts[score])[order]
        return _divided(np.abs(np.add.reduceat(gaps, starts, axis=1)).sum(axis=1), weights.sum(axis=1))

    return statistic


def average_precision(score: str, label: str) -> Statistic:
    """Return Σ (Rₙ − Rₙ₋₁) Pₙ over the distinct scores, highest first, with precision P and recall R.

    No interpolation between scores (Davis and Goadrich 2006, doi:10.1145/1143844.1143874): the definition of
    scikit-learn's `average_precision_score`. Labels are 0 or 1; a draw without a 1 gives not-a-number.
    """

    def statistic(parts: Mapping[str, NDArray[np.float64]], weights: NDArray[np.float64]) -> NDArray[np.float64]:
        import numpy as np

        order = np.argsort(-parts[score], kind="stable")
        found = np.flatnonzero(parts[label][order])
        if not len(found):
            return np.full(len(weights), np.nan)
        # Recall moves only at scores of rows labelled 1: the rows between them are added up, not walked through.
        ends = np.flatnonzero(np.diff(parts[score][order], append=np.nan) != 0)
        last = np.unique(ends[np.searchsorted(ends, found)])
        first = np.concatenate([[0], last[:-1] + 1])
        ordered = weights[:, order[: last[-1] + 1]]
        hits = np.add.reduceat(ordered[:, found], np.searchsorted(found, first), axis=1)
        drawn = np.cumsum(np.add.reduceat(ordered, first, axis=1), axis=1)
        precision = _divided(np.cumsum(hits, axis=1), drawn, nothing=0.0)
        return _divided((hits * precision).sum(axis=1), hits.sum(axis=1))

    return statistic


def roc_auc(score: str, label: str) -> Statistic:
    """Return the chance that a row labelled 1 scores above one labelled 0, ties counting half (Hanley & McNeil 1982).

    A draw without both labels gives not-a-number.
    """

    def statistic(parts: Mapping[str, NDArray[np.float64]], weights: NDArray[np.float64]) -> NDArray[np.float64]:
        import numpy as np

        hits, drawn = _cumulated(parts[score], parts[label], weights)
        misses = drawn - hits
        won = (np.diff(misses, axis=1, prepend=0.0) * (hits - np.diff(hits, axis=1, prepend=0.0) / 2)).sum(axis=1)
        return _divided(won, hits[:, -1] * misses[:, -1])

    return statistic


def _cumulated(
    score: NDArray[np.float64], label: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return labelled and all weight down to each distinct score, highest first: twice `(n_draws, n_scores)`."""
    import numpy as np

    order = np.argsort(-score, kind="stable")
    ends = np.flatnonzero(np.diff(score[order], append=np.nan) != 0)
    ordered = weights[:, order]
    hits = np.cumsum(ordered * label[order], axis=1)[:, ends]
    return hits, np.cumsum(ordered, axis=1)[:, ends]


def _divided(
    top: NDArray[np.float64], bottom: NDArray[np.float64], nothing: float = float("nan")
) -> NDArray[np.float64]:
    import numpy as np

    return np.divide(top, bottom, out=np.full_like(top, nothing), where=bottom > 0)
