"""Demand as a table: one row a series (a product in a group of stores), one column a period."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml.errors import SourceInvalid

SALES = ("unit", "period", "quantity")


@dataclass(frozen=True, kw_only=True)
class DemandTable:
    """What was asked for, by series and period."""

    units: NDArray[np.object_]
    """`(n_series,)` names of the series."""
    periods: pd.DatetimeIndex
    """`(n_periods,)` the first day of each period, ascending."""
    demand: NDArray[np.float64]
    """`(n_series, n_periods)` [pieces]; not-a-number where nothing is known, as before a product was listed."""
    groups: Mapping[str, NDArray[np.object_]] = field(default_factory=dict)
    """Levels of the hierarchy, finest first: the group of each series `(n_series,)`."""
    drivers: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    """What is seen beside demand (price), each `(n_series, n_periods)`; not-a-number where unknown."""
    plans: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    """What is decided ahead (promotions), 0 for nothing to 1, each `(n_series, n_periods)`; known of later periods too."""

    def before(self, period: int) -> DemandTable:
        """Return the table with demand and drivers as they were known before a period's number; plans stay."""
        known = np.arange(len(self.periods)) < period
        drivers = {name: np.where(known, values, np.nan) for name, values in self.drivers.items()}
        return replace(self, demand=np.where(known, self.demand, np.nan), drivers=drivers)

    def rows(self, chosen: NDArray[np.bool_]) -> DemandTable:
        """Return the table of some series."""
        return replace(
            self,
            units=self.units[chosen],
            demand=self.demand[chosen],
            groups=_of_rows(self.groups, chosen),
            drivers=_of_rows(self.drivers, chosen),
            plans=_of_rows(self.plans, chosen),
        )


def _of_rows(columns: Mapping[str, Any], chosen: NDArray[np.bool_]) -> dict[str, Any]:
    return {name: values[chosen] for name, values in columns.items()}


def pivot(sales: pd.DataFrame, units: NDArray[np.object_], n_periods: int, column: str) -> NDArray[np.float64]:
    """Return sums `(n_series, n_periods)` of a column of sales lines; nothing sold is 0.

    Args:
        sales: Lines with `unit`, `period` (a number from 0) and the column; other units and periods are left out.
        units: Names of the series, in the order of the rows.
        n_periods: Number of columns.
        column: What is added up.

    Raises:
        SourceInvalid: A column is missing.
    """
    missing = sorted({"unit", "period", column} - set(sales.columns))
    if missing:
        raise SourceInvalid(f"sales lines with {', '.join(SALES)}", f"none of {', '.join(missing)}", "Add the columns.")
    rows = pd.Index(units).get_indexer(pd.Index(sales["unit"]))
    columns = sales["period"].to_numpy(np.int64)
    here = (rows >= 0) & (columns >= 0) & (columns < n_periods)
    cells = rows[here] * n_periods + columns[here]
    amounts = sales[column].to_numpy(np.float64)[here]
    sums = np.bincount(cells, weights=amounts, minlength=len(units) * n_periods)
    return sums.astype(np.float64).reshape(len(units), n_periods)


def paid_price(amount: NDArray[np.float64], quantity: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the last price known at each period `(n_series, n_periods)`; not-a-number before the first sale."""
    price = np.divide(amount, quantity, out=np.full_like(amount, np.nan), where=quantity > 0)
    known = np.where(np.isnan(price), -1, np.arange(price.shape[1]))
    last = np.maximum.accumulate(known, axis=1)
    carried = np.take_along_axis(price, np.maximum(last, 0), axis=1)
    return np.where(last >= 0, carried, np.nan)
