"""Turns the shop's tables into examples: what was known of a series at the start of a week, and what was asked for then.

`test` = every one of the newest weeks, for the series that are forecast at the first of them; `valid` = the weeks before;
`train` = weeks before those, `train_stride` apart. Targets end where the next split begins.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml.contract import Expressions, Features, JsonObject
from ml.use_cases.inventory.demand_class import demand_class
from ml.use_cases.inventory.demand_window import stacked, windows
from ml.use_cases.inventory.forecast_params import FeatureParams
from ml.use_cases.inventory.forecast_state import fit_state
from ml.use_cases.inventory.known import TERMS, described, histories
from ml.use_cases.inventory.params import InventoryFeatures
from ml.use_cases.inventory.supply import PRICES, supplied
from ml.use_cases.inventory.weekly import LEVELS, Weekly, weekly

if TYPE_CHECKING:
    from pydantic import BaseModel

STATE_SCHEMA = "tradewind/inventory-state/1"
YEARS_FOR_A_SEASON = 2
WEEKS_A_YEAR = 52


def build(tables: Expressions, params: BaseModel) -> Features:
    """Return examples, fitted state, profile, and what is known of each series now.

    Raises:
        ValueError: There are too few weeks, or no series sells often enough.
    """
    wanted = cast(InventoryFeatures, params)
    sold = weekly(tables, wanted)
    facts = supplied(sold, tables, wanted)
    n_weeks = len(sold.table.periods)
    test = n_weeks - wanted.test_weeks
    valid = test - wanted.valid_weeks
    first = max(wanted.window.active_periods, 1)
    if valid <= first:
        raise ValueError(f"Expected more than {first + n_weeks - valid} whole weeks of purchases. Received {n_weeks}.")
    # Every split's targets end before the next one's weeks: what lies there was not known when it was learned from.
    shop = _Shop(sold=sold, facts=facts, params=wanted)
    train = _examples(shop, valid, range(valid - 1, first - 1, -wanted.train_stride))
    held_out = _examples(shop, test, range(valid, test), fixed=valid)
    tested = _examples(shop, n_weeks, range(test, n_weeks), fixed=test)
    if train.empty or tested.empty:
        raise ValueError("Expected series that sell often enough to forecast. Received none. Lower window.min_sales.")
    return Features(
        splits={"train": train, "valid": held_out, "test": tested},
        state=_state(sold, wanted, valid),
        profile={"reference": pd.DataFrame(described(train))},
        histories=histories(sold, facts, wanted, _chosen(sold, wanted, n_weeks)),
    )


@dataclass(frozen=True, kw_only=True)
class _Shop:
    """What examples are cut from."""

    sold: Weekly
    facts: pd.DataFrame
    params: InventoryFeatures


def _examples(shop: _Shop, known: int, origins: Iterable[int], fixed: int | None = None) -> pd.DataFrame:
    """Return one row a series and origin, ordered by origin, then series.

    Args:
        shop: Demand and facts.
        known: Week from which on nothing is known.
        origins: First weeks ahead.
        fixed: Origin at which the series are chosen; none chooses at each.
    """
    params, table = shop.params, shop.sold.table.before(known)
    plain = params.window.model_copy(update={"active_periods": 0, "min_sales": 0})
    parts = []
    for origin in sorted(origins):
        chosen = _chosen(shop.sold, params, origin if fixed is None else fixed)
        rows = windows(table.rows(chosen), plain, [origin])
        own = shop.facts[chosen].reset_index(drop=True)
        parts.append(rows.assign(**{name: own[name].to_numpy() for name in ("product_id", "name", *TERMS, *PRICES)}))
    found = pd.concat(parts, ignore_index=True)
    found["demand_class"] = demand_class(stacked(found, "history"))
    found["demand_class"] = found.groupby("unit")["demand_class"].transform("first")  # one class a series and split
    return found


def _chosen(sold: Weekly, params: InventoryFeatures, origin: int) -> NDArray[np.bool_]:
    """Tell which series are forecast at an origin, by what precedes it alone: they sell, and are worth most."""
    recent = slice(max(origin - params.window.active_periods, 0), origin)
    sells = (sold.table.demand[:, recent] > 0).sum(axis=1) >= max(params.window.min_sales, 1)
    worth = np.where(sells, sold.turnover[:, recent].sum(axis=1), -1.0)
    best = np.argsort(-worth, kind="stable")[: params.max_series]
    chosen = np.zeros(len(worth), dtype=np.bool_)
    chosen[best] = sells[best]
    return chosen


def _state(sold: Weekly, params: InventoryFeatures, valid: int) -> JsonObject:
    """Return what encoding and answering need: fitted on what precedes validation."""
    is_learnable = valid >= YEARS_FOR_A_SEASON * WEEKS_A_YEAR
    inputs: FeatureParams = params.inputs.model_copy(update={"calendar": params.inputs.calendar and is_learnable})
    chosen = _chosen(sold, params, valid)
    fitted = fit_state(sold.table.before(valid).rows(chosen), params.window, inputs)
    return {
        **fitted,
        "schema": STATE_SCHEMA,
        "levels": list(LEVELS),
        "stock": params.stock.model_dump(mode="json"),
        "season": params.season,
        "first_test": str(sold.table.periods[-params.test_weeks].date()),
    }
