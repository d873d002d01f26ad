"""A shop's own files become our tables, and what does not fit is named."""

from __future__ import annotations

import gzip
from datetime import date, datetime

import pandas as pd
import pytest

from ml.config import Settings
from ml.errors import ConfigInvalid, SourceInvalid
from ml.shop import CUSTOMERS, PRODUCTS, PURCHASES
from ml.sources.opening import open_source
from ml.store import Bucket
from tests.sample_shop import LAST, TABLES, land, sample_tables

GERMAN = """
schema: tradewind/mapping/1
tables:
  purchases:
    from: verkauf
    delimiter: ";"
    decimal: ","
    encoding: latin-1
    columns:
      customer_id: Kunde
      basket_id: Beleg
      product_id: Artikel
      store_id: {constant: web}
      quantity: Menge
      amount: {from: Betrag_Cent, divide_by: 100}
      discount: Rabatt
      purchased_at: {from: Zeit, format: "%d.%m.%Y %H:%M"}
  products:
    from: artikel
    columns: {product_id: Nr, name: Bezeichnung}
"""
SALES = "Kunde;Beleg;Artikel;Menge;Betrag_Cent;Rabatt;Zeit\n17;B1;A1;2;1999;1.234,50;23.11.2026 18:05\n18;B2;A1;1;;;\n"


def zone(folder, **spec):
    return open_source({"kind": "files", "location": str(folder), **spec}, Settings())


def rows_of(source, table, day=LAST):
    return [row for chunk in source.read(table, day) for row in chunk.to_pylist()]


@pytest.fixture
def landed(tmp_path, rng):
    land(tmp_path, sample_tables(rng))
    return tmp_path


@pytest.fixture
def german(tmp_path):
    (tmp_path / "verkauf" / "day=2026-11-23").mkdir(parents=True)
    (tmp_path / "verkauf" / "day=2026-11-23" / "kasse.csv").write_text(SALES, encoding="latin-1")
    (tmp_path / "artikel.csv").write_text("Nr,Bezeichnung\nA1,Grüner Tee\n")
    (tmp_path / "mapping.yaml").write_text(GERMAN)
    return tmp_path


def test_a_mapping_renames_scales_and_parses(german):
    source = zone(german, mapping="mapping.yaml")
    first, second = rows_of(source, PURCHASES, date(2026, 11, 23))
    assert first == {
        "customer_id": "17",
        "basket_id": "B1",
        "product_id": "A1",
        "store_id": "web",
        "quantity": 2,
        "amount": 19.99,
        "discount": 1234.5,
        "purchased_at": datetime(2026, 11, 23, 18, 5),
    }
    assert (second["amount"], second["discount"], second["purchased_at"]) == (None, None, None)
    assert rows_of(source, PRODUCTS)[0]["name"] == "Grüner Tee"


def test_the_digest_covers_the_mapping(german):
    before = zone(german, mapping="mapping.yaml").freeze((PURCHASES, PRODUCTS), date(2026, 11, 23))
    (german / "mapping.yaml").write_text(GERMAN.replace("divide_by: 100", "divide_by: 1000"))
    after = zone(german, mapping="mapping.yaml").freeze((PURCHASES, PRODUCTS), date(2026, 11, 23))
    assert before.digest != after.digest


def test_days_are_read_up_to_the_date_and_a_later_date_without_new_data_changes_nothing(landed):
    source = zone(landed)
    state, later = source.freeze(TABLES, LAST), source.freeze(TABLES, date(2026, 12, 24))
    early = source.freeze(TABLES, date(2026, 11, 1))
    assert (state.clock, state.last_day, later.last_day) == ("wall", LAST, LAST)
    assert state.digest == later.digest != early.digest
    assert max(row["purchased_at"] for row in rows_of(source, PURCHASES, early.last_day)).date() == date(2026, 11, 1)


