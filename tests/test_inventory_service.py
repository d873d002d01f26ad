"""Forecasts and proposals over HTTP and as a table: the same model, the shop's terms, a reason for every line."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import ibis
import numpy as np
import pandas as pd
import pytest

from ml.errors import ConfigInvalid, ModelNotFound
from ml.files import sha256
from ml.serving import batch
from ml.serving.listing import newest
from ml.store import Bucket
from ml.use_cases import load
from ml.use_cases.inventory.demand_score import QUANTILES
from ml.use_cases.inventory.examples import build
from ml.use_cases.inventory.params import InventoryFeatures
from tests.served_shop import Shop

INVENTORY = load("inventory")
SERVICE = INVENTORY.service
PARAMS = InventoryFeatures()
SPREAD = 2 * np.array(QUANTILES)  # of the scale: demand between 0 and twice the series' rate, evenly


def evenly(inputs):
    """A model whose forecast anyone can work out: quantiles rise evenly from 0 to twice the series' rate."""
    return np.tile(inputs["scale"] * SPREAD, (1, PARAMS.window.horizon)).astype(np.float32)


def promotions_count(inputs):
    """A model that sees promotions alone: 1 piece, and 10 for each share of stores that displays it."""
    planned = inputs["ahead"][:, :, -3]
    return np.repeat(1 + 10 * planned, len(QUANTILES), axis=1).astype(np.float32)


@pytest.fixture(scope="module")
def built():
    raw = INVENTORY.data.sample(np.random.default_rng(5), 80)
    return build({name: ibis.memtable(rows) for name, rows in raw.items()}, PARAMS)


@pytest.fixture(scope="module")
def known(built):
    rows = zip(built.histories["unit"], built.histories["history"], strict=True)
    return {unit.removeprefix("series="): json.loads(text) for unit, text in rows}


def asked(known, state=None, **request):
    return SERVICE.answer(evenly, state, SERVICE.request.model_validate(request), {"series": known})


def test_a_line_follows_from_the_forecast_and_the_suppliers_terms(built, known):
    """One week's lead time and a review: two weeks, each even on 0 to 2 r. Their sum is triangular on 0 to 4 r: mean 2 r,
    and 95 % of it lies below r (4 − 2 √0.1); the tail above 90 % is taken as exponential, so nearly."""
    name = next(one for one, series in known.items() if series["lead_time"] == 1 and np.mean(series["history"]) > 2)
    series = {**known[name], "on_hand": 1, "on_order": 0, "backorders": 0, "pack_size": 4, "minimum_order": 0}
    (line,) = asked({name: series}, built.state, series=[name]).lines
    rate = line.quantiles["0.5"][0]
    assert line.expected_demand == pytest.approx(2 * rate, rel=0.05)
    assert line.reorder_point == pytest.approx(rate * (4 - 2 * np.sqrt(0.1)), rel=0.05)
    assert line.safety_stock == pytest.approx(line.reorder_point - line.expected_demand, abs=1e-5)
    assert line.order_quantity == 4 * np.ceil((line.reorder_point - 1) / 4)
    assert line.order_value == pytest.approx(line.order_quantity * series["unit_cost"], abs=1e-5)
    assert line.service_after >= 0.95
    assert line.reason.startswith("stock 1 covers less than a week; demand in the next 2 weeks is ")


def test_lines_come_as_asked_and_what_is_unknown_is_said(built, known):
    first, second = list(known)[:2]
    answer = asked(known, built.state, series=[second, "no such/thing", first])
    assert [f"{line.product_id}/{line.store_group}" for line in answer.lines] == [second, first]
    assert answer.unknown == ["no such/thing"]
    assert SERVICE.answer(evenly, built.state, SERVICE.request(series=["x/y"]), None).lines == []


def test_a_newer_count_of_stock_counts(built, known):
    name = next(iter(known))
    plenty = {name: {"on_hand": 10_000}}
    (line,) = asked(known, built.state, series=[name], stock=plenty).lines
    assert line.order_quantity == 0
    assert line.reason.startswith("stock 10,000 covers all 4 weeks of the forecast")


def test_without_stock_there_is_a_forecast_and_no_order(built, known):
    name, series = next(iter(known.items()))
    (line,) = asked({name: {**series, "on_hand": None}}, built.state, series=[name]).lines
    assert (line.order_quantity, line.order_value, line.service_after) == (None, None, None)
    assert line.expected_demand > 0
    assert line.reason == "stock is not known: no order is proposed"


def test_what_a_promotion_adds_is_told_as_a_promotion(built, known):
    """The model counts 1 a week and 10 for the promotion of week 2; the rest of the reasons must add nothing."""
    name, series = next(iter(known.items()))
    promoted = {**series, "lead_time": 1, "display_ahead": [0, 1, 0, 0]}
    request = SERVICE.request(series=[name])
    (told,) = SERVICE.explain(promotions_count, built.state, request, {"series": {name: promoted}})
    assert told.base == pytest.approx(2)
    assert told.score == pytest.approx(12)
    added = {reason.kind: reason.contribution for reason in told.reasons}
    assert added == pytest.approx({"recent demand": 0, "price": 0, "promotions": 10, "calendar": 0}, abs=1e-9)
    assert [one.text for one in told.reasons if one.kind == "promotions"] == [
        "promoted in 100% of the stores in a week ahead"
    ]


