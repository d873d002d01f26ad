"""Orders of the assistant's customers: simulated deliveries of the default source, sources joined, histories built."""

import json
from datetime import date

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml.config import Settings
from ml.errors import ConfigInvalid
from ml.shop import DELIVERIES, DELIVERY_STEPS, PRODUCTS, PURCHASES
from ml.sources.conform import typed_frame
from ml.sources.deliveries import deliveries
from ml.sources.opening import open_source
from ml.use_cases.service.orders import histories, known
from ml.use_cases.service.slot import ORDER_NUMBER
from tests.recommend_shop import expressions

LAST = date(2026, 6, 30)


def tables(told=True):
    purchases = pd.DataFrame(
        [
            ("ada", "b1", "77", "2026-06-10 10:00"),
            ("ada", "b1", "78", "2026-06-10 10:00"),
            ("ada", "b2", "77", "2026-06-28 09:00"),
            ("bob", "b3", "79", "2026-06-29 09:00"),
        ],
        columns=["customer_id", "basket_id", "product_id", "purchased_at"],
    ).assign(quantity=1, amount=2.5)
    products = pd.DataFrame({"product_id": ["77", "78", "79"], "name": ["Kettle", "<b>Oat</b>\nMilk", None]})
    rows = [{"basket_id": "b1", "order_number": "A1047-220", "promised_at": "2026-06-14", "delivered_at": "2026-06-13"}]
    frames = zip(
        (PURCHASES, PRODUCTS, DELIVERIES), (purchases, products, pd.DataFrame(rows if told else [])), strict=True
    )
    full = {table.name: frame.reindex(columns=[column.name for column in table.columns]) for table, frame in frames}
    return {table.name: typed_frame(full[table.name], table) for table in (PURCHASES, PRODUCTS, DELIVERIES)}


def test_a_history_holds_each_customers_own_orders_with_what_the_shop_tells():
    found = histories(expressions(tables()))
    told = {row.unit: json.loads(row.history)["orders"] for row in found.itertuples()}
    assert told["ada"][0] == {
        "number": "A1047-220",
        "promised": "2026-06-14",
        "delivered": "2026-06-13",
        "placed": "2026-06-10",
        "products": [["77", "Kettle"], ["78", "b Oat /b Milk"]],
    }
    assert told["ada"][1] == {"number": "b2", "placed": "2026-06-28", "products": [["77", "Kettle"]]}
    assert told["bob"] == [{"number": "b3", "placed": "2026-06-29", "products": [["79", "79"]]}]


def test_the_state_knows_the_last_day_and_products_by_name():
    assert known(expressions(tables())) == {
        "as_of": "2026-06-29",
        "products": [
            {"product_id": "77", "name": "Kettle", "category": "", "brand": ""},
            {"product_id": "78", "name": "b Oat /b Milk", "category": "", "brand": ""},
        ],
    }


def test_a_shop_without_orders_has_none():
    empty = expressions({name: frame.head(0) for name, frame in tables().items()})
    assert known(empty) == {"products": []}
    assert histories(empty).empty


def test_simulated_deliveries_follow_from_the_order_alone_and_nothing_has_happened_that_lies_ahead(tmp_path):
    times = pd.date_range("2026-06-01", "2026-06-30", 3000)
    raw = pd.DataFrame({"basket_id": [f"{number:05}" for number in range(3000)], "transaction_timestamp": times})
    pq.write_table(pa.Table.from_pandas(raw), tmp_path / "transactions.parquet")
    later, earlier = (deliveries(tmp_path, day).to_pandas() for day in (LAST, date(2026, 6, 20)))
    assert later["order_number"].map(lambda number: ORDER_NUMBER.fullmatch(number) is not None).all()
    assert (later["promised_at"].dt.date > LAST).any()
    for step in DELIVERY_STEPS[1:]:
        assert later[f"{step}_at"].dropna().dt.date.max() <= LAST
        both = earlier.merge(later, on="basket_id")
        known_then = both[both[f"{step}_at_x"].notna()]
        assert (known_then[f"{step}_at_x"] == known_then[f"{step}_at_y"]).all()
    in_order = later[["shipped_at", "delivered_at", "returned_at", "refunded_at"]].ffill(axis=1)
    assert in_order.dropna().apply(lambda row: row.is_monotonic_increasing, axis=1).all()
    assert later["cancelled_at"].notna().mean() == pytest.approx(0.01, abs=0.006)


def test_sources_that_are_joined_hold_each_table_once(tmp_path):
    made = tables()
    for part, names in {"till": ("purchases", "products"), "van": ("deliveries",)}.items():
        for name in names:
            (tmp_path / part).mkdir(exist_ok=True)
            made[name].to_parquet(tmp_path / part / f"{name}.parquet", index=False)
    till = {"kind": "files", "location": str(tmp_path / "till"), "tables": ["purchases", "products"]}
    van = {"kind": "files", "location": str(tmp_path / "van"), "tables": ["deliveries"]}
    joined = open_source({"kind": "several", "parts": [till, van]}, Settings())
    every = (PURCHASES, PRODUCTS, DELIVERIES)
    state = joined.freeze(every, LAST)
    assert state.last_day == date(2026, 6, 29)
    rows = {table.name: sum(chunk.num_rows for chunk in joined.read(table, state.last_day)) for table in every}
    assert rows == {"purchases": 4, "products": 3, "deliveries": 1}
    made["deliveries"].head(0).to_parquet(tmp_path / "van" / "deliveries.parquet", index=False)
    assert joined.digest(every, state.last_day) != state.digest
    with pytest.raises(ConfigInvalid, match="share no table"):
        open_source({"kind": "several", "parts": [till, till]}, Settings())
