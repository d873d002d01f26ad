"""Order-up-to policies with a fixed order cost under periodic review, (s, S): at s or below, order up to S."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.use_cases.inventory.policy_newsvendor import CountDistribution, Price, expected_costs, newsvendor_count


@dataclass(frozen=True, kw_only=True)
class Band:
    """When to order, and up to where; stock means on hand and on order, less backorders."""

    reorder: float
    """Stock at or below which an order is due, s [units]."""
    up_to: float
    """Stock after the order, S [units]."""
    cost: float = math.nan
    """Ordering, holding and shortage [money a period]; not a number where a policy does not give it."""


class _CycleCosts:
    """Long-run cost c(s, S) of any band: a cycle starts at S and ends when demand has reached S − s.

    m(j) is the expected number of periods that start j units below S: m(j) = [j = 0] + Σ_l P(D = l) m(j − l).
    c(s, S) = (K + Σ_{j<S−s} m(j) g(S − j)) / Σ_{j<S−s} m(j) (Zheng and Federgruen 1991).
    """

    def __init__(
        self, demand: CountDistribution, protected: CountDistribution, price: Price, order_cost: float
    ) -> None:
        self._demand, self._protected, self._price, self._order_cost = demand, protected, price, order_cost
        self._visits = np.empty(0)

    def level(self, stock: int) -> float:
        """Return g(stock), the holding and shortage of a period."""
        return float(expected_costs(self._protected, [stock], self._price)[0])

    def cycle(self, reorder: int, up_to: int) -> float:
        """Return c(s, S)."""
        visits = self._visits_below(up_to - reorder)
        costs = expected_costs(self._protected, up_to - np.arange(len(visits)), self._price)
        return float((self._order_cost + visits @ costs) / visits.sum())

    def _visits_below(self, depth: int) -> NDArray[np.float64]:
        from scipy import signal

        if len(self._visits) < depth:
            size = 2 * depth
            start = signal.unit_impulse(size)
            # Generating functions: M(x) = 1 / (1 − P(x)), which a recursive filter divides out.
            self._visits = signal.lfilter([1.0], start - self._demand.pmf(np.arange(size)), start)
        return self._visits[:depth]


def band_of_counts(
    demand: CountDistribution, price: Price, *, order_cost: float, protected: CountDistribution | None = None
) -> Band:
    """Return the best (s, S) in whole units (Zheng and Federgruen 1991, doi:10.1287/opre.39.4.654).

    Args:
        demand: Of one period, independent between periods; P(D = 0) below 1.
        price: Holding and shortage of one unit at the end of a period.
        order_cost: Fixed cost K of one order [money].
        protected: Demand over the lead time and the period after it; one period's where orders arrive at once.
    """
    costs = _CycleCosts(demand, protected or demand, price, order_cost)
    best = int(newsvendor_count(protected or demand, price).units)
    reorder = best - 1
    while costs.cycle(reorder, best) > costs.level(reorder):
        reorder -= 1
    up_to, least = best, costs.cycle(reorder, best)
    tried = best + 1
    while costs.level(tried) <= least:
        if costs.cycle(reorder, tried) < least:
            up_to = tried
            while costs.cycle(reorder, up_to) <= costs.level(reorder + 1):
                reorder += 1
            least = costs.cycle(reorder, up_to)
        tried += 1
    return Band(reorder=reorder, up_to=up_to, cost=least)


def band_by_power(mean: float, sd: float, price: Price, *, order_cost: float, lead_time: float = 0.0) -> Band:
    """Return the revised power approximation (Ehrhardt 1979, doi:10.1287/mnsc.25.8.777; Ehrhardt and Mosier 1984).

    Q = 1.30 μ^0.494 (K/h)^0.506 (1 + σ_L²/μ²)^0.116, z = √(Qh/(σ_L p)), s = 0.973 μ_L + σ_L (0.183/z + 1.063 − 2.192 z),
    S = s + Q, with μ_L and σ_L over lead time plus one period (Snyder and Shen 2019, §4.4). Left out, as in the
    published answers to their examples: where Q ≤ 1.5 μ, Ehrhardt and Mosier cap both levels at the base-stock level.

    Args:
        mean: Of demand in a period, μ, above 0.
        sd: Of demand in a period, above 0.
        price: Holding and shortage of one unit at the end of a period.
        order_cost: Fixed cost K of one order [money].
        lead_time: From order to delivery [periods].
    """
    long_mean, long_sd = mean * (lead_time + 1), sd * math.sqrt(lead_time + 1)
    lot = 1.30 * mean**0.494 * (order_cost / price.holding) ** 0.506 * (1 + (long_sd / mean) ** 2) ** 0.116
    z = math.sqrt(lot * price.holding / (long_sd * price.shortage))
    reorder = 0.973 * long_mean + long_sd * (0.183 / z + 1.063 - 2.192 * z)
    return Band(reorder=reorder, up_to=reorder + lot)
