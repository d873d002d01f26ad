"""How well quantiles forecast demand: pinball loss, weighted quantile loss (WQL), coverage."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml.contract import Metric
from ml.evaluation.statistic import once, ratio

if TYPE_CHECKING:
    import pandas as pd

QUANTILES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)

WQL = Metric(
    name="wql",
    higher_is_better=False,
    description="weighted quantile loss: 2 · Σ pinball / Σ |demand|, averaged over the quantiles",
    parts=("pinball", "demand"),
    statistic=ratio("pinball", "demand"),
)


def pinball(
    actual: NDArray[np.float64], forecast: NDArray[np.float64], levels: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return max(τ (y − f), (τ − 1)(y − f)) (Koenker and Bassett 1978, doi:10.2307/1913643).

    Args:
        actual: `(…,)`.
        forecast: `(…, n_quantiles)`.
        levels: `(n_quantiles,)` τ, within 0..1.
    """
    error = actual[..., None] - forecast
    return np.maximum(levels * error, (levels - 1) * error)


def measure(
    forecast: NDArray[np.float64], actual: NDArray[np.float64], levels: tuple[float, ...] = QUANTILES
) -> pd.DataFrame:
    """Return the parts of WQL by row: `pinball`, twice the loss averaged over the quantiles, and `demand`.

    WQL = Σ pinball / Σ demand, as GluonTS (`mean_weighted_sum_quantile_loss`; Alexandrov et al. 2020,
    jmlr.org/papers/v21/19-820.html) and Chronos (Ansari et al. 2024, arXiv:2403.07815) define it.

    Args:
        forecast: `(n_rows, horizon · n_quantiles)`, the quantiles of a period side by side.
        actual: `(n_rows, horizon)`; not-a-number where it is not known, which then counts for nothing.
        levels: Levels of the quantiles.
    """
    import pandas as pd

    taus = np.asarray(levels)
    split = forecast.reshape(*actual.shape, len(taus))
    loss = 2 * pinball(actual, split, taus).mean(axis=2)
    return pd.DataFrame({"pinball": np.nansum(loss, axis=1), "demand": np.nansum(np.abs(actual), axis=1)})


def wql(forecast: NDArray[np.float64], actual: NDArray[np.float64], levels: tuple[float, ...] = QUANTILES) -> float:
    """Return WQL of all rows; not-a-number where nothing was asked for."""
    parts = measure(forecast, actual, levels)
    return once(ratio(*WQL.parts), **{name: parts[name].to_numpy() for name in WQL.parts})


def coverage(
    forecast: NDArray[np.float64], actual: NDArray[np.float64], levels: tuple[float, ...] = QUANTILES
) -> dict[str, float]:
    """Return the share of demands at or below each quantile.

    Demand is whole pieces and a quantile may lie between two: of calibrated forecasts the level lies between the
    coverage of the quantiles rounded down and up.
    """
    split = forecast.reshape(*actual.shape, len(levels))
    known = ~np.isnan(actual)
    covered = (actual[..., None] <= split)[known].mean(axis=0)
    return {f"at_most_q{level:g}": float(share) for level, share in zip(levels, covered, strict=True)}
