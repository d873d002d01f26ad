"""Turns examples into the network's inputs: the same code for training and serving."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ml.contract import JsonObject
from ml.use_cases.inventory.demand_window import Examples, stacked
from ml.use_cases.inventory.hierarchy import expected_rate, numbers

FLOOR = 1e-3  # of a rate [pieces a period]: keeps logarithms finite
WAVES = 2  # harmonics of a cycle
YEAR, MONTH = 365.25, 30.44  # [days]

Days: TypeAlias = "NDArray[np.datetime64]"


def encode(examples: Examples, state: JsonObject) -> dict[str, NDArray[np.generic]]:
    """Return the inputs by name, float32 but for `groups`.

    `features` `(n_rows, n_features)`: the series so far; `ahead` `(n_rows, horizon, n_ahead)`: what is known of the
    periods ahead; `groups` `(n_rows, n_levels)` int32; `scale` `(n_rows, 1)` [pieces a period].
    Demand enters relative to `scale`, the series' recent rate drawn towards its group's, so that one network serves
    large and small series alike and a product without a past starts from its group. Unseen groups are number 0.
    """
    history = stacked(examples, "history")
    prior = expected_rate(examples, state["hierarchy"])
    rates = np.stack([decayed_rate(history, half, prior, state["prior"]) for half in state["half_lives"]], axis=1)
    scale = np.maximum(rates[:, -1], FLOOR)
    parts = [
        np.log(np.maximum(rates, FLOOR)) - np.log(scale)[:, None],
        np.log(scale)[:, None],
        np.log(np.maximum(prior, FLOOR) / scale)[:, None],
        _shape(history, scale, state["windows"]),
        _ordered(history, scale, state["ordered"]),
        squeeze(np.nan_to_num(history[:, -state["lags"] :]), scale),
        _intermittence(history, scale),
        *(_driver(stacked(examples, name)) for name in state["drivers"]),
        *(_response(history, stacked(examples, name), rates[:, -1], scale) for name in state["plans"]),
    ]
    return {
        "features": np.concatenate(parts, axis=1).astype(np.float32),
        "ahead": _ahead(examples, state),
        "groups": numbers(examples, state["hierarchy"]),
        "scale": scale[:, None].astype(np.float32),
    }


def decayed_rate(
    history: NDArray[np.float64], half_life: float, prior: NDArray[np.float64], strength: float
) -> NDArray[np.float64]:
    """Return (Σ wᵢ yᵢ + s μ) / (Σ wᵢ + s) with wᵢ = ½^(age / half-life): a rate drawn towards its group's μ.

    The posterior mean of a Poisson rate under a gamma prior worth s periods (Gelman et al., BDA3, section 2.6), older
    periods counting less.
    """
    weights = 0.5 ** (np.arange(history.shape[1])[::-1] / half_life)
    known = np.isfinite(history)
    total = np.nan_to_num(history) @ weights + strength * prior
    rate: NDArray[np.float64] = total / (known @ weights + strength)
    return rate


def squeeze(values: NDArray[np.float64], scale: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return arcsinh of demand in units of the scale: linear near 0, logarithmic far out, zero stays zero."""
    return np.arcsinh(values / scale[:, None])


def _shape(history: NDArray[np.float64], scale: NDArray[np.float64], lengths: Sequence[int]) -> NDArray[np.float64]:
    """Return mean, scatter, share of periods without a sale and known share over each length."""
    found = []
    for length in lengths:
        recent = history[:, -length:]
        known = np.isfinite(recent)
        filled, count = np.nan_to_num(recent), np.maximum(known.sum(axis=1), 1)
        mean = filled.sum(axis=1) / count
        spread = np.sqrt(np.maximum((filled**2).sum(axis=1) / count - mean**2, 0))
        empty = 1 - (filled > 0).sum(axis=1) / count
        found += [np.arcsinh(mean / scale), np.arcsinh(spread / scale), empty, known.mean(axis=1)]
    return np.stack(found, axis=1)


