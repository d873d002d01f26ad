"""What a product's group tells about it: rates and distributions for products without a past of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml.contract import JsonObject
from ml.use_cases.inventory.demand_window import Examples
from ml.use_cases.inventory.forecast_baseline import empirical

if TYPE_CHECKING:
    from ml.use_cases.inventory.demand_table import DemandTable

FEWEST = 5  # series a group needs before it speaks for a new one


def fit_hierarchy(table: DemandTable, levels: Sequence[float]) -> JsonObject:
    """Return each level's groups, finest level first, with rate and quantiles per series; and those of all series.

    A group's quantiles are the mean of its series' own quantiles (a quantile average; Lichtendahl, Grushka-Cockayne and
    Winkler 2013, doi:10.1287/mnsc.1120.1667): what one further series may be expected to do, not what the group adds
    up to. Groups of fewer than `FEWEST` series are left out: the next coarser level speaks for them.

    Args:
        table: Demand of the training period.
        levels: Levels of the quantiles.
    """
    rates, quantiles = _mean_rate(table.demand), empirical(table.demand, levels)
    found = {}
    for level, names in table.groups.items():
        uniques, codes = np.unique(names.astype(str), return_inverse=True)
        sizes = np.bincount(codes)
        kept = np.flatnonzero(sizes >= FEWEST)
        mean_rate = np.bincount(codes, rates) / sizes
        mean_quantiles = np.stack([np.bincount(codes, column) / sizes for column in quantiles.T], axis=1)
        found[level] = {
            "names": [str(uniques[at]) for at in kept],
            "rates": mean_rate[kept].tolist(),
            "quantiles": mean_quantiles[kept].tolist(),
        }
    return {"levels": found, "rate": float(rates.mean()), "quantiles": quantiles.mean(axis=0).tolist()}


def expected_rate(examples: Examples, hierarchy: JsonObject) -> NDArray[np.float64]:
    """Return the rate of each example's finest known group `(n_rows,)` [pieces a period]."""
    return _looked_up(examples, hierarchy, "rates", hierarchy["rate"])


def cold_start(examples: Examples, hierarchy: JsonObject) -> NDArray[np.float64]:
    """Return the quantiles of each example's finest known group `(n_rows, n_quantiles)`."""
    return _looked_up(examples, hierarchy, "quantiles", hierarchy["quantiles"])


def numbers(examples: Examples, hierarchy: JsonObject) -> NDArray[np.int32]:
    """Return each example's group by level `(n_rows, n_levels)`, from 1; 0 where it is unseen or there is no level."""
    columns = [_positions(examples[name], level["names"]) + 1 for name, level in hierarchy["levels"].items()]
    if not columns:
        return np.zeros((len(examples), 1), np.int32)
    return np.stack(columns, axis=1).astype(np.int32)


def _looked_up(examples: Examples, hierarchy: JsonObject, what: str, default: object) -> NDArray[np.float64]:
    whole = np.asarray(default, np.float64)
    found = np.broadcast_to(whole, (len(examples), *whole.shape)).copy()
    for name, level in reversed(hierarchy["levels"].items()):  # coarse first, so that finer levels overwrite
        positions = _positions(examples[name], level["names"])
        seen = positions >= 0
        if seen.any():
            found[seen] = np.asarray(level[what], np.float64)[positions[seen]]
    return found


def _positions(names: Sequence[str], known: Sequence[str]) -> NDArray[np.int64]:
    places = {name: at for at, name in enumerate(known)}
    return np.array([places.get(name, -1) for name in names], dtype=np.int64)


def _mean_rate(demand: NDArray[np.float64]) -> NDArray[np.float64]:
    known = np.isfinite(demand)
    rate: NDArray[np.float64] = np.nan_to_num(demand).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    return rate
