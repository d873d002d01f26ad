"""Tries to find out whose a golden request is: compares what it tells with what each customer, card, series or row did."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any

import pandas as pd

from ml.files import read_table
from ml.pipeline.context import StageContext
from ml.use_cases.rating.table import INPUTS

Facts = set[Hashable]


def told(use_case: str, request: dict[str, Any]) -> Facts:
    """Return what a request tells that could be somebody's."""
    if use_case == "recommend":
        return {(one["product_id"], pd.Timestamp(one["purchased_at"])) for one in request.get("history", ())}
    if use_case == "fraud":
        return {(second, cents) for second, cents, _ in request["card"]["payments"]}
    if use_case == "inventory":
        return {tuple(one["history"]) for one in request["known"]}
    if use_case == "rating":
        return {tuple(float(request[name]) for name in INPUTS)}
    return {request["message"]}


def known(use_case: str, context: StageContext) -> dict[Hashable, Facts]:
    """Return what each customer, card, series or row did, by anonymised tables and the test examples."""
    read = {
        "recommend": _purchases,
        "fraud": _payments,
        "inventory": _series,
        "rating": _ratings,
        "service": _utterances,
    }
    return {unit: set(facts) for unit, facts in read[use_case](context)}


def _table(context: StageContext, name: str) -> pd.DataFrame:
    return read_table(context.data("anonymise") / "tables" / name)


def _purchases(context: StageContext) -> Iterator[tuple[Hashable, Any]]:
    for unit, rows in _table(context, "purchases").groupby("customer_id"):
        yield unit, zip(rows["product_id"], rows["purchased_at"], strict=True)


def _payments(context: StageContext) -> Iterator[tuple[Hashable, Any]]:
    for unit, rows in _table(context, "payments").groupby("customer_id"):
        seconds = rows["paid_at"].astype("datetime64[s]").astype("int64")
        cents = ((rows["amount"] + rows["coupon_amount"]) * 100).round().astype("int64")
        yield unit, zip(seconds, cents, strict=True)


def _series(context: StageContext) -> Iterator[tuple[Hashable, Any]]:
    examples = pd.read_parquet(context.data("features") / "test.parquet")
    for at, history in enumerate(examples["history"]):
        yield at, [tuple(None if pd.isna(one) else int(one) for one in history)]


def _ratings(context: StageContext) -> Iterator[tuple[Hashable, Any]]:
    rows = _table(context, "ratings")[list(INPUTS)].astype("float64")
    yield from ((at, [tuple(row)]) for at, row in enumerate(rows.itertuples(index=False)))


def _utterances(context: StageContext) -> Iterator[tuple[Hashable, Any]]:
    yield from ((at, [text]) for at, text in enumerate(_table(context, "utterances")["text"]))


def owners(use_case: str, request: dict[str, Any], everybody: dict[Hashable, Facts]) -> list[Hashable]:
    """Return who could have sent a request: those who did at least half of what it tells."""
    facts = told(use_case, request)
    return [unit for unit, own in everybody.items() if facts and 2 * len(facts & own) >= len(facts)]