def test_what_the_date_adds_is_told_as_the_calendar(built, known):
    name = next(iter(known))

    def of_the_date(inputs):
        """Count the first wave of the month, which is 0 at no date."""
        return np.repeat(5 + inputs["ahead"][:, :, PARAMS.window.horizon], len(QUANTILES), axis=1).astype(np.float32)

    series = {**known[name], "lead_time": 1, "time": "2026-06-29"}
    request = SERVICE.request(series=[name])
    (told,) = SERVICE.explain(of_the_date, built.state, request, {"series": {name: series}})
    wave = np.sin(2 * np.pi * np.array([28, 5]) / 30.44).sum()  # the 29th, and the 6th of July
    assert (told.base, told.score) == (pytest.approx(10), pytest.approx(10 + wave))
    assert {reason.kind: reason.contribution for reason in told.reasons}["calendar"] == pytest.approx(wave)


def test_a_new_product_starts_from_its_category(built, known):
    """Nothing is known of it: its rate is the mean rate of the category's series in training."""
    series = dict(next(iter(known.values())))
    levels = built.state["hierarchy"]["levels"]["category"]
    nothing = dict.fromkeys(("history", "price"), [None] * PARAMS.window.history)
    new = series | nothing | {"product_id": "new", "on_hand": None}
    (line,) = SERVICE.answer(evenly, built.state, SERVICE.request(known=[new]), None).lines
    rate = levels["rates"][levels["names"].index(series["category"])]
    assert line.quantiles["0.5"] == pytest.approx([rate] * 4, rel=1e-5)


def test_the_table_proposes_for_every_series_with_stock_as_the_server_does(built, known):
    name = list(known)[3]
    unknown = {**known, name: {**known[name], "on_hand": None}}
    rows = SERVICE.listing.make(evenly, built.state, {f"series={one}": series for one, series in unknown.items()})
    found = {f"{row['product_id']}/{row['store_group']}": row for row in rows}
    assert list(found) == sorted(set(known) - {name})
    assert set(SERVICE.listing.shown) <= set(rows[0])
    for one, line in zip(list(found)[:20], asked(known, built.state, series=list(found)[:20]).lines, strict=True):
        assert (found[one]["order_quantity"], found[one]["reason"]) == (line.order_quantity, line.reason)


def test_a_budget_holds_for_all_orders_together(built, known):
    histories = {f"series={one}": series for one, series in known.items()}
    wanted = sum(row["order_value"] for row in SERVICE.listing.make(evenly, built.state, histories))
    limited = {**built.state, "stock": {**built.state["stock"], "budget": wanted / 2}}
    rows = SERVICE.listing.make(evenly, limited, histories)
    assert wanted * 0.45 < sum(row["order_value"] for row in rows) <= wanted / 2
    assert any("does not fit the shared budget" in row["reason"] for row in rows)


@pytest.fixture
def shop(object_store, tmp_path, request):
    return Shop(object_store, tmp_path, f"toy-{sha256(request.node.nodeid.encode())[7:15]}")


def bought(predictor, state, histories):
    return [{"unit": unit, "pieces": len(known["bought"])} for unit, known in sorted(histories.items())]


def test_a_listing_is_written_as_parquet_and_csv_and_found_again(shop):
    made = replace(SERVICE.listing, make=bought, shown=("unit", "pieces"), total="pieces")
    record = replace(shop.record, service=replace(shop.record.service, listing=made))
    digest, _ = shop.promote()
    assert newest(shop.settings, shop.name) is None
    with pytest.raises(ModelNotFound, match="histories"):
        batch.batch(shop.settings, record, 1)
    shop.histories(anna=["p1", "p1"], ben=["p2"])
    done = batch.batch(shop.settings, record, 1)
    written = newest(shop.settings, shop.name)
    assert (written.digest, written.as_of[:10], written.rows) == (digest, "2017-12-31", 2)
    assert done.key == written.parquet == f"{shop.name}/batch/2017-12-31-{digest[7:19]}.parquet"
    state = Bucket.open(shop.settings, "state")
    pieces = {shop.unit("anna"): 2, shop.unit("ben"): 1}
    lines = [f'"{unit}",{count}' for unit, count in sorted(pieces.items())]
    assert state.get(written.csv).decode().splitlines() == ['"unit","pieces"', *lines]
    table = pd.read_parquet(io.BytesIO(state.get(written.parquet)))
    assert dict(zip(table["unit"], table["pieces"], strict=True)) == pieces


def test_no_text_of_a_csv_begins_as_a_formula_and_the_parquet_file_keeps_it(shop):
    texts = ("=1+1", "+1", "-2", "@SUM(A1)", "\t=1", "\r=1", "plain", "", "a=b", None)
    made = replace(
        SERVICE.listing,
        make=lambda *_: [{"unit": text, "pieces": -float(place)} for place, text in enumerate(texts)],
        shown=("unit", "pieces"),
        total="pieces",
    )
    record = replace(shop.record, service=replace(shop.record.service, listing=made))
    shop.promote()
    shop.histories(anna=["p1"])
    batch.batch(shop.settings, record, 1)
    state, written = Bucket.open(shop.settings, "state"), newest(shop.settings, shop.record.name)
    table = pd.read_csv(io.BytesIO(state.get(written.csv)), dtype={"unit": str}, keep_default_na=False)
    assert list(table["unit"]) == ["'=1+1", "'+1", "'-2", "'@SUM(A1)", "'\t=1", "'\r=1", "plain", "", "a=b", ""]
    assert list(table["pieces"]) == [-float(place) for place in range(len(texts))], "a negative number is no formula"
    assert pd.read_parquet(io.BytesIO(state.get(written.parquet)))["unit"].tolist()[:9] == list(texts[:9])


def test_a_use_case_without_a_listing_or_lists_is_refused(shop):
    scalar = replace(shop.record, service=replace(shop.record.service, response=SERVICE.request))
    with pytest.raises(ConfigInvalid, match="a listing"):
        batch.batch(shop.settings, scalar, 3)
