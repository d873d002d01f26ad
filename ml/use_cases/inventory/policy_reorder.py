"""Fixed lots under continuous review, (r, Q): when stock on hand and on order falls to r, order Q.

Long-run cost of backorders charged by time: C(r, Q) = (Kλ + ∫_r^{r+Q} g(y) dy) / Q, where g(y) is the newsvendor's cost
against demand during the lead time (Zheng 1992, doi:10.1287/mnsc.38.1.87; a sum over r+1..r+Q for whole units).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ml.use_cases.inventory.policy_lot import economic_order
from ml.use_cases.inventory.policy_newsvendor import CountDistribution, Price, expected_costs, newsvendor_count


@dataclass(frozen=True, kw_only=True)
class ReorderPoint:
    """When to order, and how much."""

    point: float
    """Stock on hand and on order, less backorders, at which an order is due, r [units]."""
    quantity: float
    cost: float
    """Ordering, holding and shortage [money a unit of time]."""


@dataclass(frozen=True, kw_only=True)
class NormalDemand:
    """Demand at a rate, normal and independent between moments."""

    rate: float
    """Mean in a unit of time, λ [units]."""
    sd: float
    """Standard deviation in a unit of time [units]."""
    lead_time: float
    """[units of time]"""

    @property
    def lead_mean(self) -> float:
        """Mean of demand during the lead time."""
        return self.rate * self.lead_time

    @property
    def lead_sd(self) -> float:
        """Standard deviation of demand during the lead time."""
        return self.sd * math.sqrt(self.lead_time)


def lots_of_counts(
    during_lead_time: CountDistribution, price: Price, *, rate: float, order_cost: float
) -> ReorderPoint:
    """Return the best (r, Q) in whole units (Federgruen and Zheng 1992, doi:10.1287/opre.40.4.808).

    From the best single level the window r+1..r+Q grows to the cheaper side for as long as the added level costs less
    than the average so far: g is convex, so what comes later costs more.

    Args:
        during_lead_time: Demand during the lead time (Poisson for Poisson demand).
        price: Holding and shortage of one unit for one unit of time.
        rate: Demand λ [units a unit of time].
        order_cost: Fixed cost K of one order [money].
    """

    def cost_of(level: int) -> float:
        return float(expected_costs(during_lead_time, [level], price)[0])

    best = int(newsvendor_count(during_lead_time, price).units)
    low, high = best - 1, best + 1  # the levels next to the window
    total, quantity = order_cost * rate + cost_of(best), 1
    below, above = cost_of(low), cost_of(high)
    while min(below, above) < total / quantity:
        total, quantity = total + min(below, above), quantity + 1
        if below <= above:
            low, below = low - 1, cost_of(low - 1)
        else:
            high, above = high + 1, cost_of(high + 1)
    return ReorderPoint(point=low, quantity=quantity, cost=total / quantity)


def lots_of_normal(demand: NormalDemand, price: Price, *, order_cost: float) -> ReorderPoint:
    """Return the best (r, Q) for normal demand: g(r) = g(r + Q) = C(r, Q) (Zheng 1992).

    Solved for the cost c at which the area between c and g is the ordering cost Kλ, in units of the standard deviation.
    g is convex with slopes −p to h, so the area is at least that of a triangle: c is at most √(2Kλhp/(h+p)) above min g.

    Args:
        demand: Rate, spread and lead time, both above 0.
        price: Holding and shortage of one unit for one unit of time.
        order_cost: Fixed cost K of one order [money], above 0.
    """
    from scipy import optimize, stats

    ordering = order_cost * demand.rate / demand.lead_sd**2
    best = float(stats.norm.ppf(price.ratio))
    least = _standard_cost(best, price)

    def area_missing(cost: float) -> float:
        low, high = _ends(cost, best, price)
        return cost * (high - low) - _standard_area(low, high, price) - ordering

    triangle = math.sqrt(2 * ordering * price.holding * price.ratio)
    cost = float(optimize.brentq(area_missing, least, least + 1.01 * triangle, xtol=1e-13))
    low, high = _ends(cost, best, price)
    return ReorderPoint(
        point=demand.lead_mean + low * demand.lead_sd,
        quantity=(high - low) * demand.lead_sd,
        cost=cost * demand.lead_sd,
    )


def lots_by_expected_inventory(demand: NormalDemand, price: Price, *, order_cost: float) -> ReorderPoint:
    """Return (r, Q) of the expected-inventory-level approximation (Hadley and Whitin 1963; Snyder and Shen 2019, ch. 5).

    C(r, Q) = h (r − λL + Q/2) + Kλ/Q + pλ n(r)/Q with n(r) = E[(D − r)⁺]; its minimum has Q = √(2λ(K + p n(r))/h) and
    F(r) = 1 − Qh/(pλ). Backorders are charged by the unit, not by time, and held stock ignores them.

    Args:
        demand: Rate, spread and lead time.
        price: Holding of one unit for one unit of time; shortage of one unit, however long it waits.
        order_cost: Fixed cost K of one order [money].

    Raises:
        ValueError: Shortage is so cheap that the approximation has no solution.
    """
    from scipy import optimize, stats

    def z_of(quantity: float) -> float:
        return float(stats.norm.isf(quantity * price.holding / (price.shortage * demand.rate)))

    def short(quantity: float) -> float:
        return float(_standard_loss(z_of(quantity))) * demand.lead_sd

    def improved(quantity: float) -> float:
        return math.sqrt(2 * demand.rate * (order_cost + price.shortage * short(quantity)) / price.holding)

    start = economic_order(rate=demand.rate, order_cost=order_cost, holding_cost=price.holding).quantity
    try:
        quantity = float(optimize.fixed_point(improved, start, xtol=1e-12, maxiter=5000, method="iteration"))
    except RuntimeError as diverged:
        raise ValueError(
            f"Expected a shortage cost at which stock-outs are rare. Received {price}. Use `lots_of_normal`."
        ) from diverged
    point = demand.lead_mean + z_of(quantity) * demand.lead_sd
    held = price.holding * (point - demand.lead_mean + quantity / 2)
    cost = held + demand.rate * (order_cost + price.shortage * short(quantity)) / quantity
    return ReorderPoint(point=point, quantity=quantity, cost=cost)


def _ends(cost: float, best: float, price: Price) -> tuple[float, float]:
    """Return where the standardised g equals a cost, below and above its minimum; g(z) is at least −pz and hz."""
    from scipy import optimize

    if cost <= _standard_cost(best, price):
        return best, best

    def over(z: float) -> float:
        return _standard_cost(z, price) - cost

    low = optimize.brentq(over, -cost / price.shortage - 1, best, xtol=1e-13)
    high = optimize.brentq(over, best, cost / price.holding + 1, xtol=1e-13)
    return float(low), float(high)


def _standard_cost(z: float, price: Price) -> float:
    """Return g for a demand of mean 0 and deviation 1: hz + (h + p) n(z)."""
    return price.holding * z + (price.holding + price.shortage) * _standard_loss(z)


def _standard_area(low: float, high: float, price: Price) -> float:
    """Return ∫ g from low to high, by ∫_z^∞ n(u) du = ((z² + 1)(1 − Φ(z)) − zφ(z)) / 2 (the second-order loss; Zipkin 2000)."""
    short = _standard_second_loss(low) - _standard_second_loss(high)
    return price.holding * (high**2 - low**2) / 2 + (price.holding + price.shortage) * short


def _standard_loss(z: float) -> float:
    """Return n(z) = E[(Z − z)⁺] = φ(z) − z(1 − Φ(z))."""
    from scipy import stats

    return float(stats.norm.pdf(z) - z * stats.norm.sf(z))


def _standard_second_loss(z: float) -> float:
    from scipy import stats

    return float(((z**2 + 1) * stats.norm.sf(z) - z * stats.norm.pdf(z)) / 2)
