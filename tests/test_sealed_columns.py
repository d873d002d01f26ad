"""What names people is encrypted by a key of their own before it is stored, and stays comparable; without the key it is gone."""

import secrets

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ml.contract import Column, Table
from ml.errors import ConfigInvalid, IntegrityBroken
from ml.files import read_json
from ml.pipeline import ingest, validate
from ml.privacy.cipher import DataKey, MasterKey, new_key
from ml.privacy.key_ring import KeyRing, ring_key
from ml.privacy.seal import Opener, Sealer, Words
from ml.store import connect
from tests.sample_shop import frozen_context, land, sample_tables

NOTES = Table(
    name="notes",
    columns=(
        Column(name="customer_id", type="string", nullable=True, treatment="pseudonym"),
        Column(name="text", type="string", nullable=True, treatment="redact"),
        Column(name="email", type="string", nullable=True, treatment="encrypt"),
        Column(name="stars", type="int64"),
    ),
)
ORDERS = Table(name="orders", columns=(Column(name="order_id", type="string", treatment="pseudonym"),))


@pytest.fixture
def ring(keeper, name) -> KeyRing:
    return KeyRing.open(keeper, name)


def notes(*rows):
    names = [column.name for column in NOTES.columns]
    types = [pa.string()] * 3 + [pa.int64()]
    return pa.table([pa.array(part, kind) for part, kind in zip(zip(*rows, strict=True), types, strict=True)], names)


def sealed(ring, table, rows, erasures=()):
    sealer = Sealer(ring, erasures)
    return pa.concat_tables(sealer.seal(table, [rows])), sealer


TWO = notes(("ada", "hello", "a@x.example", 5), ("bob", "hello", "a@x.example", 4), ("ada", "hello", None, 3))


@hypothesis_settings(deadline=None, max_examples=30)
@given(st.text(max_size=50))
def test_a_value_comes_back_from_its_own_place_alone(value):
    key = DataKey(new_key())
    cell = key.seal("notes.text", value)
    assert key.open("notes.text", cell) == value
    assert key.seal("notes.text", value) == cell
    assert key.seal("notes.email", value) != cell
    with pytest.raises(IntegrityBroken):
        key.open("notes.email", cell)
    with pytest.raises(IntegrityBroken):
        key.open("notes.text", cell[:-1] + bytes([cell[-1] ^ 1]))


def test_equal_values_are_equal_cells_of_one_customer_and_column_only(ring):
    rows = sealed(ring, NOTES, TWO)[0].to_pandas()
    assert rows.text[0] == rows.text[2] != rows.text[1]
    assert rows.email[0] != rows.email[1]
    assert rows.email[2] is None
    assert list(rows.stars) == [5, 4, 3]
    assert not [value for value in (b"hello", b"example") if value in rows.to_csv().encode()]


def test_another_worker_seals_alike_and_opens_what_the_first_sealed(ring, keeper, name):
    rows, sealer = sealed(ring, NOTES, TWO)
    other = KeyRing.open(keeper, name)
    assert other.id == ring.id
    again, _ = sealed(other, NOTES, TWO)
    assert again.equals(rows)
    assert Opener(lambda: other).open(NOTES, rows).equals(TWO)
    assert Opener(lambda: other).open(NOTES, rows, but=["email"])["email"].equals(rows["email"])
    assert len(sealer.tokens) == 2


def test_rows_without_a_customer_are_sealed_by_a_key_of_the_table(ring):
    rows, sealer = sealed(ring, NOTES, notes((None, "hello", None, 1)))
    orders, _ = sealed(ring, ORDERS, pa.table({"order_id": ["7", "8", "7"]}))
    assert sealer.tokens == set()
    assert rows["customer_id"].to_pylist() == [None]
    assert Opener(lambda: ring).open(NOTES, rows)["text"].to_pylist() == ["hello"]
    assert Opener(lambda: ring).open(ORDERS, orders)["order_id"].to_pylist() == ["7", "8", "7"]


def test_no_rows_stay_no_rows(ring):
    rows, _ = sealed(ring, NOTES, TWO.slice(0, 0))
    assert len(rows) == 0
    assert pa.types.is_binary(rows.schema.field("text").type)


def test_words_are_equal_where_values_are_in_every_table(ring):
    words = Words()
    both = words.of(NOTES, TWO)["text"].to_pylist()
    assert len(set(both)) == 1
    assert both[0] != "hello"
    order = words.of(ORDERS, pa.table({"order_id": ["hello", None]}))["order_id"].to_pylist()
    assert order == [both[0], None]


