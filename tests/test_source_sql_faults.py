"""A database that refuses is told of by table, driver, host and remedy, whatever it refuses; a value is never quoted."""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.config import Settings
from ml.errors import ConfigInvalid, SourceInvalid, StorageUnavailable, TradewindError
from ml.shop import PRODUCTS, PURCHASES
from ml.sources.opening import open_source
from ml.stack.process import free_port
from tests.postgres import running_postgres

DAY = date(2026, 12, 1)
SALES = "customer_id text, basket_id text, product_id text, quantity int, amount numeric(10, 2), purchased_at timestamp"
ROW = "('00012', 'B1', '00039', 2, 3.98, '2026-11-23 10:00:00')"
VIEW = "CREATE VIEW purchases AS SELECT * FROM sales"
READER, SECRET = "reader", "of-the-reader"
BERLIN = {
    "tables": {"purchases": {"columns": {"purchased_at": {"from": "purchased_at", "time_zone": "Europe/Berlin"}}}}
}


def rows_of(location, table=PURCHASES, settings=None, mapping=None):
    spec = {"kind": "sql", "location": location, "mapping": mapping}
    source = open_source(spec, settings or Settings())
    return [row for chunk in source.read(table, DAY) for row in chunk.to_pylist()]


# --- SQLite -------------------------------------------------------------------------------------


@pytest.fixture
def lite(tmp_path):
    """Make a database by statements, and return its location."""

    def make(*statements):
        with sqlite3.connect(tmp_path / "shop.db") as connection:
            for statement in statements:
                connection.execute(statement)
        connection.close()
        return f"sqlite:///{tmp_path / 'shop.db'}"

    return make


def test_a_file_that_is_no_database_is_named(tmp_path):
    (tmp_path / "shop.db").write_bytes(b"anna.berg@example.org" * 200)
    with pytest.raises(
        SourceInvalid, match=r"a database, for table purchases of sqlite \(pysqlite\).*shop\.db.*NOTADB"
    ) as caught:
        rows_of(f"sqlite:///{tmp_path}/shop.db")
    assert "anna" not in f"{caught.value} {caught.value.__cause__}"


def test_a_missing_database_is_named_and_not_made(tmp_path):
    with pytest.raises(SourceInvalid, match=r"can be opened for reading.*none\.db"):
        rows_of(f"sqlite:///{tmp_path}/none.db")
    assert not (tmp_path / "none.db").exists()


def test_a_database_is_never_written_to(lite):
    location = lite(f"CREATE TABLE purchases ({SALES})")
    source = open_source({"kind": "sql", "location": location}, Settings())
    with pytest.raises(sa.exc.OperationalError, match="readonly"), source.engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM purchases"))


def test_a_view_is_read_and_a_broken_one_told(lite):
    location = lite(
        f"CREATE TABLE sales ({SALES})",
        f"INSERT INTO sales VALUES {ROW}",
        "CREATE VIEW purchases AS SELECT * FROM sales",
    )
    assert rows_of(location)[0]["customer_id"] == "00012"
    lite("DROP TABLE sales")
    with pytest.raises(SourceInvalid, match=r"what its view is made of, to stay, for table purchases.*gone"):
        rows_of(location)


def test_a_table_dropped_between_two_readings_is_told(lite):
    location = lite(f"CREATE TABLE purchases ({SALES})", f"INSERT INTO purchases VALUES {ROW}")
    source = open_source({"kind": "sql", "location": location}, Settings())
    assert len(list(source.read(PURCHASES, DAY))) == 1
    lite("DROP TABLE purchases")
    with pytest.raises(SourceInvalid, match="table purchases in the database"):
        list(source.read(PURCHASES, DAY))