@pytest.mark.parametrize("change", ["late", "edited", "gone"])
def test_a_late_changed_or_missing_file_changes_the_digest(landed, change):
    before = zone(landed).freeze(TABLES, LAST).digest
    file = landed / "purchases" / "2026-11-02" / "till.csv"
    if change == "late":
        (file.parent / "second-till.csv").write_bytes(file.read_bytes())
    elif change == "edited":
        file.write_text(file.read_text().replace("s1", "s2"))
    else:
        file.unlink()
    assert zone(landed).freeze(TABLES, LAST).digest != before


def test_a_file_for_a_day_after_the_date_changes_nothing(landed):
    before = zone(landed).freeze(TABLES, date(2026, 11, 1)).digest
    (landed / "purchases" / "2026-11-10" / "more.csv").write_text("a\n1\n")
    assert zone(landed).freeze(TABLES, date(2026, 11, 1)).digest == before


def test_unpartitioned_files_are_cut_at_the_date(tmp_path, rng):
    tables = sample_tables(rng)
    tables["purchases"].to_parquet(tmp_path / "purchases.parquet")
    (tmp_path / "products.csv.gz").write_bytes(gzip.compress(tables["products"].to_csv(index=False).encode()))
    source = zone(tmp_path)
    state = source.freeze(TABLES, date(2026, 11, 1))
    expected = (tables["purchases"].purchased_at < "2026-11-02").sum()
    assert state.last_day == date(2026, 11, 1)
    assert len(rows_of(source, PURCHASES, state.last_day)) == expected
    assert (len(rows_of(source, PRODUCTS)), rows_of(source, CUSTOMERS)) == (20, [])


def test_of_a_table_replaced_whole_the_newest_day_counts(landed):
    (landed / "products.parquet").unlink()
    for day, name in (("2026-11-01", "old"), ("2026-11-05", "new"), ("2026-12-01", "future")):
        (landed / "products" / day).mkdir(parents=True)
        (landed / "products" / day / "all.csv").write_text(f"product_id,name\np1,{name}\n")
    assert [row["name"] for row in rows_of(zone(landed), PRODUCTS)] == ["new"]


def test_replay_maps_a_date_after_the_files_onto_their_last_day(landed):
    state = zone(landed, clock="replay").freeze(TABLES, date(2030, 1, 1))
    assert (state.clock, state.as_of_data) == ("replay", LAST)


def test_times_with_an_offset_become_local_times(german):
    text = GERMAN.replace('format: "%d.%m.%Y %H:%M"', "time_zone: Europe/Berlin")
    (german / "mapping.yaml").write_text(text)
    file = german / "verkauf" / "day=2026-11-23" / "kasse.csv"
    file.write_text(SALES.replace("23.11.2026 18:05", "2026-11-23T18:05:00Z"))
    first, _ = rows_of(zone(german, mapping="mapping.yaml"), PURCHASES, date(2026, 11, 23))
    assert first["purchased_at"] == datetime(2026, 11, 23, 19, 5)


def test_an_s3_landing_zone_reads_as_a_folder_does(object_store, landed):
    bucket = Bucket.open(object_store.settings("ingest"), "raw")
    for file in landed.rglob("*.*"):
        bucket.put(f"landing/{file.relative_to(landed).as_posix()}", file.read_bytes())
    spec = {"kind": "files", "location": f"s3://{bucket.name}/landing/"}
    source = open_source(spec, object_store.settings("ingest"))
    state = source.freeze(TABLES, LAST)
    assert rows_of(source, PURCHASES) == rows_of(zone(landed), PURCHASES)
    bucket.put("landing/purchases/2026-11-02/late.csv", b"customer_id\n")
    assert source.digest(TABLES, LAST) != state.digest


# --- what does not fit -------------------------------------------------------------------------


def test_a_missing_table_says_what_is_there(landed):
    (landed / "products.parquet").unlink()
    with pytest.raises(SourceInvalid, match=r"table products .*customers.*purchases.*tables.products.from"):
        zone(landed).freeze(TABLES, LAST)


def test_a_missing_column_says_what_is_there(landed):
    pd.DataFrame({"sku": ["p1"]}).to_parquet(landed / "products.parquet")
    with pytest.raises(SourceInvalid, match=r"column product_id for products.product_id \(string\).*columns sku"):
        rows_of(zone(landed), PRODUCTS)


