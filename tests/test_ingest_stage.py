"""Ingest writes a file a day that depends on the rows alone, and refuses a source that moved."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.errors import SourceInvalid
from ml.files import read_json, sha256_file
from ml.pipeline import ingest
from ml.shop import PURCHASES
from ml.sources.conform import arrow_schema
from tests.sample_shop import LAST, digests, frozen_context, land, sample_tables

HIDDEN = ("customer_id", "basket_id")


@pytest.fixture
def shop(tmp_path, rng):
    tables = sample_tables(rng)
    land(tmp_path / "zone", tables)
    return tmp_path, tables


@pytest.fixture(scope="module")
def ingested(object_store):
    """Ingest the zone in a folder; return the stage's output."""

    def run(root, name="run", **changes):
        context = frozen_context(root / name, spec(root), object_store.settings("ingest"), **changes)
        ingest.run(context)
        return context.data("ingest")

    return run


def spec(root):
    return {"kind": "files", "location": str(root / "zone"), "mapping": None}


def test_there_is_a_file_a_day_with_all_rows_of_that_day(shop, ingested):
    root, tables = shop
    folder = ingested(root) / "tables" / "purchases"
    expected = tables["purchases"].groupby(tables["purchases"].purchased_at.dt.date.astype(str)).size()
    assert {file.stem: pq.read_metadata(file).num_rows for file in folder.iterdir()} == expected.to_dict()
    stored = pa.schema([f.with_type(pa.binary()) if f.name in HIDDEN else f for f in arrow_schema(PURCHASES)])
    assert all(pq.read_schema(file).equals(stored) for file in folder.iterdir())


def test_the_manifest_tells_rows_and_digests(shop, ingested):
    root, tables = shop
    out = ingested(root)
    manifest = read_json(out / "manifest.json")["tables"]
    assert {name: manifest[name]["rows"] for name in tables} == {name: len(rows) for name, rows in tables.items()}
    for name, table in manifest.items():
        for partition, told in table["partitions"].items():
            assert told["sha256"] == sha256_file(out / "tables" / name / f"{partition}.parquet")


def test_the_order_of_rows_and_files_does_not_matter(shop, ingested):
    root, _ = shop
    before = digests(ingested(root))
    for file in (root / "zone" / "purchases").rglob("*.csv"):
        rows = pd.read_csv(file)[::-1]
        rows.head(5).to_csv(file.with_name("z.csv"), index=False)
        rows.tail(len(rows) - 5).to_csv(file, index=False)
    assert digests(ingested(root, "again")) == before


def test_running_a_day_again_replaces_it(shop, ingested):
    root, _ = shop
    ingested(root)
    day = root / "zone" / "purchases" / "2026-11-03" / "till.csv"
    day.unlink()
    day.parent.rmdir()
    out = ingested(root)
    assert not (out / "tables" / "purchases" / "2026-11-03.parquet").exists()
    assert digests(out) == digests(ingested(root, "fresh"))


def test_a_late_file_changes_its_own_day_only(shop, ingested):
    root, tables = shop
    before = digests(ingested(root))
    late = tables["purchases"].query("purchased_at < '2026-11-04' and purchased_at >= '2026-11-03'").head(2)
    late.assign(basket_id="late").to_csv(root / "zone" / "purchases" / "2026-11-03" / "late.csv", index=False)
    after = digests(ingested(root, "again"))
    assert {name for name in after if after[name] != before[name]} == {
        "manifest.json",
        "tables/purchases/2026-11-03.parquet",
    }


def test_an_earlier_date_gives_the_same_days_without_the_later_ones(shop, ingested):
    root, _ = shop
    late, early = ingested(root), ingested(root, "early", as_of=pd.Timestamp("2026-11-05").date())
    days = {name: data for name, data in digests(early).items() if "purchases" in name}
    assert max(days) == "tables/purchases/2026-11-05.parquet"
    assert days.items() <= digests(late).items()


def test_a_source_that_changed_since_it_was_frozen_is_refused(shop, keeper):
    root, _ = shop
    context = frozen_context(root / "run", spec(root), keeper)
    (root / "zone" / "purchases" / "2026-11-03" / "till.csv").unlink()
    with pytest.raises(SourceInvalid, match="the source changed during the run"):
        ingest.run(context)
    assert not (context.data("ingest") / "manifest.json").exists()


def test_files_that_span_days_are_taken_apart(shop, ingested):
    root, tables = shop
    before = digests(ingested(root))
    for day in (root / "zone" / "purchases").iterdir():
        (day / "till.csv").unlink()
        day.rmdir()
    for number in range(3):
        tables["purchases"][number::3].to_parquet(root / "zone" / "purchases" / f"part-{number}.parquet")
    assert digests(ingested(root, "again")) == before


def test_rows_without_a_time_are_kept_apart(shop, ingested):
    root, tables = shop
    file = root / "zone" / "purchases" / "2026-11-03" / "till.csv"
    rows = pd.read_csv(file)
    rows.loc[0, "purchased_at"] = None
    rows.to_csv(file, index=False)
    folder = ingested(root) / "tables" / "purchases"
    assert pq.read_metadata(folder / "undated.parquet").num_rows == 1
    assert sum(pq.read_metadata(f).num_rows for f in folder.iterdir()) == len(tables["purchases"])


def test_an_optional_table_that_is_not_delivered_is_empty(shop, ingested):
    root, _ = shop
    (root / "zone" / "customers.parquet").unlink()
    assert pq.read_metadata(ingested(root) / "tables" / "customers" / "all.parquet").num_rows == 0


@settings(max_examples=15, deadline=None)
@given(hours=st.lists(st.integers(0, 31 * 24 - 1), min_size=1, max_size=40))
def test_every_row_is_in_the_file_of_its_own_day(ingested, tmp_path_factory, hours):
    root = tmp_path_factory.mktemp("shop")
    (root / "zone").mkdir()
    times = pd.Timestamp("2026-10-21") + pd.to_timedelta(hours, unit="h")
    rows = pd.DataFrame({"purchased_at": times, "customer_id": "c", "product_id": "p", "quantity": 1, "amount": 1.0})
    rows.assign(basket_id=[str(i) for i in range(len(rows))]).to_parquet(root / "zone" / "purchases.parquet")
    pd.DataFrame({"product_id": ["p"]}).to_parquet(root / "zone" / "products.parquet")
    folder = ingested(root, as_of=LAST) / "tables" / "purchases"
    for file in folder.iterdir():
        assert set(pd.read_parquet(file).purchased_at.dt.date.astype(str)) == {file.stem}
    assert sum(pq.read_metadata(file).num_rows for file in folder.iterdir()) == (times < "2026-11-21").sum()
