"""What is known of a series now, as the JSON that the server keeps, and back as the columns that encoding reads."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ml.contract import JsonObject
from ml.files import canonical
from ml.serving.subject import unit_of
from ml.use_cases.inventory.demand_window import PLANS, Examples, Rows, stacked, windows

if TYPE_CHECKING:
    import pandas as pd

    from ml.use_cases.inventory.params import InventoryFeatures
    from ml.use_cases.inventory.weekly import Weekly

FIELD = "series"
"""The request's field that names series."""
NAMES = ("product_id", "store_group", "name", "department", "category")
TERMS = ("lead_time", "pack_size", "minimum_order", "unit_cost", "service_level")
STOCK = ("on_hand", "on_order", "backorders")
RECENT = 8  # weeks that are described
DIGITS = 6


def histories(sold: Weekly, facts: pd.DataFrame, params: InventoryFeatures, chosen: NDArray[np.bool_]) -> pd.DataFrame:
    """Return columns unit and history (JSON): each chosen series with the newest weeks, plans, terms and stock."""
    import pandas as pd

    plain = params.window.model_copy(update={"active_periods": 0, "min_sales": 0})
    rows = windows(sold.table.rows(chosen), plain, [len(sold.table.periods)]).drop(columns="targets")
    own = facts[chosen].reset_index(drop=True)
    full = rows.assign(**{name: own[name].to_numpy() for name in (*NAMES, *TERMS, *STOCK)})
    records = (known_of(record) for record in full.to_dict("records"))
    written = [
        (unit_of(FIELD, unit), canonical(known).decode()) for unit, known in zip(own["unit"], records, strict=True)
    ]
    return pd.DataFrame(written, columns=["unit", "history"], dtype="str")


def known_of(record: Mapping[Any, Any]) -> JsonObject:
    """Return one row of examples as plain JSON; what is not known is null."""
    skipped = ("unit", "targets", "demand_class", "holding", "order_cost", "review_weeks")
    return {str(name): _plain(value) for name, value in record.items() if name not in skipped}


def rows_of(known: Sequence[JsonObject]) -> Rows:
    """Return the columns of several series, in their order."""
    names = known[0].keys()
    return Rows({name: [_column(one[name]) for one in known] for name in names})


def described(examples: Examples) -> dict[str, NDArray[np.float64]]:
    """Return what drift is looked for in, `(n_rows,)` each: pieces a week lately, share of weeks without a sale, price of
    a piece against its mean, share of stores that promote it in the first week ahead.
    """
    recent = np.nan_to_num(stacked(examples, "history")[:, -RECENT:])
    price = stacked(examples, "price")
    known = np.isfinite(price)
    mean = np.nan_to_num(price).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    newest = np.where(known[:, -1], np.nan_to_num(price[:, -1]), mean)
    plans = [stacked(examples, f"{name}_ahead")[:, 0] for name in PLANS]
    return {
        "recent_demand": np.round(recent.mean(axis=1), DIGITS),
        "empty_weeks": np.round((recent == 0).mean(axis=1), DIGITS),
        "price_change": np.round(np.expm1(newest - mean), DIGITS),
        "promoted": np.round(np.nan_to_num(np.max(plans, axis=0)), DIGITS),
    }


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | list):
        return [_number(float(one)) for one in value]
    if isinstance(value, float | np.floating):
        return _number(float(value))
    return value.date().isoformat() if hasattr(value, "date") else value


def _number(value: float) -> float | int | None:
    if not math.isfinite(value):
        return None
    return int(value) if value == int(value) else round(value, DIGITS)


def _column(value: Any) -> Any:
    return [math.nan if one is None else one for one in value] if isinstance(value, list) else value