def test_a_wrong_type_tells_line_and_form_of_the_values(landed):
    file = landed / "purchases" / "2026-11-02" / "till.csv"
    rows = pd.read_csv(file).assign(quantity="many")
    rows.to_csv(file, index=False)
    with pytest.raises(SourceInvalid, match=r"int64 in purchases.quantity .*11-02/till.csv.*line 2: 'aaaa'") as caught:
        rows_of(zone(landed), PURCHASES)
    assert (caught.value.facts["table"], caught.value.facts["column"]) == ("purchases", "quantity")


def test_a_wrong_type_shows_nothing_of_a_column_that_names_someone(tmp_path):
    pd.DataFrame({"customer_id": [0.5], "basket_id": ["b"]}).to_parquet(tmp_path / "purchases.parquet")
    with pytest.raises(SourceInvalid, match=r"string in purchases\.customer_id") as caught:
        rows_of(zone(tmp_path), PURCHASES)
    assert "0.5" not in str(caught.value)


def test_a_fraction_is_no_piece_count(landed):
    file = landed / "purchases" / "2026-11-02" / "till.csv"
    pd.read_csv(file).assign(quantity=1.5).to_csv(file, index=False)
    with pytest.raises(SourceInvalid, match=r"int64 in purchases.quantity.*'1.5'"):
        rows_of(zone(landed), PURCHASES)


def test_a_broken_file_is_named_without_its_content(landed):
    (landed / "products.parquet").write_bytes(b"secret name")
    with pytest.raises(SourceInvalid, match=r"readable file .*products\.parquet") as caught:
        rows_of(zone(landed), PRODUCTS)
    assert "secret" not in str(caught.value)


def test_a_row_with_too_many_fields_is_told_without_its_content(landed):
    with (landed / "purchases" / "2026-11-02" / "till.csv").open("a") as file:
        file.write("a-person,in,one,row,too,many,for,the,header,line\n")
    with pytest.raises(SourceInvalid, match="Expected 8 columns, got 10") as caught:
        rows_of(zone(landed), PURCHASES)
    assert "a-person" not in str(caught.value)


def test_a_file_that_is_no_mapping_is_not_quoted(landed):
    (landed / "mapping.yaml").write_text('tables:\n  key: "top secret\n')
    with pytest.raises(ConfigInvalid, match="fault in line") as caught:
        zone(landed, mapping="mapping.yaml")
    assert "secret" not in str(caught.value)


def test_a_file_of_another_kind_is_refused_and_a_hidden_one_skipped(landed):
    (landed / "purchases" / "2026-11-02" / "_SUCCESS").touch()
    zone(landed).freeze(TABLES, LAST)
    (landed / "purchases" / "2026-11-02" / "till.xlsx").touch()
    with pytest.raises(SourceInvalid, match=r"till\.xlsx"):
        zone(landed).freeze(TABLES, LAST)


def test_no_data_up_to_the_date_is_an_error(landed):
    for name in ("products", "customers"):
        assert (landed / f"{name}.parquet").exists()
    with pytest.raises(SourceInvalid, match="data up to 2020-01-01"):
        zone(landed).freeze(TABLES, date(2020, 1, 1))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("tables: {purchases: {colums: {}}}", "tables.purchases.colums"),
        ("tables: {purchases: {columns: {amount: {from: a, constant: 1}}}}", "give either"),
        ("tables: [", "YAML"),
    ],
)
def test_a_faulty_mapping_is_refused(landed, text, fault):
    (landed / "mapping.yaml").write_text(text)
    with pytest.raises(ConfigInvalid, match=fault):
        zone(landed, mapping="mapping.yaml")


def test_a_mapped_column_that_the_contract_does_not_have_is_refused(landed):
    source = zone(landed, mapping={"tables": {"purchases": {"columns": {"amonut": "amount"}}}})
    with pytest.raises(ConfigInvalid, match="amonut"):
        source.freeze(TABLES, LAST)
