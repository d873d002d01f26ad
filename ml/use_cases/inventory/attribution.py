"""Why a forecast is what it is: Shapley values of demand, prices, promotions and the date, by asking the model itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import product
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ml.contract import Explanation, JsonObject, Reason
from ml.use_cases.inventory.demand_window import PLANS, Rows
from ml.use_cases.inventory.hierarchy import expected_rate
from ml.use_cases.inventory.known import RECENT, rows_of
from ml.use_cases.inventory.protection import QuantileForecast, protect
from ml.use_cases.inventory.reason import number

PARTS = ("demand", "price", "promotions", "date")
KINDS = {"demand": "recent demand", "price": "price", "promotions": "promotions", "date": "calendar"}

Forecast: TypeAlias = "Callable[[Rows, NDArray[np.bool_]], QuantileForecast]"
"""(series, which of them have a date) -> quantiles."""


def attribute(forecast: Forecast, state: JsonObject, known: JsonObject, weeks: int) -> Explanation:
    """Return what each part adds to the demand expected over some weeks.

    The base is the model's forecast of a product that sells as its group does, at its usual price, without promotions,
    at no date.
    A part's contribution is its Shapley value: its mean effect over all orders in which the parts can be told
    (Shapley 1953; Lundberg and Lee 2017, arXiv:1705.07874). They add up, but for rounding.

    Args:
        forecast: The model.
        state: Fitted state.
        known: What is known of the series.
        weeks: How far ahead demand is summed.
    """
    choices = list(product((False, True), repeat=len(PARTS)))
    dated = np.array([choice[PARTS.index("date")] for choice in choices])
    neutral = _neutral(known, state)
    variants = [_mixed(known, neutral, choice) for choice in choices]
    expected = protect(forecast(rows_of(variants), dated), weeks).expected
    worth = dict(zip(choices, expected.tolist(), strict=True))
    values = _shapley(worth)
    score, base = worth[choices[-1]], worth[choices[0]]
    texts = _texts(known, neutral)
    reasons = tuple(
        Reason(text=texts[part], contribution=value, kind=KINDS[part])
        for part, value in zip(PARTS, values, strict=True)
    )
    residual = score - base - sum(values)
    subject = f"{known['name'] or known['product_id']} ({known['store_group']})"
    return Explanation(subject=subject, score=score, base=base, reasons=reasons, residual=residual)


def _shapley(worth: dict[tuple[bool, ...], float]) -> list[float]:
    """Return each part's Shapley value from the worth of every set of parts."""
    n = len(next(iter(worth)))
    found = [0.0] * n
    for chosen, value in worth.items():
        for part in range(n):
            if not chosen[part]:
                with_it = (*chosen[:part], True, *chosen[part + 1 :])
                size = sum(chosen)
                weight = math.factorial(size) * math.factorial(n - size - 1) / math.factorial(n)
                found[part] += weight * (worth[with_it] - value)
    return found


def _neutral(known: JsonObject, state: JsonObject) -> dict[str, JsonObject]:
    """Return by part the values that say nothing special."""
    rate = float(expected_rate(rows_of([known]), state["hierarchy"])[0])
    weeks, ahead = len(known["history"]), len(known["display_ahead"])
    usual = _mean(known["price"])
    flat = {name: [0.0] * weeks for name in PLANS} | {f"{name}_ahead": [0.0] * ahead for name in PLANS}
    return {"demand": {"history": [rate] * weeks}, "price": {"price": [usual] * weeks}, "promotions": flat, "date": {}}


def _mixed(known: JsonObject, neutral: dict[str, JsonObject], choice: Sequence[bool]) -> JsonObject:
    mixed = known
    for part, is_there in zip(PARTS, choice, strict=True):
        mixed = mixed if is_there else {**mixed, **neutral[part]}
    return mixed


def _texts(known: JsonObject, neutral: dict[str, JsonObject]) -> dict[str, str]:
    recent = _filled(known["history"])[-RECENT:].mean()
    usual = neutral["demand"]["history"][0]
    newest = next((one for one in reversed(known["price"]) if one is not None), None)
    change = 0.0 if newest is None else math.expm1(newest - neutral["price"]["price"][0])
    promoted = max(_filled(known[f"{name}_ahead"]).max(initial=0.0) for name in PLANS)
    return {
        "demand": f"{number(recent)} sold a week lately, against {number(usual)} of a product of its group",
        "price": f"price {abs(change):.0%} {'below' if change < 0 else 'above'} its usual one",
        "date": f"the weeks from {known['time']}",
        "promotions": f"promoted in {promoted:.0%} of the stores in a week ahead"
        if promoted
        else "no promotion planned",
    }


def _filled(values: Sequence[float | None]) -> NDArray[np.float64]:
    return np.array([one or 0.0 for one in values], dtype=np.float64)


def _mean(values: Sequence[float | None]) -> float | None:
    seen = [one for one in values if one is not None]
    return sum(seen) / len(seen) if seen else None
