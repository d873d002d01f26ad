"""What lies beside a table and looks like it is refused by name, and so is a file that is not what its name says."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
from datetime import date

import pandas as pd
import pytest

from ml.config import Settings
from ml.errors import SourceInvalid
from ml.field import MISSING, identifier
from ml.shop import PRODUCTS, PURCHASES
from ml.sources.opening import open_source
from ml.store import Bucket

DAY = date(2026, 12, 1)
HEADER = "customer_id,basket_id,product_id,store_id,quantity,amount,discount,purchased_at"
ROW = "17,B1,A1,S1,2,3.50,0,2026-11-23T10:00:00"
GOOD = f"{HEADER}\n{ROW}\n"
PLAIN_PRODUCTS = "product_id,name,department,category,brand\nA1,Tea,Food,Tea,Own\n"


@pytest.fixture
def zone(tmp_path):
    """A zone with a good file of two tables."""
    (tmp_path / "purchases.csv").write_text(GOOD)
    (tmp_path / "products.csv").write_text(PLAIN_PRODUCTS)
    return tmp_path


def opened(location, mapping=None):
    spec = {"kind": "files", "location": str(location), "mapping": {"tables": mapping or {}}}
    return open_source(spec, Settings())


def rows_of(location, table=PURCHASES, mapping=None):
    return [row for chunk in opened(location, mapping).read(table, DAY) for row in chunk.to_pylist()]


def sheet():
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as book:
        book.writestr("[Content_Types].xml", "<Types/>")
        book.writestr("xl/workbook.xml", "<workbook/>")
    return packed.getvalue()


def zipped():
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("purchases.csv", GOOD)
    return packed.getvalue()


# --- beside a table -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("purchases (1).csv", "Put its rows into purchases/"),
        ("purchases(2).parquet", "Put its rows into purchases/"),
        ("purchases.CSV", "Put its rows into purchases/"),
        ("PURCHASES.csv", "Put its rows into purchases/"),
        ("purchases - Kopie.csv", "Put its rows into purchases/"),
        ("Copy of purchases.csv", "Put its rows into purchases/"),
        ("purchases 副本.csv", "Put its rows into purchases/"),
        ("purchases_2026-11-24.csv", "Put its rows into purchases/"),
        ("20261124-purchases.csv", "Put its rows into purchases/"),
        ("purchases2.csv", "Put its rows into purchases/"),
        ("purchases_old.csv", "names that begin with _ or . are skipped"),
        ("purchases.tsv", "Put its rows into purchases/"),
        ("purchases.csv.txt", "Put its rows into purchases/"),
        ("purchases.csv.crdownload", "Put its rows into purchases/"),
        ("purchases.csv.zip", "Unpack it to purchases.csv"),
        ("purchases.csv.GZ", "Unpack it to purchases.csv"),
        ("purchases.csv.bz2", "Unpack it to purchases.csv"),
        ("purchases.zip", "Unpack it to purchases.csv"),
        ("purchases.xlsx", "Save the workbook as CSV"),
        ("~$purchases.xlsx", "Close the workbook"),
        ("Purchases/2026-11-24/till.csv", "Put its rows into purchases/"),
        ("purchases (1)/2026-11-24/till.csv", "Put its rows into purchases/"),
    ],
)
def test_a_file_that_looks_like_the_table_is_refused_by_name(zone, name, remedy):
    (zone / name).parent.mkdir(parents=True, exist_ok=True)
    (zone / name).write_text(GOOD)
    with pytest.raises(SourceInvalid) as refused:
        opened(zone).freeze([PURCHASES, PRODUCTS], DAY)
    assert name in str(refused.value)
    assert remedy in str(refused.value)
    assert refused.value.facts["table"] == "purchases"


def test_so_it_is_in_a_bucket_and_below_a_folder_that_the_mapping_names(zone, object_store, name):
    settings, mapping = object_store.settings("ingest"), {"purchases": {"from": "shop/verkauf"}}
    bucket = Bucket.open(settings, "raw")
    bucket.put(f"{name}/shop/verkauf.csv", GOOD.encode())
    spec = {"kind": "files", "location": f"s3://{bucket.name}/{name}", "mapping": {"tables": mapping}}
    assert open_source(spec, settings).freeze([PURCHASES], DAY).last_day == date(2026, 11, 23)
    bucket.put(f"{name}/shop/verkauf (1).csv", GOOD.encode())
    with pytest.raises(SourceInvalid, match=r"shop/verkauf \(1\)\.csv"):
        open_source(spec, settings).freeze([PURCHASES], DAY)


@pytest.mark.parametrize(
    "name",
    [
        "purchases_images.csv",
        "repurchases.csv",
        "customer_purchases_by_region.csv",
        "README.md",
        "purchases.md5",
        "_purchases (1).csv",
        ".purchases.csv.swp",
        "purchases notes/readme.txt",
        "purchase_orders.csv",
        "purchases_of_staff.csv",
    ],
)
def test_another_file_is_left_alone(zone, name):
    (zone / name).parent.mkdir(parents=True, exist_ok=True)
    (zone / name).write_text("x")
    mapping = {"staff_purchases": {"from": "purchases_of_staff"}}
    assert opened(zone, mapping).freeze([PURCHASES, PRODUCTS], DAY).last_day == date(2026, 11, 23)


def test_another_table_that_is_not_read_is_logged(zone, caplog):
    (zone / "deliveries.csv").write_text("x")
    opened(zone).freeze([PURCHASES, PRODUCTS], DAY)
    assert "files not read by this use case: deliveries.csv" in caplog.text


# --- another form than the name says ------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "data", "found", "remedy"),
    [
        ("purchases.csv", gzip.compress(GOOD.encode()), "a gzip file", r"end in \.csv\.gz"),
        ("purchases.csv", sheet(), r"an Excel workbook \(\.xlsx\)", "Save it as CSV"),
        ("purchases.csv", zipped(), "a zip archive", "Unpack it"),
        ("purchases.csv", b"PK\x03\x04cut", "a zip archive", "Unpack it"),
        ("purchases.csv", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0", "an old Excel workbook", "Save it as CSV"),
        ("purchases.csv", bz2.compress(GOOD.encode()), "a bzip2 archive", "Unpack it"),
        ("purchases.csv", lzma.compress(GOOD.encode()), "an xz archive", "Unpack it"),
        (
            "purchases.csv",
            b"<!DOCTYPE html>\n<html>sign in</html>",
            "a web page",
            "Download or export the table itself",
        ),
        ("purchases.csv", b"\xef\xbb\xbf<?xml version='1.0'?><a/>", "an XML document", "as CSV"),
        ("purchases.parquet", GOOD.encode(), "plain text", r"end in \.csv"),
        ("purchases.parquet", sheet(), "an Excel workbook", "Save it as CSV"),
        ("purchases.csv.gz", GOOD.encode(), "plain text", r"end in \.csv"),
        ("purchases.csv.gz", zipped(), "a zip archive", "Unpack it"),
    ],
)
def test_a_file_that_is_something_else_is_told_what(tmp_path, name, data, found, remedy):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(SourceInvalid, match=rf"{name}.*{found}.*{remedy}"):
        rows_of(tmp_path)


def test_a_parquet_file_named_csv_is_told_so_and_columns_of_those_names_are_read(tmp_path):
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "purchases.csv")
    with pytest.raises(SourceInvalid, match=r"a Parquet file.*end in \.parquet"):
        rows_of(tmp_path)
    for first in ("ORC", "PAR1", "BZh", "ARROW1"):
        (tmp_path / "purchases.csv").write_text(f"{first},{HEADER}\nx,{ROW}\n")
        assert rows_of(tmp_path)[0]["product_id"] == "A1"


@pytest.mark.parametrize("line", ["sep=;", '"sep=;"', "SEP=;", "\ufeffsep=;", "sep=; "])
def test_a_line_for_excel_alone_is_told_with_the_delimiter(tmp_path, line):
    (tmp_path / "purchases.csv").write_text(f"{line}\n{GOOD.replace(',', ';')}", encoding="utf-8")
    for mapping in ({}, {"purchases": {"delimiter": ";"}}):
        with pytest.raises(SourceInvalid, match=r"`sep=;`.*without that line.*`delimiter` to ';'"):
            rows_of(tmp_path, mapping=mapping)


@pytest.mark.parametrize("order", ["le", "be"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_utf_32_is_guessed_and_read_where_it_is_declared(tmp_path, order, mark):
    (tmp_path / "purchases.csv").write_bytes((mark + GOOD).encode(f"utf-32-{order}"))
    with pytest.raises(SourceInvalid, match=rf"utf-32-{order}.*Set `encoding`"):
        rows_of(tmp_path)
    for said in ("utf-32", f"utf-32-{order}"):
        assert rows_of(tmp_path, mapping={"purchases": {"encoding": said}})[0]["customer_id"] == "17"


def test_a_table_of_headers_alone_is_refused_and_a_day_of_them_is_not(tmp_path):
    folder = tmp_path / "purchases"
    folder.mkdir()
    (folder / "2026-11-23.csv").write_text(f"{HEADER}\n")
    (tmp_path / "products.csv").write_text("product_id,name,department,category,brand\n")
    for table, file in ((PURCHASES, r"purchases/2026-11-23\.csv"), (PRODUCTS, r"products\.csv")):
        with pytest.raises(SourceInvalid, match=rf"rows of {table.name} .*headers alone.*{file}"):
            rows_of(tmp_path, table)
    (folder / "2026-11-24.csv").write_text(GOOD)
    assert len(rows_of(tmp_path)) == 1


def test_a_single_file_of_a_header_alone_is_told_when_the_run_begins(tmp_path):
    (tmp_path / "purchases.csv").write_text(f"{HEADER}\n")
    with pytest.raises(SourceInvalid, match=r"rows of purchases .*headers alone"):
        opened(tmp_path).freeze([PURCHASES], DAY)


# --- identifiers and groups ---------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("value", ["None", "undefined", "#REF!", "#n/a", "Null", "a\u200bb", "a\x07b", "x" * 201])
def test_what_requests_refuse_as_an_identifier_ingest_refuses(tmp_path, kind, value):
    with pytest.raises(ValueError, match="an identifier"):
        identifier(value)
    for column in ("customer_id", "basket_id", "product_id", "store_id"):
        row = {**dict(zip(HEADER.split(","), ROW.split(","), strict=True)), column: value}
        frame = pd.DataFrame([row]).astype({"quantity": int, "amount": float, "discount": float})
        if kind == "csv":
            frame.to_csv(tmp_path / "purchases.csv", index=False)
        else:
            frame.to_parquet(tmp_path / "purchases.parquet")
        with pytest.raises(
            SourceInvalid, match=rf"purchases\.{column} .*identifiers that mean a missing one.*`missing`"
        ):
            rows_of(tmp_path)
        for path in tmp_path.iterdir():
            path.unlink()


@pytest.mark.parametrize("value", sorted(MISSING))
def test_a_listed_word_is_a_missing_identifier(tmp_path, value):
    (tmp_path / "purchases.csv").write_text(GOOD.replace("17,", f"{value},"))
    assert rows_of(tmp_path, mapping={"purchases": {"missing": [value]}})[0]["customer_id"] is None


@pytest.mark.parametrize("value", ["Tee 250 g", "Tee\u00a0250 g", "Rot/Grün", "黑茶", "a.b", "Nan 2", "x" * 200])
def test_what_ingest_takes_requests_take(tmp_path, value):
    (tmp_path / "purchases.csv").write_text(GOOD.replace("A1", value))
    assert rows_of(tmp_path)[0]["product_id"] == value == identifier(value)


@pytest.mark.parametrize(("mark", "signs"), [(" ", " \u00a0\u202f\u2009"), ("'", "'\u2019")])
def test_a_mark_between_thousands_is_read_in_each_of_its_signs(tmp_path, mark, signs):
    mapping = {"purchases": {"grouping": mark, "decimal": ","}}
    for first in signs:
        for second in signs:
            amount = f'"1{first}234{second}567,50"'
            (tmp_path / "purchases.csv").write_text(GOOD.replace("3.50", amount))
            assert rows_of(tmp_path, mapping=mapping)[0]["amount"] == 1234567.5
            (tmp_path / "purchases.csv").write_text(GOOD.replace("3.50", f'"1{first}23"'))
            with pytest.raises(SourceInvalid, match=r"purchases\.amount"):
                rows_of(tmp_path, mapping=mapping)
