"""Replays held-out demand under orders that follow from forecasts, so that forecasts are compared by what they cost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ml.use_cases.inventory.order import Need, best_packs, promised_packs
from ml.use_cases.inventory.protection import Dependence, ProtectedDemand, QuantileForecast, protect
from ml.use_cases.inventory.simulate import Floats, Movement, PerLine, Supply, simulate

Forecaster: TypeAlias = Callable[[int], QuantileForecast]
"""(period) -> forecast of that period and those after it, from what was known before it; asked at each review."""


@dataclass(frozen=True, kw_only=True)
class Aim:
    """What orders aim at."""

    holding: PerLine
    """A unit left at the end of the interval [money], above 0."""
    shortage: PerLine
    """A unit short at the end of the interval [money], above 0."""
    dependence: Dependence = field(default_factory=Dependence)
    is_promised: bool = False
    """Whether packs reach the critical quantile, as a promised service level asks, or are the cheapest number."""


def replay(demand: ArrayLike, forecaster: Forecaster, supply: Supply, aim: Aim, *, start: PerLine) -> Movement:
    """Return how stock moves when each review orders what is cheapest by its forecast.

    Where supply comes in packs, the number of packs is the cheapest one; otherwise orders reach the critical quantile.
    Where a line's lead time varies, its interval is as long as its longest.

    Args:
        demand: Held-out demand `(n_series, n_periods)` [units].
        forecaster: Quantiles for lead time plus review period at least.
        supply: Lead time, review, packs, lost sales or backorders.
        aim: Costs that orders weigh.
        start: Stock on hand at first, `(n_series,)`: the same for all forecasts that are compared.
    """
    protected = _longest(supply.lead_time) + supply.review_every

    def policy(period: int, position: Floats) -> Floats:
        ahead = protect(forecaster(period), protected, aim.dependence)
        return _units(position, ahead, supply.pack, aim)

    return simulate(demand, policy, supply, start=start)


def _longest(lead_time: int | NDArray[np.int64]) -> NDArray[np.int64]:
    """Return each line's longest lead time, or the one of all lines."""
    return np.asarray(np.max(np.atleast_2d(lead_time), axis=1))


def _units(position: Floats, ahead: ProtectedDemand, pack: PerLine | None, aim: Aim) -> Floats:
    holding, shortage = (_each(cost, position) for cost in (aim.holding, aim.shortage))
    if pack is None:
        return np.asarray(ahead.quantile(shortage / (shortage + holding)) - position)
    need = Need(
        position=position,
        demand=ahead,
        holding=holding,
        shortage=shortage,
        pack=_each(pack, position),
        least_packs=np.ones(len(position), dtype=np.int64),
    )
    packs = promised_packs(need) if aim.is_promised else best_packs(need)
    return np.asarray(packs * need.pack)


def _each(figure: PerLine, lines: Floats) -> NDArray[np.float64]:
    return np.broadcast_to(np.asarray(figure, dtype=np.float64), lines.shape)
