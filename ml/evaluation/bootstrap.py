"""Says how sure a figure is: resamples whole customers, with the same draws for all, so that differences are paired."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Values are rounded to 2^-30 of their column's largest: below 8 million rows sums are then exact in any order.
GRID_BITS = 30
SMALLEST_BITS = -1000  # below it a float loses digits
CHUNK_CELLS = 20_000_000  # resamples × units, or rows where a figure looks at each, held at once

RowStatistic: TypeAlias = "Callable[[NDArray[np.float64]], NDArray[np.float64]]"
"""How often each row counts `(n_draws, n_rows)` -> the figure of each draw `(n_draws,)`."""
Column: TypeAlias = "NDArray[np.float64] | tuple[NDArray[np.float64], NDArray[np.float64]] | RowStatistic"
"""Values `(n_rows,)` whose mean is taken; two such columns, whose sums are divided; or any other figure."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A figure with its interval; not-a-number where there is no evidence."""

    value: float
    low: float
    high: float

    def is_finite(self) -> bool:
        """Return whether all three numbers can be judged."""
        return all(map(math.isfinite, (self.value, self.low, self.high)))


NOTHING = Estimate(value=math.nan, low=math.nan, high=math.nan)


@dataclass(frozen=True, kw_only=True)
class Draws:
    """Named figures over all rows, and over each resample."""

    places: Mapping[Hashable, int]
    """Column of each name."""
    point: NDArray[np.float64]
    """`(n_columns,)`"""
    samples: NDArray[np.float64]
    """`(resamples, n_columns)`"""
    confidence: float

    def figure(self, name: Hashable) -> Estimate:
        """Return a figure; without evidence if its name is unknown."""
        if name not in self.places:
            return NOTHING
        at = self.places[name]
        return self._estimate(self.point[at], self.samples[:, at])

    def difference(self, name: Hashable, other: Hashable, sign: int = 1) -> Estimate:
        """Return `sign · (name − other)`."""
        if name not in self.places or other not in self.places:
            return NOTHING
        a, b = self.places[name], self.places[other]
        return self._estimate(sign * (self.point[a] - self.point[b]), sign * (self.samples[:, a] - self.samples[:, b]))

    def relative(self, name: Hashable, other: Hashable, sign: int = 1) -> Estimate:
        """Return `sign · (name − other) / |other|`; 0 where both are equal, even both zero."""
        if name not in self.places or other not in self.places:
            return NOTHING
        a, b = self.places[name], self.places[other]
        point = _change(sign * (self.point[a] - self.point[b]), self.point[b])
        return self._estimate(point, _change(sign * (self.samples[:, a] - self.samples[:, b]), self.samples[:, b]))

    def shift(self, name: Hashable, other: Hashable, sign: int = 1) -> tuple[float, float]:
        """Return `sign · (name − other)` and its standard error, the spread over the draws (Efron & Tibshirani 1993, ch. 6).

        Not-a-number where there is no evidence.
        """
        import numpy as np

        if name not in self.places or other not in self.places:
            return math.nan, math.nan
        a, b = self.places[name], self.places[other]
        moved = self.samples[:, a] - self.samples[:, b]
        known = moved[~np.isnan(moved)]
        error = float(known.std(ddof=1)) if known.size > 1 else math.nan
        return float(sign * (self.point[a] - self.point[b])), error

    def _estimate(self, point: NDArray[np.float64], samples: NDArray[np.float64]) -> Estimate:
        """Return the percentile interval (Efron & Tibshirani 1993, ch. 13); a resample without any row has no figure."""
        import numpy as np

        known = samples[~np.isnan(samples)]
        if not known.size or not np.isfinite(known).all():
            return Estimate(value=float(point), low=math.nan, high=math.nan)
        tail = (1 - self.confidence) / 2
        low, high = np.quantile(known, [tail, 1 - tail])
        return Estimate(value=float(point), low=float(low), high=float(high))


