"""Purchase-order proposals: what to order now of each product for each group of stores, and why."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ml.errors import SourceInvalid
from ml.use_cases.inventory.allocate import allocate, rank_steps
from ml.use_cases.inventory.order import best_packs, promised_packs
from ml.use_cases.inventory.order_line import COLUMNS, Terms, need_of, told
from ml.use_cases.inventory.protection import QuantileForecast

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
    columns = {str(name): ranked[name].to_numpy() for name in ranked.columns}
    need = need_of(columns, ordered, terms)
    wanted = promised_packs(need) if "service_level" in columns else best_packs(need)
    pack_price, pack_room = (need.pack * columns[name] for name in ("unit_cost", "unit_volume"))
    packs = allocate(rank_steps(need, wanted, pack_price, pack_room), terms.limits, len(ranked))
    return pd.DataFrame(told(columns, need, wanted, packs, terms))[list(COLUMNS)]


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
