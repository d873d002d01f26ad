"""What a simulated movement of stock cost, and how well it served."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ml.use_cases.inventory.simulate import Movement, PerLine

NOTHING = 1e-9  # units; what sums of fractions leave over


@dataclass(frozen=True, kw_only=True)
class Charges:
    """What stock costs; [money]."""

    holding: PerLine
    """A unit on hand at the end of a period."""
    shortage: PerLine
    """A unit owed at the end of a period; where demand is lost, a unit lost."""
    order: PerLine = 0.0
    """An order, whatever its size."""


def figures(movement: Movement, charges: Charges, *, skip: int = 0) -> pd.DataFrame:
    """Return one row a line.

    Columns: `holding_cost`, `shortage_cost`, `order_cost`, `cost` [money over the counted periods]; `demand`, `filled`
    [units]; `orders`; `on_hand` [units, mean]; `fill_rate`, the share of demand served at once (type 2, β);
    `cycle_service`, the share of review cycles without a short unit (type 1, α). A line without demand has no fill rate.

    Args:
        movement: What happened.
        charges: What it costs.
        skip: First periods that do not count, while stock still depends on the start; whole review cycles.
    """
    counted = slice(skip, None)
    if not 0 <= skip < movement.demand.shape[1] or skip % movement.review_every:
        raise ValueError(
            f"Expected whole review cycles of {movement.review_every} to skip, fewer than {movement.demand.shape[1]} "
            f"periods. Received {skip}. Change skip."
        )
    short = movement.short[:, counted]
    charged = short if movement.is_lost else movement.owed[:, counted]
    orders = (movement.ordered[:, counted] > 0).sum(axis=1)
    cycles = np.add.reduceat(short, np.arange(0, short.shape[1], movement.review_every), axis=1)
    rows = pd.DataFrame(
        {
            "holding_cost": charges.holding * movement.on_hand[:, counted].sum(axis=1),
            "shortage_cost": charges.shortage * charged.sum(axis=1),
            "order_cost": charges.order * orders,
            "demand": movement.demand[:, counted].sum(axis=1),
            "filled": movement.filled[:, counted].sum(axis=1),
            "orders": orders,
            "on_hand": movement.on_hand[:, counted].mean(axis=1),
            "cycle_service": (cycles <= NOTHING).mean(axis=1),
        }
    )
    rows["cost"] = rows["holding_cost"] + rows["shortage_cost"] + rows["order_cost"]
    rows["fill_rate"] = rows["filled"].div(rows["demand"].where(rows["demand"] > 0))
    return rows


def pooled(lines: pd.DataFrame) -> dict[str, float]:
    """Return the figures of all lines together: costs and units are summed, the fill rate is that of all demand."""
    names = ["holding_cost", "shortage_cost", "order_cost", "cost", "demand", "filled", "orders", "on_hand"]
    sums = {name: float(lines[name].sum()) for name in names}
    return {
        **sums,
        "fill_rate": sums["filled"] / sums["demand"] if sums["demand"] else float("nan"),
        "cycle_service": float(lines["cycle_service"].mean()),
    }
