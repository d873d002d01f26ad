"""What each line of a proposal needs on its own, and the figures and the reason that it is told with.

Runs on numpy alone: the model server sizes orders without pandas.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ml.use_cases.inventory.allocate import Limits
from ml.use_cases.inventory.order import Need
from ml.use_cases.inventory.protection import Dependence, QuantileForecast, protect
from ml.use_cases.inventory.reason import reasons

Lines: TypeAlias = "Mapping[str, NDArray[Any]]"
"""Columns of equal length: those that `ml.use_cases.inventory.propose` requires."""
COLUMNS: Mapping[str, str] = {
    "product_id": "as asked",
    "store_group": "as asked",
    "position": "stock on hand and on order, less backorders [units]",
    "protected_periods": "lead time plus review period: how long stock after this order has to last",
    "service_level": "as promised; from a cost ratio, p / (p + h), the chance that is worth its stock",
    "expected_demand": "over these periods [units]",
    "reorder_point": "demand that is not exceeded with the service level; stock below it calls for an order [units]",
    "safety_stock": "reorder point less expected demand [units]; below 0 where the service level is lower than the mean's",
    "wanted_packs": "packs that the line would order on its own",
    "packs": "packs to order",
    "order_quantity": "[units]",
    "order_value": "[money]",
    "order_volume": "[units of volume]",
    "expected_saving": "expected holding and shortage that the order saves [money]",
    "service_after": "chance that the interval ends without shortage after the order (0..1)",
    "reason": "why, in a sentence",
}


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What holds for all lines of a proposal."""

    review_every: int
    """Periods until the next chance to order, at least 1."""
    holding_rate: float
    """Cost of holding a unit for a period, as a share of its purchase price, above 0."""
    limits: Limits = field(default_factory=Limits)
    dependence: Dependence = field(default_factory=Dependence)
    period: str = "day"
    """Name of a period, in the singular."""

    def __post_init__(self) -> None:
        if not (self.review_every >= 1 and self.holding_rate > 0):
            raise ValueError(f"Expected review ≥ 1 and holding rate > 0. Received {self}. Correct the terms.")


def need_of(lines: Lines, forecast: QuantileForecast, terms: Terms) -> Need:
    """Return what decides each line's order: position, demand over lead time plus review, costs, packs.

    A unit left costs the holding of a review period, h; a unit short p = h a / (1 − a) for a service level a, or h times
    the cost ratio.
    """
    demand = protect(forecast, lines["lead_time"].astype(np.int64) + terms.review_every, terms.dependence)
    holding = lines["unit_cost"] * terms.holding_rate * terms.review_every
    return Need(
        position=lines["on_hand"] + lines["on_order"] - lines["backorders"],
        demand=demand,
        holding=holding,
        shortage=holding * _cost_ratio(lines),
        pack=lines["pack_size"],
        least_packs=np.maximum(np.ceil(np.round(lines["minimum_order"] / lines["pack_size"], 9)), 1).astype(np.int64),
    )


def _cost_ratio(lines: Lines) -> NDArray[np.float64]:
    if "cost_ratio" in lines:
        return lines["cost_ratio"]
    return np.asarray(lines["service_level"] / (1 - lines["service_level"]))


def told(lines: Lines, need: Need, wanted: NDArray[np.int64], packs: NDArray[np.int64], terms: Terms) -> dict[str, Any]:
    """Return the columns `COLUMNS`, each as long as there are lines.

    Args:
        lines: What is known of each line.
        need: From `need_of`.
        wanted: Packs that each line would order on its own.
        packs: Packs to order.
        terms: What holds for all lines.
    """
    quantity = packs * need.pack
    reorder_point = need.demand.quantile(need.ratio)
    after = need.position + quantity
    found = {
        "product_id": lines["product_id"],
        "store_group": lines["store_group"],
        "position": need.position,
        "protected_periods": lines["lead_time"].astype(np.int64) + terms.review_every,
        "service_level": need.ratio,
        "expected_demand": need.demand.expected,
        "reorder_point": reorder_point,
        "safety_stock": reorder_point - need.demand.expected,
        "wanted_packs": wanted,
        "packs": packs,
        "order_quantity": quantity,
        "order_value": quantity * lines["unit_cost"],
        "order_volume": quantity * lines["unit_volume"],
        "expected_saving": need.costs(np.zeros_like(packs)) - need.costs(packs),
        "service_after": (need.demand.paths <= after[:, None]).mean(axis=1),
    }
    facts = {
        **found,
        **{name: lines[name] for name in ("on_hand", "on_order", "backorders", "pack_size")},
        "least_packs": need.least_packs,
        "covered": (need.demand.means.cumsum(axis=1) <= need.position[:, None]).sum(axis=1),
        "horizon": np.full(len(packs), need.demand.means.shape[1]),
    }
    return found | {"reason": reasons(facts, terms.period)}