def test_without_its_key_nobody_reads_a_customer_and_no_new_key_is_made(ring, keeper, name):
    rows, sealer = sealed(ring, NOTES, TWO)
    ada = ring.name("ada")
    ring.destroy(ada)
    ring.destroy(ada)
    other = KeyRing.open(keeper, name)
    assert (other.holds(ada), other.holds(other.name("bob")), other.holds(other.name("eve"))) == (False, True, None)
    for view in (ring, other):
        with pytest.raises(IntegrityBroken, match="erased since"):
            Opener(lambda view=view: view).open(NOTES, rows)
        with pytest.raises(IntegrityBroken, match="start a new run"):
            sealed(view, NOTES, TWO)
    left, sealer = sealed(other, NOTES, TWO, erasures=[ada])
    assert (sealer.left_out, left["stars"].to_pylist()) == (2, [4])
    assert Opener(lambda: other).open(NOTES, left)["customer_id"].to_pylist() == ["bob"]


def test_workers_who_meet_the_same_customers_at_once_agree_on_their_keys(ring, keeper, name):
    late = KeyRing.open(keeper, name)
    first = ring.of_customers(["ada", "bob"])
    second = late.of_customers(["bob", "eve"])
    ring.of_customers(["eve"])
    assert second["bob"].token == first["bob"].token
    assert KeyRing.open(keeper, name).by_token.keys() == ring.by_token.keys() | late.by_token.keys()


def test_old_versions_of_a_ring_go_with_the_key(object_store, keeper, ring, name):
    admin = object_store.settings(
        "ingest",
        s3_access_key=object_store.secrets["s3_admin_access_key"],
        s3_secret_key=object_store.secrets["s3_admin_secret_key"],
    )
    client, bucket = connect(admin), admin.bucket("keys")
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    try:
        ring.of_customers(["ada"])
        ring.of_customers(["bob"])
        ring.destroy(ring.name("ada"))
        found = client.list_object_versions(Bucket=bucket, Prefix=ring_key(name))["Versions"]
        assert [one["IsLatest"] for one in found] == [True]
    finally:
        client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})


def test_another_master_key_opens_no_ring(ring, object_store, name):
    with pytest.raises(IntegrityBroken, match="TRADEWIND_MASTER_KEY"):
        KeyRing.open(object_store.settings("ingest", master_key=secrets.token_hex(64)), name)
    with pytest.raises(ConfigInvalid, match="128 hexadecimal digits"):
        MasterKey.open(object_store.settings("ingest", master_key="short"))


def test_what_identifies_people_must_be_text():
    with pytest.raises(ValueError, match="type string"):
        Column(name="card", type="int64", treatment="encrypt")


def test_ingest_and_validate_store_no_value_in_the_clear_and_judge_it_all_the_same(tmp_path, keeper, rng):
    tables = sample_tables(rng)
    tables["purchases"].loc[3, "customer_id"] = None
    twin = tables["purchases"].iloc[[7]].assign(amount=9.99)
    tables["purchases"] = pd.concat([tables["purchases"], twin], ignore_index=True)
    land(tmp_path / "zone", tables)
    context = frozen_context(tmp_path / "run", {"kind": "files", "location": str(tmp_path / "zone")}, keeper)
    ingest.run(context)
    validate.run(context)
    aside = pq.read_table(context.data("validate") / "quarantine" / "purchases.parquet")
    assert set(aside["_rule"].to_pylist()) == {"purchases.customer_id_present", "purchases.key_unique"}
    profile = read_json(context.data("validate") / "profile.json")["tables"]["purchases"]["columns"]
    assert profile["basket_id"]["distinct"] == tables["purchases"].basket_id.nunique()
    files = [path for path in (tmp_path / "run").rglob("*") if path.is_file()]
    for path in files:
        text = pd.read_parquet(path).to_csv() if path.suffix == ".parquet" else path.read_text()
        assert "customer-0" not in text, path
    assert not list((tmp_path / "run").glob("tmp*"))


def test_a_run_that_froze_another_ring_is_refused(tmp_path, keeper, rng):
    land(tmp_path / "zone", sample_tables(rng))
    spec = {"kind": "files", "location": str(tmp_path / "zone")}
    context = frozen_context(tmp_path / "run", spec, keeper, key_ring="sha256:0")
    with pytest.raises(ConfigInvalid, match="freezes the ring"):
        ingest.run(context)
