"""One order against uncertain demand, and base-stock levels, which are the same sum over lead time plus review period.

Expected cost of level S: g(S) = h E[(S − D)⁺] + p E[(D − S)⁺], least where F(S) = p / (p + h), the critical ratio
(Arrow, Harris and Marschak 1951; Snyder and Shen 2019, §4.3, doi:10.1002/9781119584445).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray


class Distribution(Protocol):
    """What is needed of demand: a frozen distribution of `scipy.stats` has it."""

    def cdf(self, x: ArrayLike) -> NDArray[np.float64]:
        """Return P(D ≤ x)."""
        ...

    def ppf(self, q: ArrayLike) -> NDArray[np.float64]:
        """Return the smallest x with P(D ≤ x) ≥ q."""
        ...

    def mean(self) -> float:
        """Return E[D]."""
        ...


class CountDistribution(Distribution, Protocol):
    """Demand in whole units."""

    def pmf(self, x: ArrayLike) -> NDArray[np.float64]:
        """Return P(D = x)."""
        ...


@dataclass(frozen=True, kw_only=True)
class Price:
    """What one unit too many and one unit too few cost."""

    holding: float
    """One unit left over at the end of a period, h [money], above 0."""
    shortage: float
    """One unit short at the end of a period, p [money], above 0."""

    def __post_init__(self) -> None:
        if not (self.holding > 0 and self.shortage > 0):
            raise ValueError(f"Expected holding and shortage cost above 0. Received {self}. Check both figures.")

    @property
    def ratio(self) -> float:
        """The critical ratio p / (p + h): the share of periods without shortage that is worth its stock."""
        return self.shortage / (self.shortage + self.holding)


@dataclass(frozen=True, kw_only=True)
class Level:
    """How much stock to have, on hand and on order, when demand begins."""

    units: float
    cost: float
    """Expected holding and shortage of one period [money]."""


def newsvendor(demand: Distribution, price: Price) -> Level:
    """Return the best level for continuous demand: S = F⁻¹(p / (p + h)).

    Args:
        demand: A continuous distribution, at least 0 with near certainty [units].
        price: Holding and shortage.
    """
    from scipy import integrate

    level = float(demand.ppf(price.ratio))
    lowest = float(demand.ppf(0.0))
    start = lowest if np.isfinite(lowest) else float(demand.ppf(1e-15))
    left, _ = integrate.quad(demand.cdf, start, level, epsabs=1e-11, epsrel=1e-11, limit=200)
    return Level(units=level, cost=_cost(level, left, demand.mean(), price))


def newsvendor_normal(mean: float, sd: float, price: Price) -> Level:
    """Return S = μ + zσ and cost (h + p) φ(z) σ with z = Φ⁻¹(p / (p + h))."""
    from scipy import stats

    z = float(stats.norm.ppf(price.ratio))
    return Level(units=mean + z * sd, cost=(price.holding + price.shortage) * float(stats.norm.pdf(z)) * sd)


def newsvendor_count(demand: CountDistribution, price: Price) -> Level:
    """Return the best level for demand in whole units: the smallest S with F(S) ≥ p / (p + h)."""
    level = int(demand.ppf(price.ratio))
    return Level(units=level, cost=float(expected_costs(demand, [level], price)[0]))


def newsvendor_empirical(values: ArrayLike, price: Price) -> Level:
    """Return the best level for observed or simulated demand, each value as likely as the others.

    Args:
        values: `(n,)` demands [units], any order.
        price: Holding and shortage.
    """
    demand = np.sort(np.asarray(values, dtype=np.float64))
    if demand.ndim != 1 or not demand.size:
        raise ValueError(f"Expected at least one demand. Received shape {demand.shape}. Pass a list of demands.")
    # A ratio such as 0.8 of 5 values is 4 values, though 0.8 * 5 may be 4.000000001.
    at = int(np.ceil(round(price.ratio * len(demand), 9))) - 1
    level = float(demand[max(at, 0)])
    left = np.maximum(level - demand, 0.0).mean()
    return Level(units=level, cost=_cost(level, float(left), float(demand.mean()), price))


def base_stock_normal(mean: float, sd: float, price: Price, *, lead_time: float, review_every: float = 1.0) -> Level:
    """Return the base-stock level of normal demand, independent between periods.

    An order placed now is the last to arrive before lead time plus review period are over: the level has to last for
    both. The cost is that of the last period of them.

    Args:
        mean: Of demand in a period.
        sd: Of demand in a period.
        price: Holding and shortage.
        lead_time: From order to delivery [periods], at least 0.
        review_every: From one order to the next [periods].
    """
    protected = lead_time + review_every
    return newsvendor_normal(mean * protected, sd * float(np.sqrt(protected)), price)


def expected_costs(demand: CountDistribution, levels: ArrayLike, price: Price) -> NDArray[np.float64]:
    """Return g(S) for whole-numbered levels `(n,)`, by E[(S − D)⁺] = Σ_{x<S} F(x) for demand of at least 0."""
    units = np.asarray(levels, dtype=np.int64)
    highest = max(int(units.max()), 0)
    left = np.concatenate([[0.0], np.cumsum(demand.cdf(np.arange(highest)))])[np.maximum(units, 0)]
    return np.asarray(price.holding * left + price.shortage * (left + demand.mean() - units))


def _cost(level: float, left: float, mean: float, price: Price) -> float:
    """Return g(S) from E[(S − D)⁺], as E[(D − S)⁺] = E[D] − S + E[(S − D)⁺]."""
    return price.holding * left + price.shortage * (left + mean - level)
