"""A database gives the same rows as files do, through the same mapping."""

from __future__ import annotations

import sqlite3
from datetime import date

import pandas as pd
import pytest

from ml.config import Settings
from ml.errors import ConfigInvalid, SourceInvalid
from ml.shop import CUSTOMERS, PURCHASES
from ml.sources.opening import open_source
from tests.sample_shop import LAST, TABLES, land, sample_tables

MAPPING = {"tables": {"purchases": {"from": "sales", "columns": {"amount": {"from": "cents", "divide_by": 100}}}}}


@pytest.fixture
def database(tmp_path, rng):
    tables = sample_tables(rng)
    path = tmp_path / "shop.db"
    sales = tables["purchases"].assign(cents=(tables["purchases"].amount * 100).round().astype(int))
    with sqlite3.connect(path) as connection:
        sales.drop(columns="amount").to_sql("sales", connection, index=False)
        tables["products"].to_sql("products", connection, index=False)
    connection.close()
    return path, tables


def shop(path, **spec):
    return open_source({"kind": "sql", "location": f"sqlite:///{path}", "mapping": MAPPING, **spec}, Settings())


def execute(path, statement):
    with sqlite3.connect(path) as connection:
        connection.execute(statement)
    connection.close()


def frame_of(source, table, day=LAST):
    rows = pd.concat([chunk.to_pandas() for chunk in source.read(table, day)], ignore_index=True)
    return rows.sort_values(list(rows.columns), ignore_index=True)


def test_the_rows_are_those_that_files_would_give(database, tmp_path):
    path, tables = database
    land(tmp_path / "files", tables)
    files = open_source({"kind": "files", "location": str(tmp_path / "files")}, Settings())
    pd.testing.assert_frame_equal(frame_of(shop(path), PURCHASES), frame_of(files, PURCHASES))


def test_the_state_is_that_of_the_date(database):
    path, tables = database
    source = shop(path)
    state, later = source.freeze(TABLES, date(2026, 11, 1)), source.freeze(TABLES, LAST)
    assert (state.last_day, later.last_day) == (date(2026, 11, 1), LAST)
    assert state.digest != later.digest == source.freeze(TABLES, date(2027, 1, 1)).digest
    assert len(frame_of(source, PURCHASES, state.last_day)) == (tables["purchases"].purchased_at < "2026-11-02").sum()


def test_an_optional_table_may_be_missing(database):
    assert list(shop(database[0]).read(CUSTOMERS, LAST)) == []


def test_a_changed_value_changes_the_digest_and_another_order_does_not(database):
    path, tables = database
    before = shop(path).freeze(TABLES, LAST).digest
    execute(path, "INSERT INTO sales SELECT * FROM sales ORDER BY rowid DESC")
    execute(path, f"DELETE FROM sales WHERE rowid <= {len(tables['purchases'])}")
    assert shop(path).freeze(TABLES, LAST).digest == before
    execute(path, "UPDATE sales SET cents = cents + 1 WHERE basket_id = 'b7-1'")
    assert shop(path).freeze(TABLES, LAST).digest != before


def test_a_missing_table_names_those_that_are_there(database):
    mapping = {"tables": {"purchases": {"from": "orders"}}}
    with pytest.raises(SourceInvalid, match=r"table purchases in the database.*products, sales"):
        list(shop(database[0], mapping=mapping).read(PURCHASES, LAST))


def test_a_missing_column_is_named(database):
    with pytest.raises(SourceInvalid, match=r"column amount for purchases\.amount"):
        list(shop(database[0], mapping={"tables": {"purchases": {"from": "sales"}}}).read(PURCHASES, LAST))


def test_a_value_that_its_own_column_cannot_hold_is_named(database):
    execute(database[0], "UPDATE sales SET purchased_at = '0 days ago' WHERE basket_id = 'b7-1'")
    with pytest.raises(
        SourceInvalid, match=r"purchases\.purchased_at from table sales.*row 256 of the query"
    ) as caught:
        list(shop(database[0]).read(PURCHASES, LAST))
    assert "days ago" not in str(caught.value)


def test_a_password_in_the_address_is_refused():
    with pytest.raises(ConfigInvalid, match="TRADEWIND_SOURCE_PASSWORD") as caught:
        open_source({"kind": "sql", "location": "postgresql://shop:secret@db/shop"}, Settings())
    assert "secret" not in str(caught.value)


def test_a_missing_driver_is_named():
    with pytest.raises(ConfigInvalid, match=r"a driver for oracle\+nosuch"):
        open_source({"kind": "sql", "location": "oracle+nosuch://shop@db/shop"}, Settings())


def test_replay_works_on_recorded_databases(database):
    state = shop(database[0], clock="replay").freeze(TABLES, date(2031, 5, 5))
    assert (state.as_of_data, state.clock) == (LAST, "replay")