def _ordered(history: NDArray[np.float64], scale: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    """Return the newest demands in ascending order: from them the network can read quantiles."""
    return squeeze(np.sort(np.nan_to_num(history[:, -length:]), axis=1), scale)


def _intermittence(history: NDArray[np.float64], scale: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return periods since the last and the first sale, number of sales, mean size of a sale."""
    sold = np.nan_to_num(history) > 0
    length, is_sold = history.shape[1], sold.any(axis=1)
    since = np.where(is_sold, sold[:, ::-1].argmax(axis=1), length)
    age = np.where(is_sold, length - sold.argmax(axis=1), 0)
    sales = sold.sum(axis=1)
    size = np.nansum(history, axis=1) / np.maximum(sales, 1)
    return np.stack([np.log1p(since), np.log1p(age), np.log1p(sales), np.arcsinh(size / scale), np.log1p(size)], axis=1)


def _ahead(examples: Examples, state: JsonObject) -> NDArray[np.float32]:
    """Return for each period ahead: which one it is, its time of year where that can be learned, what is planned."""
    horizon = state["horizon"]
    parts = [np.broadcast_to(np.eye(horizon), (len(examples), horizon, horizon))]
    parts += [waves(first_days(examples["time"], horizon, state["period_days"])) for waves in _cycles(state)]
    parts += [np.nan_to_num(stacked(examples, f"{name}_ahead"))[:, :, None] for name in state["plans"]]
    return np.concatenate(parts, axis=2).astype(np.float32)


def calendar_columns(state: JsonObject) -> slice:
    """Return which columns of `ahead` tell the date."""
    start = int(state["horizon"])
    return slice(start, start + 2 * WAVES * len(_cycles(state)))


def first_days(times: Iterable[Any], horizon: int, period_days: float) -> Days:
    """Return the first day of each period ahead `(n_rows, horizon)`, parts of days cut off."""
    first = np.array(list(times), dtype="datetime64[D]")
    return first[:, None] + (period_days * np.arange(horizon)).astype(np.int64)


def _cycles(state: JsonObject) -> list[Callable[[Days], NDArray[np.float64]]]:
    return [cycle for name, cycle in (("calendar", _of_year), ("month", _of_month)) if state.get(name)]


def _of_year(days: Days) -> NDArray[np.float64]:
    return _waves((days - days.astype("datetime64[Y]")).astype(np.float64) + 1, YEAR)


def _of_month(days: Days) -> NDArray[np.float64]:
    return _waves((days - days.astype("datetime64[M]")).astype(np.float64), MONTH)


def _waves(days: NDArray[np.float64], length: float) -> NDArray[np.float64]:
    """Return sines and cosines of the place in a cycle `(n_rows, horizon, 2 · WAVES)`."""
    angles = 2 * np.pi / length * days[:, :, None] * np.arange(1, WAVES + 1)
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=2)


def _response(
    history: NDArray[np.float64], plan: NDArray[np.float64], rate: NDArray[np.float64], scale: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return rates with and without a plan, each drawn towards the series' rate, and how often it was planned."""
    known, there = np.isfinite(history), np.nan_to_num(plan)
    found = []
    for weight in (there * known, (1 - there) * known):
        with_it = (np.nan_to_num(history) * weight).sum(axis=1) + rate
        found.append(np.log(np.maximum(with_it / (weight.sum(axis=1) + 1), FLOOR) / scale))
    share = (there * known).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    return np.stack([*found, share, there[:, -1]], axis=1)


def _driver(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a driver's newest value and how far that lies from its mean; 0 where it is not known."""
    known = np.isfinite(values)
    mean = np.nan_to_num(values).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    newest = np.where(known[:, -1], np.nan_to_num(values[:, -1]), mean)
    return np.stack([newest, newest - mean], axis=1)
