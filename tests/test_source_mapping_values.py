"""What a mapping says of a column is taken as it is meant, or refused before any value is read."""

from __future__ import annotations

from datetime import date, datetime

import pytest
import sqlalchemy as sa

from ml.config import Settings
from ml.errors import ConfigInvalid
from ml.shop import PURCHASES
from ml.sources.opening import open_source

HEADER = "customer_id,basket_id,product_id,quantity,amount,discount,purchased_at\n"
DAY = date(2026, 12, 31)


def sold(folder, told, **columns):
    """Return what one sale at a time that is told in this way becomes."""
    (folder / "purchases.csv").write_text(f'{HEADER}c1,b1,p1,2,3.50,,"{told}"\n')
    mapping = {"tables": {"purchases": {"columns": columns}}}
    source = open_source({"kind": "files", "location": str(folder), "mapping": mapping}, Settings())
    source.freeze((PURCHASES,), DAY)
    return next(source.read(PURCHASES, DAY)).to_pylist()[0]


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ("%s", "1795428000"),
        ("%D", "11/23/26"),
        ("%Y-%m-%", "2026-11-23"),
        ("", "2026-11-23"),
        ("%H:%M", "10:05"),
        ("%m-%d %H:%M", "11-23 10:05"),
        ("%Y-%m", "2026-11"),
        ("%m/%d/%Y %H:%M %p", "11/23/2026 02:05 PM"),
        ("%m/%d/%Y %I:%M", "11/23/2026 02:05"),
        ("%Y-%m-%d %H:%M:%S %Z", "2026-11-23 10:00:00 CET"),
        ("%Y-%m-%dT%H:%M:%S+01:00", "2026-11-23T10:00:00+01:00"),
    ],
)
def test_a_format_that_cannot_be_read_or_would_lose_half_of_a_time_is_refused(tmp_path, form, told):
    with pytest.raises(ConfigInvalid, match=r"purchased_at\.format"):
        sold(tmp_path, told, purchased_at={"from": "purchased_at", "format": form})


@pytest.mark.parametrize(
    ("form", "told", "hour"),
    [
        ("%m/%d/%Y %I:%M %p", "11/23/2026 02:05 PM", 14),
        ("%b %d, %Y %H:%M", "Nov 23, 2026 14:05", 14),
        ("%Y-%j %H:%M", "2026-327 14:05", 14),
        ("%G-W%V-%u %H:%M", "2026-W48-1 14:05", 14),
        ("%d-%m-%Y %H:%M", "23-11-2026 14:05", 14),
        ("%Y-%m-%d %H:%M %z", "2026-11-23 14:05 +0000", 15),
        ("%Y-%m-%dT%H:%MZ", "2026-11-23T14:05Z", 15),
        ("%Y-%m-%d %H:%M UTC", "2026-11-23 14:05 UTC", 15),
    ],
)
def test_a_format_tells_the_shops_time(tmp_path, form, told, hour):
    sale = sold(tmp_path, told, purchased_at={"format": form, "time_zone": "Europe/Berlin"})
    assert sale["purchased_at"] == datetime(2026, 11, 23, hour, 5)


def test_utc_by_a_literal_stands_as_it_is_written_where_no_zone_is_named(tmp_path):
    assert (
        sold(tmp_path, "2026-11-23 14:05 UTC", purchased_at={"format": "%Y-%m-%d %H:%M UTC"})["purchased_at"].hour == 14
    )


def test_a_column_without_from_bears_our_name(tmp_path):
    assert sold(tmp_path, "2026-11-23", amount={"divide_by": 10})["amount"] == 0.35


def test_a_database_column_without_from_bears_our_name(tmp_path):
    path = tmp_path / "shop.db"
    with sa.create_engine(f"sqlite:///{path}").begin() as connection:
        connection.execute(sa.text(f"CREATE TABLE purchases ({HEADER})"))
        connection.execute(sa.text("INSERT INTO purchases VALUES ('c1', 'b1', 'p1', 2, 3.5, NULL, '23.11.2026')"))
    columns = {"purchased_at": {"format": "%d.%m.%Y"}, "store_id": {"constant": "web"}}
    spec = {"kind": "sql", "location": f"sqlite:///{path}", "mapping": {"tables": {"purchases": {"columns": columns}}}}
    sale = next(open_source(spec, Settings()).read(PURCHASES, DAY)).to_pylist()[0]
    assert (sale["purchased_at"], sale["store_id"]) == (datetime(2026, 11, 23), "web")


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("store_id", True),
        ("store_id", " "),
        ("store_id", 39.5),
        ("quantity", True),
        ("quantity", 1.5),
        ("purchased_at", 20261123),
        ("amount", None),
    ],
)
def test_a_constant_that_would_be_another_value_is_refused(tmp_path, column, value):
    with pytest.raises(ConfigInvalid, match=r"constant"):
        sold(tmp_path, "2026-11-23", **{column: {"constant": value}})


@pytest.mark.parametrize(
    ("column", "value", "becomes"),
    [
        ("store_id", " web ", "web"),
        ("store_id", 12, "12"),
        ("quantity", 3, 3),
        ("amount", 2, 2.0),
        ("amount", "2.5", 2.5),
    ],
)
def test_a_constant_is_read_as_a_delivered_value(tmp_path, column, value, becomes):
    assert sold(tmp_path, "2026-11-23", **{column: {"constant": value}})[column] == becomes
