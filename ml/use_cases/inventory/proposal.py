"""Proposes what to order of every series whose stock is known, under one budget."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from ml.contract import JsonObject, Predictor
from ml.use_cases.inventory.allocate import Limits
from ml.use_cases.inventory.known import rows_of
from ml.use_cases.inventory.propose import KEY, propose
from ml.use_cases.inventory.protection import QuantileForecast
from ml.use_cases.inventory.service import MAX_SERIES, forecast_of, lines_of, terms_of

FACTS = ("name", "department", "on_hand", "on_order", "lead_time", "pack_size", "unit_cost")
WHOLE = ("position", "order_quantity")  # pieces
LEFT_OUT = ("order_volume",)  # no volume is known
DIGITS = 4


def proposals(predictor: Predictor, state: JsonObject, histories: Mapping[str, JsonObject]) -> list[JsonObject]:
    """Return one row a series, in order of product and store group: `FACTS` and the columns of `order_line.COLUMNS`."""
    known = [one for _, one in sorted(histories.items()) if one["on_hand"] is not None]
    if not known:
        return []
    starts = range(0, len(known), MAX_SERIES)
    parts = [forecast_of(predictor, state, rows_of(known[at : at + MAX_SERIES])) for at in starts]
    forecast = QuantileForecast(values=np.concatenate([part.values for part in parts]), levels=parts[0].levels)
    budget = state["stock"]["budget"]
    terms = replace(terms_of(state), limits=Limits(budget=math.inf if budget is None else budget))
    table = propose(pd.DataFrame(lines_of(known)), forecast, terms)
    facts = pd.DataFrame([{name: one[name] for name in (*KEY, *FACTS)} for one in known])
    return [_rounded(row) for row in facts.merge(table, on=KEY).sort_values(KEY).to_dict("records")]


def _rounded(row: Mapping[Any, Any]) -> JsonObject:
    rounded = {str(name): round(value, DIGITS) if isinstance(value, float) else value for name, value in row.items()}
    pieces = {name: int(rounded[name]) for name in WHOLE}
    return {name: value for name, value in {**rounded, **pieces}.items() if name not in LEFT_OUT}
