"""From quantile forecasts by period to demand over the protection interval: until an order placed at the next review arrives.

Quantiles of periods do not add up. Demand is therefore drawn along paths, each period from its own quantiles, and summed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

PATHS_LOG2 = 9  # 512 paths: a 95 % quantile of them is within about half a percent of chance of the asked one
CHUNK_CELLS = 20_000_000  # levels × paths held at once


@dataclass(frozen=True, kw_only=True)
class QuantileForecast:
    """What demand may be, by series and period."""

    values: NDArray[np.float64]
    """`(n_series, horizon, n_quantiles)` [units], at least 0; crossing quantiles are put in order."""
    levels: NDArray[np.float64]
    """`(n_quantiles,)` chances of staying at or below, rising, between 0 and 1, at least two."""

    def __post_init__(self) -> None:
        levels, shape = np.asarray(self.levels, dtype=np.float64), np.shape(self.values)
        is_rising = levels.ndim == 1 and len(levels) >= 2 and (np.diff(levels, prepend=0.0, append=1.0) > 0).all()
        if not is_rising:
            raise ValueError(f"Expected two or more rising levels within 0..1. Received {levels}. Sort the levels.")
        if len(shape) != 3 or shape[2] != len(levels):
            raise ValueError(
                f"Expected values (n_series, horizon, {len(levels)}). Received {shape}. Give one quantile a level."
            )
        values = np.asarray(self.values, dtype=np.float64)
        if not np.isfinite(values).all():
            raise ValueError("Expected finite quantiles. Received missing or infinite ones. Fill or drop those series.")
        object.__setattr__(self, "levels", levels)
        object.__setattr__(self, "values", np.sort(np.maximum(values, 0.0), axis=2))

    @property
    def horizon(self) -> int:
        """Number of periods ahead."""
        return int(self.values.shape[1])


@dataclass(frozen=True, kw_only=True)
class Dependence:
    """How paths are drawn."""

    persistence: float = 0.0
    """Correlation of neighbouring periods' surprises, ρ in a Gaussian copula with ρ^|i−j|; 0 is independent, below 1."""
    paths_log2: int = PATHS_LOG2
    """Binary logarithm of the number of paths."""
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class ProtectedDemand:
    """Demand over each series' protection interval, equally likely values."""

    paths: NDArray[np.float64]
    """`(n_series, n_paths)` [units], each row rising."""
    means: NDArray[np.float64]
    """`(n_series, horizon)` expected demand of each period [units], also those after the interval."""

    @property
    def expected(self) -> NDArray[np.float64]:
        """Expected demand over the interval `(n_series,)`."""
        return np.asarray(self.paths.mean(axis=1))

    def quantile(self, chance: ArrayLike) -> NDArray[np.float64]:
        """Return the smallest path with at least that share of paths at or below it, one chance a series."""
        n_series, n_paths = self.paths.shape
        # Rounded, because 0.9 · 512 paths should not become one more by the last bit of a product.
        place = np.ceil(np.round(np.broadcast_to(chance, n_series) * n_paths, 9)).astype(np.intp) - 1
        return np.asarray(self.paths[np.arange(n_series), np.clip(place, 0, n_paths - 1)])

    def expected_left(self, levels: NDArray[np.float64], series: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return E[(y − D)⁺] for levels of the series that are named beside them, `(n_levels,)` each."""
        chunk = max(1, CHUNK_CELLS // self.paths.shape[1])
        parts = [
            np.maximum(levels[at : at + chunk, None] - self.paths[series[at : at + chunk]], 0.0).mean(axis=1)
            for at in range(0, len(levels), chunk)
        ]
        return np.concatenate([np.zeros(0), *parts])


def protect(forecast: QuantileForecast, periods: ArrayLike, dependence: Dependence | None = None) -> ProtectedDemand:
    """Return demand over the first `periods` of the forecast.

    All series and intervals share the same draws, so that a longer interval never holds less demand.

    Args:
        forecast: By series and period.
        periods: `(n_series,)` or one for all: lead time plus review period, 1..horizon.
        dependence: How periods hang together; independent by default.
    """
    lengths = np.broadcast_to(np.asarray(periods, dtype=np.int64), len(forecast.values))
    if lengths.size and not (lengths.min() >= 1 and lengths.max() <= forecast.horizon):
        raise ValueError(
            f"Expected intervals of 1 to {forecast.horizon} periods, the horizon. Received {lengths.min()} to "
            f"{lengths.max()}. Forecast further ahead."
        )
    chances = _chances(forecast.horizon, dependence or Dependence())
    total = np.zeros((len(lengths), len(chances)))
    means = np.empty((len(lengths), forecast.horizon))
    for period in range(forecast.horizon):
        drawn = quantiles_at(forecast.values[:, period], forecast.levels, chances[:, period])
        means[:, period] = drawn.mean(axis=1)
        np.add(total, drawn, out=total, where=period < lengths[:, None])
    return ProtectedDemand(paths=np.sort(total, axis=1), means=means)


def quantiles_at(
    values: NDArray[np.float64], levels: NDArray[np.float64], chances: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return quantiles at other chances `(n_series, n_chances)`.

    Linear between levels and, never below 0, under the lowest. Above the highest an exponential tail,
    q(a) = q_K + β ln((1 − a_K)/(1 − a)), goes through the last two (Park et al. 2022, arXiv:2111.06581).

    Args:
        values: `(n_series, n_quantiles)`, rising.
        levels: `(n_quantiles,)`
        chances: `(n_chances,)`, 0..1 without 1.
    """
    right = np.clip(np.searchsorted(levels, chances), 1, len(levels) - 1)
    share = (chances - levels[right - 1]) / (levels[right] - levels[right - 1])
    beyond = np.log((1 - levels[-1]) / (1 - chances)) / np.log((1 - levels[-2]) / (1 - levels[-1]))
    share = np.where(chances > levels[-1], 1 + beyond, share)  # both are linear in the two quantiles they lie beside
    found = np.take(values, right, axis=1)
    low = np.take(values, right - 1, axis=1)
    found -= low
    found *= share
    found += low
    return np.maximum(found, 0.0, out=found)


@lru_cache(maxsize=16)
def _chances(horizon: int, dependence: Dependence) -> NDArray[np.float64]:
    """Return `(n_paths, horizon)` evenly spread chances (Sobol' points), each column uniform."""
    from scipy import linalg, stats

    sobol = stats.qmc.Sobol(d=horizon, rng=np.random.default_rng(dependence.seed))
    even = np.clip(sobol.random_base2(dependence.paths_log2), 1e-9, 1 - 1e-9)
    if dependence.persistence == 0:
        return np.asarray(even)
    root = linalg.cholesky(linalg.toeplitz(dependence.persistence ** np.arange(horizon)), lower=True)
    return np.asarray(stats.norm.cdf(stats.norm.ppf(even) @ root.T))