def resample(
    columns: Mapping[Hashable, Column],
    units: Sequence[str] | NDArray[np.object_],
    *,
    resamples: int,
    confidence: float,
    seed: int,
) -> Draws:
    """Draw units with replacement and take each figure over the drawn units' rows.

    Args:
        columns: Values `(n_rows,)` by name; not-a-number where a row has no value, and then it counts for nothing.
            A column that holds an infinite value has no mean. Of two columns the sums are divided. A function works a
            figure out that is neither.
        units: The unit of each row `(n_rows,)`; all rows of a unit are drawn together.
        resamples: Number of draws.
        confidence: Level of the intervals (0..1).
        seed: Equal seeds give equal draws; the order of rows does not matter.

    Raises:
        ValueError: There are no rows.
    """
    import numpy as np

    names, codes = np.unique(np.asarray(units, dtype=str), return_inverse=True)
    if not len(names):
        raise ValueError("Expected at least one row to resample. Received none.")
    means = {name: values for name, values in columns.items() if not callable(values)}
    others = {name: values for name, values in columns.items() if callable(values)}
    totals = [_totals(values, codes, len(names)) for values in means.values()]
    none = np.zeros((len(names), 0))
    sums, counts = (np.column_stack([none, *(total[part] for total in totals)]) for part in (0, 1))

    def figures(drawn: NDArray[np.float64]) -> NDArray[np.float64]:
        by_row = drawn[:, codes] if others else drawn
        return np.column_stack([_mean(drawn @ sums, drawn @ counts), *(other(by_row) for other in others.values())])

    width = len(codes) if others else len(names)
    samples = np.concatenate([figures(drawn) for drawn in _weights(len(names), resamples, seed, CHUNK_CELLS // width)])
    point = figures(np.ones((1, len(names))))[0]
    places = {name: at for at, name in enumerate([*means, *others])}
    return Draws(places=places, point=point, samples=samples, confidence=confidence)


def _totals(
    values: NDArray[np.float64] | tuple[NDArray[np.float64], NDArray[np.float64]],
    codes: NDArray[np.intp],
    n_units: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return each unit's sum and number of values, or its sums of two columns."""
    import numpy as np

    if isinstance(values, tuple):
        top, bottom = (_totals(part, codes, n_units)[0] for part in values)
        return top, bottom
    values = np.asarray(values, dtype=np.float64)
    if np.isinf(values).any():
        values = np.full_like(values, np.nan)
    is_known = ~np.isnan(values)
    grid = _grid(values[is_known])
    exact = np.where(is_known, np.round(values / grid) * grid, 0.0)
    return _by_unit(exact, codes, n_units), _by_unit(is_known.astype(np.float64), codes, n_units)


def _by_unit(values: NDArray[np.float64], codes: NDArray[np.intp], n_units: int) -> NDArray[np.float64]:
    import numpy as np

    return np.asarray(np.bincount(codes, weights=values, minlength=n_units), dtype=np.float64)


def _grid(values: NDArray[np.float64]) -> float:
    largest = float(abs(values).max()) if values.size else 0.0
    return math.ldexp(1.0, max(math.frexp(largest)[1] - GRID_BITS, SMALLEST_BITS)) if largest else 1.0


def _weights(n_units: int, resamples: int, seed: int, chunk: int) -> Iterator[NDArray[np.float64]]:
    """Yield how often each unit is drawn, in chunks `(n_draws, n_units)`."""
    import numpy as np

    rng = np.random.default_rng(seed)
    size = max(1, chunk)
    even = np.full(n_units, 1 / n_units)
    for start in range(0, resamples, size):
        yield rng.multinomial(n_units, even, size=min(size, resamples - start)).astype(np.float64)


def _mean(sums: NDArray[np.float64], counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Divide; the mean of no value is not a number."""
    import numpy as np

    return np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)


def _change(difference: NDArray[np.float64], reference: NDArray[np.float64]) -> NDArray[np.float64]:
    """Divide by the reference's magnitude; no change from nothing is no change."""
    import numpy as np

    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(difference == 0, 0.0, difference / np.abs(reference))