def test_a_lock_can_be_tried_again(lite, tmp_path):
    location = lite(f"CREATE TABLE purchases ({SALES})")
    holder = sqlite3.connect(tmp_path / "shop.db", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    spec = {"kind": "sql", "location": location}
    source = open_source(spec, Settings())
    sa.event.listen(source.engine, "connect", lambda raw, _: raw.execute("PRAGMA busy_timeout = 10"))
    with pytest.raises(StorageUnavailable, match=r"lock.*\(SQLITE_BUSY\)"):
        list(source.read(PURCHASES, DAY))
    holder.close()


def test_text_in_another_encoding_is_not_quoted(lite):
    location = lite(
        f"CREATE TABLE purchases ({SALES})",
        "INSERT INTO purchases VALUES (CAST(x'616e6e61ff' AS TEXT), 'B', 'P', 1, 1, NULL)",
    )
    with pytest.raises(
        SourceInvalid, match="text in the encoding that the database declares, for table purchases"
    ) as caught:
        rows_of(location)
    assert "anna" not in f"{caught.value} {caught.value.__cause__}"


@pytest.mark.parametrize("location", ["sqlite://", "sqlite:///:memory:", "sqlite:///file:x?mode=rw&uri=true"])
def test_another_form_of_address_is_refused(location):
    with pytest.raises(ConfigInvalid, match="sqlite:///<path of a file>"):
        rows_of(location)


def test_a_column_is_not_missed_for_its_spelling(lite):
    location = lite(
        f"CREATE TABLE purchases ({SALES}, Discount_ numeric)", f"INSERT INTO purchases VALUES {ROW[:-1]}, 0.5)"
    )
    with pytest.raises(SourceInvalid, match=r"purchases\.discount.*'Discount_' is close"):
        rows_of(location)


cells = st.fixed_dictionaries(
    {
        "customer_id": st.none()
        | st.integers(0, 2**70).map(str)
        | st.text("abcäß .-", min_size=1, max_size=6).filter(str.strip),
        "product_id": st.integers(0, 10**6) | st.integers(0, 10**6).map(float) | st.sampled_from(("A1", "00012")),
        "quantity": st.integers(-(2**62), 2**62) | st.integers(0, 99).map(float) | st.integers(0, 99).map(str),
        "amount": st.integers(-(10**6), 10**6).map(lambda cents: cents / 100),
        "purchased_at": st.datetimes(datetime(2026, 1, 1), datetime(2026, 11, 30)).map(
            lambda time: time.replace(microsecond=0)
        ),
    }
)


@settings(max_examples=60, deadline=None)
@given(
    sales=st.lists(cells, min_size=1, max_size=5),
    form=st.sampled_from(("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%d.%m.%Y %H:%M:%S")),
)
def test_a_table_of_any_kinds_is_read_as_it_was_written(tmp_path_factory, sales, form):
    """SQLite keeps whatever each cell was given: whole, float or text."""
    file = tmp_path_factory.mktemp("lite") / "shop.db"
    with sqlite3.connect(file) as connection:
        connection.execute(
            "CREATE TABLE purchases (customer_id, basket_id, product_id, quantity, amount, purchased_at TIMESTAMP)"
        )
        for sale in sales:
            told = {**sale, "purchased_at": sale["purchased_at"].strftime(form)}
            connection.execute(
                "INSERT INTO purchases VALUES (:customer_id, 'B', :product_id, :quantity, :amount, :purchased_at)", told
            )
    connection.close()
    times = {"purchased_at": {"from": "purchased_at", "format": form}}
    found = rows_of(f"sqlite:///{file}", mapping={"tables": {"purchases": {"columns": times}}})
    for row, sale in zip(found, sales, strict=True):
        wanted = {**sale, "customer_id": sale["customer_id"] and sale["customer_id"].strip()}
        wanted["product_id"] = (
            str(int(sale["product_id"])) if isinstance(sale["product_id"], float) else str(sale["product_id"])
        )
        wanted["quantity"] = int(sale["quantity"])
        assert {name: row[name] for name in wanted} == wanted


# --- PostgreSQL ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def postgres():
    with running_postgres() as url:
        execute(
            url,
            f"CREATE ROLE {READER} LOGIN PASSWORD '{SECRET}'",
            f"CREATE TABLE purchases ({SALES})",
            f"INSERT INTO purchases VALUES {ROW}",
            f"GRANT SELECT ON purchases TO {READER}",
            "CREATE TABLE products (product_id numeric(20, 0), name text)",
            "CREATE TABLE zoned AS SELECT customer_id, basket_id, product_id, quantity, amount, purchased_at AT TIME ZONE 'UTC'"
            " AS purchased_at FROM purchases",
            "CREATE VIEW slow AS SELECT p.* FROM purchases p, pg_sleep(5)",
            "CREATE VIEW broken AS SELECT p.*, 1 / (quantity - 2) AS discount FROM purchases p",
            "CREATE VIEW big AS SELECT 12345678901234567890::numeric AS product_id, 'Tee' AS name",
            f"GRANT SELECT ON zoned, slow, broken, big TO {READER}",
        )
        yield url


def place_of(url):
    return {"host": url.host, "port": url.port, "database": url.database}


def execute(url, *statements):
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))
    engine.dispose()


@pytest.fixture
def reading(postgres):
    """Read as the shop's reader: (their table, changes of address, password) -> rows."""

    def run(theirs="purchases", table=PURCHASES, secret=SECRET, columns=None, **changes):
        url = sa.URL.create(postgres.drivername, READER, None, **{**place_of(postgres), **changes}).render_as_string()
        mapping = {"tables": {table.name: {"from": theirs, "columns": columns or {}}}}
        return rows_of(
            url, table, Settings(source_password=secret, source_locations=json.dumps({"shop": url})), mapping
        )

    return run


def test_a_table_of_postgresql_is_read(reading):
    (row,) = reading()
    assert (row["customer_id"], row["quantity"], row["amount"]) == ("00012", 2, 3.98)
    assert row["purchased_at"] == datetime(2026, 11, 23, 10)


def test_an_identifier_keeps_all_its_digits(reading):
    assert reading("big", PRODUCTS)[0]["product_id"] == str(Decimal("12345678901234567890"))


def test_times_with_a_zone_need_the_shops(reading):
    with pytest.raises(SourceInvalid, match=r"time_zone in the mapping of purchases\.purchased_at, for table zoned"):
        reading("zoned")
    zone = {"purchased_at": {"from": "purchased_at", "time_zone": "Asia/Shanghai"}}
    (row,) = reading("zoned", columns=zone)
    told = datetime(2026, 11, 23, 10, tzinfo=UTC)
    assert row["purchased_at"] == datetime(2026, 11, 23, 18)
    assert told.hour == 10


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"secret": "wrong"}, ConfigInvalid, "accept user and password.*TRADEWIND_SOURCE_PASSWORD"),
        ({"database": "nowhere"}, ConfigInvalid, "a database of that name"),
        (
            {"theirs": "products", "table": PRODUCTS},
            SourceInvalid,
            r"the right to read it, for table products .*42501.*Grant SELECT",
        ),
        ({"theirs": "none"}, SourceInvalid, r"table purchases in the database.*purchases"),
        ({"theirs": "broken"}, SourceInvalid, r"values that the database can tell, for table broken.*22012"),
        (
            {"theirs": "slow", "query": {"options": "-c statement_timeout=300"}},
            StorageUnavailable,
            r"table slow.*57014",
        ),
        ({"port": free_port()}, StorageUnavailable, "an answer, for table purchases of postgresql"),
    ],
)
def test_what_postgresql_refuses_is_told(reading, postgres, changes, kind, message):
    with pytest.raises(TradewindError, match=message) as caught:
        reading(**changes)
    assert (type(caught.value), SECRET in str(caught.value)) == (kind, False)
