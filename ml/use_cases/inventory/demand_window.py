"""Cuts a demand table into examples: what was known at an origin, and what was asked for after it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

    from ml.use_cases.inventory.demand_table import DemandTable
    from ml.use_cases.inventory.forecast_params import WindowParams


PLANS = ("display", "mailer", "front_page")
"""Kinds of promotion: for each, the share of stores that plan it."""


class Examples(Protocol):
    """Named columns of equal length: a frame in the pipeline, `Rows` in the server, which runs without pandas."""

    def __getitem__(self, name: str, /) -> Any:
        """Return a column."""
        ...

    def __len__(self) -> int:
        """Return the number of rows."""
        ...


class Rows:
    """Columns by name, without pandas."""

    def __init__(self, columns: Mapping[str, Any]) -> None:
        self._columns = columns

    def __getitem__(self, name: str) -> Any:
        """Return a column."""
        return self._columns[name]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(next(iter(self._columns.values())))


def windows(table: DemandTable, params: WindowParams, origins: Iterable[int]) -> pd.DataFrame:
    """Return one row a series and origin, ordered by origin, then series.

    Columns: `unit`; `time`, the first day of the first period ahead; a column a level of the hierarchy; `history`,
    the demand of the periods before, oldest first, not-a-number where nothing is known; a like column a driver and a
    plan; `<plan>_ahead`, what is planned for the periods ahead; `targets` `(horizon,)`, not-a-number where unknown.
    Demand and drivers at or after the origin enter nothing but `targets`.

    Args:
        table: Demand.
        params: Lengths.
        origins: Numbers of the first period ahead of each example.
    """
    import pandas as pd

    return pd.concat([_at(table, params, origin) for origin in origins], ignore_index=True)


def stacked(examples: Examples, column: str) -> NDArray[np.float64]:
    """Return a column of equally long lists as `(n_rows, length)`."""
    return np.stack(list(examples[column])).astype(np.float64)


def _at(table: DemandTable, params: WindowParams, origin: int) -> pd.DataFrame:
    import pandas as pd

    table = table.rows(_is_active(table, params, origin))
    past = {"history": table.demand} | dict(table.drivers) | dict(table.plans)
    ahead = {"targets": table.demand} | {f"{name}_ahead": values for name, values in table.plans.items()}
    lists = {name: _cut(values, origin - params.history, origin) for name, values in past.items()}
    lists |= {name: _cut(values, origin, origin + params.horizon) for name, values in ahead.items()}
    columns = {"unit": table.units, "time": np.full(len(table.units), _start(table.periods, origin))}
    return pd.DataFrame(columns | dict(table.groups) | {name: list(values) for name, values in lists.items()})


def _is_active(table: DemandTable, params: WindowParams, origin: int) -> NDArray[np.bool_]:
    recent = table.demand[:, max(origin - params.active_periods, 0) : origin]
    is_active: NDArray[np.bool_] = (recent > 0).sum(axis=1) >= params.min_sales
    return is_active


def _start(periods: pd.DatetimeIndex, number: int) -> pd.Timestamp:
    """Return the first day of a period; beyond the last, periods go on as long as the last was."""
    beyond = max(number - len(periods) + 1, 0)
    return periods[min(number, len(periods) - 1)] + beyond * (periods[-1] - periods[-2])


def _cut(values: NDArray[np.float64], start: int, end: int) -> NDArray[np.float64]:
    """Return columns from start to before end; those that do not exist are not-a-number."""
    before, after = max(-start, 0), max(end - values.shape[1], 0)
    inside = values[:, max(start, 0) : end]
    return np.pad(inside, ((0, 0), (before, after)), constant_values=np.nan)
