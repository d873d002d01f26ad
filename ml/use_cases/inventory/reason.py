"""Says in a sentence a buyer understands why a line is ordered, or is not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import Any


def reasons(facts: Mapping[str, Iterable[Any]], period: str) -> list[str]:
    """Return one sentence a line.

    Args:
        facts: The columns of a proposal, with `on_hand`, `on_order`, `backorders`, `pack_size`, `service_level`,
            `least_packs`, `covered` (periods that the position lasts for, by expected demand) and `horizon`.
        period: Name of a period, in the singular.
    """
    rows = (SimpleNamespace(**dict(zip(facts, values, strict=True))) for values in zip(*facts.values(), strict=True))
    return ["; ".join([_stock(row, period), _demand(row, period), _order(row)]) for row in rows]


def _stock(row: Any, period: str) -> str:
    stock = f"stock {number(row.on_hand)}"
    extra = [f"{number(row.on_order)} on order"] if row.on_order else []
    extra += [f"{number(row.backorders)} owed"] if row.backorders else []
    stock += f" with {' and '.join(extra)}" if extra else ""
    if row.covered == row.horizon:
        return f"{stock} covers all {_counted(row.horizon, period)} of the forecast"
    return f"{stock} covers {_counted(row.covered, period) if row.covered else f'less than a {period}'}"


def _demand(row: Any, period: str) -> str:
    ahead = _counted(row.protected_periods, period) if row.protected_periods > 1 else period
    service = f"{100 * row.service_level:.4g} %"
    return f"demand in the next {ahead} is {number(row.expected_demand)} ({service}: {number(row.reorder_point)})"


def _order(row: Any) -> str:
    if row.wanted_packs == 0:
        return f"nothing ordered{_why_nothing(row)}"
    said = f"ordered {_packs(row.packs, row)}" if row.packs else "nothing ordered"
    if row.packs < row.wanted_packs:
        return f"{said}: of {_packs(row.wanted_packs, row)} the rest does not fit the shared budget or room"
    return f"{said}, the supplier's minimum" if row.packs == row.least_packs > 1 else said


def _why_nothing(row: Any) -> str:
    if row.position >= row.reorder_point:
        return ""
    smallest = _packs(row.least_packs, row)
    return f": the smallest order, {smallest}, would cost more to hold than it saves"


def _packs(packs: int, row: Any) -> str:
    return f"{_counted(packs, 'pack')} of {number(row.pack_size)}"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def number(value: float) -> str:
    """Return a quantity as people read it: whole from 10 on, else with a decimal where it has one."""
    return f"{value:,.0f}" if abs(value) >= 10 else f"{round(value, 1):g}"
