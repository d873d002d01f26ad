"""Judges forecasts by what they cost: held-out weeks are replayed under the orders that follow from them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ml.contract import JsonObject
from ml.use_cases.inventory.demand_score import QUANTILES, coverage
from ml.use_cases.inventory.demand_score import measure as measure_forecast
from ml.use_cases.inventory.demand_window import stacked
from ml.use_cases.inventory.protection import QuantileForecast
from ml.use_cases.inventory.replay import Aim, replay
from ml.use_cases.inventory.simulate import Movement, Supply

if TYPE_CHECKING:
    import pandas as pd

RECENT = 8  # weeks whose mean demand sets the stock that a simulation starts with
COSTS = ("holding", "shortage", "ordering")


def measure(scores: NDArray[np.floating[Any]], examples: pd.DataFrame, state: JsonObject) -> pd.DataFrame:
    """Return each week's simulated cost, the parts of the fill rate, and the parts of WQL.

    `stock_cost` = holding + shortage + ordering [money] of the week that an example begins with; not-a-number in a
    series' first weeks, as many as its lead time, which no order decides. `filled` and `asked` [pieces] count the same
    weeks. `pinball` and `demand` as in `demand_score.measure`.
    """
    quantiles = np.asarray(scores, dtype=np.float64)
    weeks = simulated(quantiles, examples, state)
    forecast = measure_forecast(quantiles, _targets(examples, state))
    counted = weeks["counted"].to_numpy()
    cost = weeks[list(COSTS)].sum(axis=1).where(counted)
    parts = {name: np.where(counted, weeks[name], 0.0) for name in ("filled", "asked")}
    return forecast.set_axis(examples.index).assign(stock_cost=cost.to_numpy(), **parts)


def summarise(scores: NDArray[np.floating[Any]], examples: pd.DataFrame, state: JsonObject) -> dict[str, float]:
    """Return the costs by kind, a series and week [money]; pieces on hand; share of demands at or below some quantiles."""
    quantiles = np.asarray(scores, dtype=np.float64)
    weeks = simulated(quantiles, examples, state).query("counted")
    means = {f"{name}_cost": float(weeks[name].mean()) for name in COSTS}
    covered = coverage(quantiles, _targets(examples, state))
    shown = {name: covered[name] for name in ("at_most_q0.1", "at_most_q0.5", "at_most_q0.9")}
    return {**means, "on_hand": float(weeks["on_hand"].mean()), **shown}


def simulated(quantiles: NDArray[np.float64], examples: pd.DataFrame, state: JsonObject) -> pd.DataFrame:
    """Return what each example's first week cost and sold, row for row as the examples.

    A series' examples are its weeks, one after the other; in each the newest forecast orders. What stock costs stands in
    the examples, so that every contender pays the same. Columns: `COSTS` [money],
    `filled`, `asked`, `on_hand` [pieces], and whether an order could decide the week (`counted`).
    """
    import pandas as pd

    found = pd.DataFrame(index=range(len(examples)), columns=[*COSTS, "filled", "asked", "on_hand"], dtype=float)
    found["counted"] = False
    for rows in _by_series(examples):
        parts = _replayed(quantiles, examples, state, rows)
        for name, values in parts.items():
            found.loc[rows.ravel(), name] = values.ravel()
    return found


def _targets(examples: pd.DataFrame, state: JsonObject) -> NDArray[np.float64]:
    """Return what was asked for in as many weeks as the state's model forecasts `(n_rows, horizon)`."""
    targets, horizon = stacked(examples, "targets"), state["horizon"]
    wide = np.pad(targets, ((0, 0), (0, max(horizon - targets.shape[1], 0))), constant_values=np.nan)
    return np.asarray(wide[:, :horizon])


def _by_series(examples: pd.DataFrame) -> Iterator[NDArray[np.int64]]:
    """Yield rows `(n_series, n_weeks)` in order of time, the series with equally many weeks together."""
    ordered = examples.reset_index(drop=True).sort_values(["unit", "time"], kind="stable")
    sizes = ordered.groupby("unit", sort=True)["time"].transform("size").to_numpy()
    for n_weeks in np.unique(sizes):
        yield ordered.index.to_numpy()[sizes == n_weeks].reshape(-1, n_weeks)


def _replayed(
    quantiles: NDArray[np.float64], examples: pd.DataFrame, state: JsonObject, rows: NDArray[np.int64]
) -> dict[str, NDArray[Any]]:
    first = examples.iloc[rows[:, 0]]
    demand = np.nan_to_num(stacked(examples, "targets")[:, 0])[rows]
    lead = first["lead_time"].to_numpy(dtype=np.int64)[:, None]
    review, holding = int(first["review_weeks"].iloc[0]), first["holding"].to_numpy()
    service = first["service_level"].to_numpy()
    shortage = holding * service / (1 - service)
    by_row = quantiles.reshape(len(examples), state["horizon"], -1)

    def forecaster(week: int) -> QuantileForecast:
        return QuantileForecast(values=by_row[rows[:, week]], levels=np.array(QUANTILES))

    supply = Supply(lead_time=lead, review_every=review, pack=first["pack_size"].to_numpy(), is_lost=True)
    aim = Aim(holding=holding, shortage=shortage, is_promised=True)
    moved = replay(demand, forecaster, supply, aim, start=_start(first, review))
    decided = np.arange(demand.shape[1]) >= lead
    return {
        **_weeks(moved, holding[:, None], shortage[:, None], float(first["order_cost"].iloc[0])),
        "counted": decided,
    }


def _weeks(
    moved: Movement, holding: NDArray[np.float64], shortage: NDArray[np.float64], order_cost: float
) -> dict[str, NDArray[Any]]:
    return {
        "holding": holding * moved.on_hand,
        "shortage": shortage * moved.short,
        "ordering": order_cost * (moved.ordered > 0),
        "filled": moved.filled,
        "asked": moved.demand,
        "on_hand": moved.on_hand,
    }


def _start(first: pd.DataFrame, review: int) -> NDArray[np.float64]:
    """Return the stock every contender starts with: lead time and review of the recent mean demand, rounded up."""
    recent = np.nan_to_num(stacked(first, "history")[:, -RECENT:]).mean(axis=1)
    return np.asarray(np.ceil(recent * (first["lead_time"].to_numpy() + review)))
