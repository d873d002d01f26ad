"""Lot sizes where demand is known: at a steady rate (EOQ, with backorders, with finite production) or by period (Wagner-Whitin).

Section numbers are those of Snyder and Shen, Fundamentals of Supply Chain Theory, 2nd ed. 2019, doi:10.1002/9781119584445.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, kw_only=True)
class Lot:
    """How much to order at a time."""

    quantity: float
    cost: float
    """Ordering, holding and shortage [money a unit of time]; not the purchase itself."""
    share_backordered: float = 0.0
    """Part of demand that waits for the next lot (0..1)."""


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """What to order in each period."""

    quantities: NDArray[np.float64]
    """`(n_periods,)`"""
    cost: float
    """Ordering, holding and purchase over all periods [money]."""


def economic_order(*, rate: float, order_cost: float, holding_cost: float) -> Lot:
    """Return Q = √(2Kλ/h) and its cost √(2Kλh): the economic order quantity (Harris 1913; §3.2).

    Args:
        rate: Demand λ [units a unit of time], above 0.
        order_cost: Fixed cost K of one order [money].
        holding_cost: Of one unit for one unit of time, h [money], above 0.
    """
    _check_positive(rate=rate, order_cost=order_cost, holding_cost=holding_cost)
    return Lot(
        quantity=math.sqrt(2 * order_cost * rate / holding_cost),
        cost=math.sqrt(2 * order_cost * rate * holding_cost),
    )


def economic_order_with_backorders(*, rate: float, order_cost: float, holding_cost: float, shortage_cost: float) -> Lot:
    """Return Q = √(2Kλ(h+p)/(hp)), share x = h/(h+p), cost √(2Kλhp/(h+p)) (§3.5).

    Args:
        rate: Demand λ [units a unit of time], above 0.
        order_cost: Fixed cost K of one order [money].
        holding_cost: Of one unit for one unit of time, h [money], above 0.
        shortage_cost: Of one unit that waits for one unit of time, p [money], above 0.
    """
    _check_positive(rate=rate, order_cost=order_cost, holding_cost=holding_cost, shortage_cost=shortage_cost)
    ratio = shortage_cost / (holding_cost + shortage_cost)
    plain = economic_order(rate=rate, order_cost=order_cost, holding_cost=holding_cost)
    return Lot(
        quantity=plain.quantity / math.sqrt(ratio),
        cost=plain.cost * math.sqrt(ratio),
        share_backordered=1 - ratio,
    )


def economic_production(*, rate: float, production_rate: float, order_cost: float, holding_cost: float) -> Lot:
    """Return Q = √(2Kλ/(h(1−λ/μ))), cost √(2Kλh(1−λ/μ)): stock builds up while the lot is made (Taft 1918; §3.6).

    Args:
        rate: Demand λ [units a unit of time], above 0.
        production_rate: Supply μ while it runs [units a unit of time], above λ.
        order_cost: Fixed cost K of one lot [money].
        holding_cost: Of one unit for one unit of time, h [money], above 0.
    """
    if production_rate <= rate:
        raise ValueError(f"Expected a production rate above demand, {rate}. Received {production_rate}. Check units.")
    idle = 1 - rate / production_rate
    return economic_order(rate=rate, order_cost=order_cost, holding_cost=holding_cost * idle)


def wagner_whitin(
    demand: ArrayLike, *, order_cost: ArrayLike, holding_cost: ArrayLike, purchase_cost: ArrayLike = 0.0
) -> Schedule:
    """Return the cheapest schedule that never runs short (Wagner and Whitin 1958, doi:10.1287/mnsc.5.1.89; §3.7).

    An order covers whole periods t..s−1: θ_t = min over s of K_t + Σ_{i=t}^{s−1} d_i (c_t + h_t + … + h_{i−1}) + θ_s.
    Of equal schedules, that with the longer first cover is taken.

    Args:
        demand: `(n_periods,)` [units], at least 0; an order arrives in time for its own period.
        order_cost: Fixed cost of one order [money], one figure or one a period.
        holding_cost: Of one unit from a period to the next [money], one figure or one a period.
        purchase_cost: Of one unit [money], one figure or one a period.
    """
    needed = np.asarray(demand, dtype=np.float64)
    if needed.ndim != 1 or not needed.size or (needed < 0).any():
        raise ValueError(f"Expected one demand of at least 0 a period. Received {demand!r}. Correct the demand.")
    fixed, holding, price = (
        np.broadcast_to(np.asarray(cost, dtype=np.float64), needed.shape)
        for cost in (order_cost, holding_cost, purchase_cost)
    )
    least, cover = np.zeros(len(needed) + 1), np.zeros(len(needed), dtype=np.intp)
    for start in reversed(range(len(needed))):
        held = np.concatenate([[0.0], np.cumsum(holding[start:-1])])
        served = np.cumsum(needed[start:] * (price[start] + held))
        skipped = least[start + 1] if needed[start] == 0 else np.inf
        costs = np.concatenate([[skipped], fixed[start] + served + least[start + 1 :]])
        least[start] = costs.min()
        cover[start] = np.flatnonzero(np.isclose(costs, least[start], rtol=1e-12, atol=0.0))[-1]
    return Schedule(quantities=_ordered(needed, cover), cost=float(least[0]))


def _ordered(needed: NDArray[np.float64], cover: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return what is ordered in each period, where `cover` says how many periods an order in it serves."""
    quantities, period = np.zeros_like(needed), 0
    while period < len(needed):
        quantities[period] = needed[period : period + cover[period]].sum()
        period += max(1, int(cover[period]))
    return quantities


def _check_positive(**figures: float) -> None:
    for name, value in figures.items():
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f"Expected {name} above 0. Received {value}. Check the figure and its unit.")
