"""Purchase-order proposals: what to order now of each product for each group of stores, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml.errors import SourceInvalid
from ml.use_cases.inventory.allocate import Limits, allocate, rank_steps
from ml.use_cases.inventory.order import Need, best_packs, promised_packs
from ml.use_cases.inventory.protection import Dependence, ProtectedDemand, QuantileForecast, protect
from ml.use_cases.inventory.reason import reasons

KEY = ["product_id", "store_group"]
REQUIRED: Mapping[str, str] = {
    "product_id": "what is ordered",
    "store_group": "for whom; with product_id it names a line",
    "on_hand": "stock that can be sold [units], at least 0",
    "on_order": "ordered and not yet arrived [units], at least 0",
    "backorders": "sold and not yet delivered [units], at least 0",
    "lead_time": "from order to arrival [whole periods], at least 0",
    "pack_size": "units of a pack, above 0",
    "minimum_order": "smallest order that the supplier takes [units], at least 0",
    "unit_cost": "purchase price of a unit [money], above 0",
}
AIMS: Mapping[str, str] = {
    "service_level": "promised chance that the interval ends without shortage, above 0 and below 1",
    "cost_ratio": "cost of a unit short over that of a unit left, p / h, above 0",
}
OPTIONAL: Mapping[str, str] = {
    "unit_volume": "room that a unit takes [units of volume], above 0; 1 where it is left out"
}
ABOVE_ZERO = frozenset({"pack_size", "unit_cost", "unit_volume", *AIMS})
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


def propose(lines: pd.DataFrame, forecast: QuantileForecast, terms: Terms) -> pd.DataFrame:
    """Return one row a line with the columns `COLUMNS`, in order of product and store group.

    On its own, a line with a service level a orders the fewest packs that reach it; one with a cost ratio the packs with
    the least expected cost. A unit left costs the holding of a review period, h; a unit short p = h a / (1 − a), or h times
    the cost ratio. Where the budget or the capacity does not hold all packs, those that save the least expected cost for
    their money go without.

    Args:
        lines: The columns `REQUIRED`, one of `AIMS`, and those of `OPTIONAL` that are known; one row a line.
        forecast: Its series are the rows of `lines`, in the same order.
        terms: Review, holding, shared limits.

    Raises:
        SourceInvalid: A column is missing, a value is out of range, or a line occurs twice.
        ValueError: The forecast is too short, or not of these lines.
    """
    checked = _checked(lines)
    if len(checked) != len(forecast.values):
        raise ValueError(f"Expected a forecast of {len(checked)} lines. Received {len(forecast.values)}. Align them.")
    ranked = checked.sort_values(KEY, kind="stable")
    ordered = QuantileForecast(values=forecast.values[ranked.index], levels=forecast.levels)
    rows = ranked.reset_index(drop=True)
    periods = rows["lead_time"].to_numpy(dtype=np.int64) + terms.review_every
    need = _need(rows, protect(ordered, periods, terms.dependence), terms)
    wanted = promised_packs(need) if "service_level" in rows else best_packs(need)
    pack_price, pack_room = (need.pack * rows[name].to_numpy(dtype=float) for name in ("unit_cost", "unit_volume"))
    packs = allocate(rank_steps(need, wanted, pack_price, pack_room), terms.limits, len(rows))
    return _table(rows, need, wanted, packs, terms)


def _need(rows: pd.DataFrame, demand: ProtectedDemand, terms: Terms) -> Need:
    number = {name: rows[name].to_numpy(dtype=np.float64) for name in rows.columns.difference(KEY)}
    holding = number["unit_cost"] * terms.holding_rate * terms.review_every
    return Need(
        position=number["on_hand"] + number["on_order"] - number["backorders"],
        demand=demand,
        holding=holding,
        shortage=holding * _cost_ratio(number),
        pack=number["pack_size"],
        least_packs=np.maximum(np.ceil(np.round(number["minimum_order"] / number["pack_size"], 9)), 1).astype(np.int64),
    )


def _cost_ratio(number: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    if "cost_ratio" in number:
        return number["cost_ratio"]
    return np.asarray(number["service_level"] / (1 - number["service_level"]))


def _table(
    rows: pd.DataFrame, need: Need, wanted: NDArray[np.int64], packs: NDArray[np.int64], terms: Terms
) -> pd.DataFrame:
    quantity = packs * need.pack
    reorder_point = need.demand.quantile(need.ratio)
    after = need.position + quantity
    table = rows[KEY].assign(
        position=need.position,
        protected_periods=rows["lead_time"].astype(np.int64) + terms.review_every,
        service_level=need.ratio,
        expected_demand=need.demand.expected,
        reorder_point=reorder_point,
        safety_stock=reorder_point - need.demand.expected,
        wanted_packs=wanted,
        packs=packs,
        order_quantity=quantity,
        order_value=quantity * rows["unit_cost"],
        order_volume=quantity * rows["unit_volume"],
        expected_saving=need.costs(np.zeros_like(packs)) - need.costs(packs),
        service_after=(need.demand.paths <= after[:, None]).mean(axis=1),
    )
    facts = table.assign(
        **{name: rows[name] for name in ("on_hand", "on_order", "backorders", "pack_size")},
        least_packs=need.least_packs,
        covered=(need.demand.means.cumsum(axis=1) <= need.position[:, None]).sum(axis=1),
        horizon=need.demand.means.shape[1],
    )
    table["reason"] = reasons(facts, terms.period)
    return table[list(COLUMNS)]


def _checked(lines: pd.DataFrame) -> pd.DataFrame:
    """Return the known columns, numbers as floats, rows numbered in the order given."""
    missing = [name for name in REQUIRED if name not in lines.columns]
    aims = [name for name in AIMS if name in lines.columns]
    if missing or len(aims) != 1:
        raise SourceInvalid(
            f"columns {', '.join(REQUIRED)} and one of {', '.join(AIMS)}",
            f"no {', '.join(missing) or 'column too few'}, and {' and '.join(aims) or 'none'} of the latter",
            "Correct the columns of the lines.",
        )
    known = [*REQUIRED, *aims, *(name for name in OPTIONAL if name in lines.columns)]
    rows = lines[known].reset_index(drop=True)
    rows = rows if "unit_volume" in rows else rows.assign(unit_volume=1.0)
    numbers = rows.columns.difference(KEY)
    rows[numbers] = rows[numbers].apply(pd.to_numeric, errors="coerce").astype(np.float64)
    for name in numbers:
        _check_range(rows[name])
    if rows[KEY].isna().to_numpy().any() or rows.duplicated(KEY).any():
        repeated = int(rows.duplicated(KEY).sum())
        raise SourceInvalid("one row a product and store group", f"{repeated} repeated or unnamed", "Merge the rows.")
    return rows


def _check_range(values: pd.Series[float]) -> None:
    name = str(values.name)
    is_allowed = np.isfinite(values) & ((values > 0) if name in ABOVE_ZERO else (values >= 0))
    if name == "service_level":
        is_allowed &= values < 1
    if name == "lead_time":
        is_allowed &= values == values.round()
    if not is_allowed.all():
        first = values[~is_allowed].iloc[0]
        raise SourceInvalid(
            f"{name}: {({**REQUIRED, **AIMS, **OPTIONAL})[name]}",
            f"{int((~is_allowed).sum())} rows out of range or missing, the first {first}",
            "Correct the rows, or leave the lines out.",
            column=name,
        )
