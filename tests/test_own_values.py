"""Deliveries and charge-backs belong to a customer too; an order number is read back by its customer alone."""

import json
import shutil
from datetime import date
from types import SimpleNamespace

import ibis
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ml.contract import Column, Table
from ml.errors import IntegrityBroken
from ml.files import read_table, table_files
from ml.parameter import AnonymiseParams
from ml.pipeline import anonymise, ingest
from ml.pipeline.context import StageContext
from ml.pipeline.erase import Order, erase
from ml.pipeline.freeze import erasures
from ml.privacy.cipher import DataKey, new_key
from ml.privacy.key_ring import KeyRing
from ml.privacy.pseudonym import fingerprint, pseudonym, read_key
from ml.privacy.seal import Opener, Owners
from ml.privacy.share import OWN, Shares, own
from ml.registry.erasure_mark import settled
from ml.serving.own import OwnValues
from ml.shop import CHARGEBACKS, DELIVERIES, PAYMENTS, PRODUCTS, PURCHASES
from ml.sources.opening import open_source
from ml.store import Bucket
from ml.use_cases import NAMES, load
from ml.use_cases.service.facts import facts_of
from ml.use_cases.service.orders import histories
from tests.sample_shop import land
from tests.stored_bytes import files, holders
from tests.toy_use_case import ToyParams

NUMBERS = {"b1": "A1047-220", "b2": "B2001-111", "b3": "C3003-333", "b9": "D9009-999"}
OWNERS = {"b1": "ada", "b2": "ada", "b3": "bob"}
CARDS = {"p1": "ada", "p2": "bob"}
DAY = pd.Timestamp("2026-06-20 10:00")


def shop():
    """Orders of two customers, a delivery of a basket that nobody knows, and a charge-back of each customer."""
    purchases = pd.DataFrame({"customer_id": OWNERS.values(), "basket_id": OWNERS.keys(), "product_id": "77"})
    purchases = purchases.assign(quantity=1, amount=2.5, purchased_at=DAY)
    deliveries = pd.DataFrame({"basket_id": NUMBERS.keys(), "order_number": NUMBERS.values(), "shipped_at": DAY})
    payments = pd.DataFrame({"payment_id": CARDS.keys(), "customer_id": CARDS.values(), "terminal_id": "1-1"})
    payments = payments.assign(amount=2.5, coupon_amount=0.0, n_items=1, channel="till", paid_at=DAY)
    late = pd.Timestamp("2026-06-28 10:00")
    chargebacks = pd.DataFrame({"payment_id": CARDS.keys(), "payment_at": DAY, "reported_at": late, "reason": "stolen"})
    products = pd.DataFrame({"product_id": ["77"], "name": ["Kettle"]})
    tables = (DELIVERIES, CHARGEBACKS, PURCHASES, PAYMENTS, PRODUCTS)  # whoever leads to a customer comes first
    frames = (deliveries, chargebacks, purchases, payments, products)
    return {table.name: frame for table, frame in zip(tables, frames, strict=True)}, tables


@pytest.fixture
def run(tmp_path, keeper, name):
    """Ingest and anonymise the shop as a run of a use case of its own; return the context."""

    def made(number):
        rows, tables = shop()
        land(tmp_path / f"zone-{number}", rows, tables)
        spec = {"kind": "files", "location": str(tmp_path / f"zone-{number}")}
        state = open_source(spec, keeper).freeze(tables, date(2026, 6, 30))
        inputs = {
            "source": {"spec": spec, "digest": state.digest, "last_day": state.last_day.isoformat()},
            "key_ring": KeyRing.open(keeper, name).id,
            "erasures": erasures(keeper, name),
            "pseudonym_key": fingerprint(read_key(keeper)),
        }
        record = SimpleNamespace(name=name, title=name, data=SimpleNamespace(tables=tables))
        params = ToyParams(anonymise=AnonymiseParams(k=2))
        context = StageContext(
            use_case=record, params=params, inputs=inputs, settings=keeper, root=tmp_path / f"run-{number}"
        )
        ingest.run(context)
        shutil.copytree(context.data("ingest") / "tables", context.data("validate") / "tables")
        anonymise.run(context)
        return context

    return made


def raw(context, table, keeper, name):
    """Return what a run stored of a table, opened."""
    opener = Opener(lambda: KeyRing.open(keeper, name))
    parts = [
        pq.read_table(file, partitioning=None) for file in table_files(context.data("ingest") / "tables" / table.name)
    ]
    return opener.open(table, pa.concat_tables(parts)).to_pandas()


def known(context):
    """Return the assistant's histories of a run, by pseudonym."""
    tables = {
        table.name: ibis.memtable(read_table(context.data("anonymise") / "tables" / table.name))
        for table in (PURCHASES, PRODUCTS, DELIVERIES)
    }
    return {row.unit: json.loads(row.history) for row in histories(tables).itertuples()}


def numbers(history):
    return sorted(order["number"] for order in history["orders"])


def test_order_numbers_are_read_back_by_their_customer_alone_and_by_nobody_after_the_erasure(
    run, keeper, object_store, name
):
    context = run(1)
    stored = [
        *files(context.root),
        *((key, Bucket.open(keeper, "serving-keys").get(key)) for key in shares_of(keeper, name)),
    ]
    assert holders(stored, list(NUMBERS.values())) == []
    found, serve = known(context), object_store.settings("serve")
    ada, bob = (pseudonym(read_key(keeper), "customer_id", one) for one in ("ada", "bob"))
    opened = lambda who, whose: OwnValues(Shares.open(serve)).opened(name, who, found[whose])  # noqa: E731 - shorter than a function
    assert numbers(opened(ada, ada)) == ["A1047-220", "B2001-111"]
    assert numbers(opened(bob, bob)) == ["C3003-333"]
    for who in (bob, None, "0" * 32):
        assert not {"A1047-220", "B2001-111"} & set(numbers(opened(who, ada)))
        assert all(len(one) == 8 for one in numbers(opened(who, ada)))
    erase(object_store.settings("custodian"), name, Order(customer="ada", who="dora", why="asked to"))
    assert all(len(one) == 8 for one in numbers(opened(ada, ada)))
    assert numbers(opened(bob, bob)) == ["C3003-333"]
    assert Shares.open(serve).held(name, [ada]) == frozenset()
    assert Shares.open(serve).held(name, [bob]) != frozenset()


def test_a_run_that_was_under_way_gives_the_server_no_key_of_who_was_erased(run, keeper, object_store, name):
    context = run(1)
    ring = KeyRing.open(keeper, name)
    units = {one: pseudonym(read_key(keeper), "customer_id", one) for one in ("ada", "bob")}
    erase(object_store.settings("custodian"), name, Order(customer="ada", who="dora", why="asked to"))
    shares = Shares.open(keeper)
    late = {unit: DataKey(new_key()).serving for unit in units.values()}
    settled(keeper, name, lambda erased: shares.give(name, late, erased))
    assert [bool(shares.held(name, [units[one]])) for one in ("ada", "bob")] == [False, True]
    with pytest.raises(IntegrityBroken, match="erased since"):
        anonymise.run(context)
    assert ring.holds(ring.name("ada"))  # what an older view still knows


@pytest.mark.parametrize("table", [DELIVERIES, CHARGEBACKS])
def test_rows_that_name_no_customer_are_erased_with_the_customer_they_lead_to(run, keeper, object_store, name, table):
    whose, left = (OWNERS, {"b3", "b9"}) if table is DELIVERIES else (CARDS, {"p2"})
    first = run(1)
    assert set(raw(first, table, keeper, name)[table.owner]) >= set(whose)
    erase(object_store.settings("custodian"), name, Order(customer="ada", who="dora", why="asked to"))
    with pytest.raises(IntegrityBroken, match="erased since"):
        raw(first, table, keeper, name)
    assert set(raw(run(2), table, keeper, name)[table.owner]) == left


def test_rows_that_lead_to_nobody_keep_the_tables_key_and_their_number_is_told_to_nobody(run, keeper, name):
    context = run(1)
    ring = KeyRing.open(keeper, name)
    cells = pq.read_table(table_files(context.data("ingest") / "tables" / "deliveries")[0])["order_number"].to_pylist()
    tokens = {ring.by_token[cell[:16]].open("deliveries.order_number", cell): cell[:16] for cell in cells}
    assert tokens["D9009-999"] == ring.of_table("deliveries").token
    assert tokens["A1047-220"] == ring.key(ring.name("ada")).token
    told = read_table(context.data("anonymise") / "tables" / "deliveries")["order_number"]
    assert (told.isna().sum(), told.dropna().str.startswith(OWN).all()) == (1, True)


@hypothesis_settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.none() | st.sampled_from("abcdef"), st.none() | st.sampled_from("xyz")), max_size=30),
    st.lists(st.none() | st.sampled_from("abcdefgh"), max_size=10),
    st.integers(1, 5),
)
def test_whose_a_thing_is_does_not_depend_on_the_order_or_the_pieces_in_which_it_is_told(told, asked, piece):
    both = []
    for rows in (told, told[::-1]):
        owners = Owners()
        for start in range(0, len(rows), piece):
            things, customers = zip(*rows[start : start + piece], strict=True)
            owners.learn(*(pa.chunked_array([pa.array(one, pa.string())]) for one in (things, customers)))
        both.append(owners.of(pa.chunked_array([pa.array(asked, pa.string())])).to_pylist())
    expected = [
        min((who for one, who in told if one == thing and who), default=None) if thing else None for thing in asked
    ]
    assert both == [expected, expected]


def test_no_table_of_any_use_case_names_a_person_or_an_event_that_no_erasure_reaches():
    for use_case in map(load, NAMES):
        by_name = {table.name: table for table in use_case.data.tables}
        for table in by_name.values():
            if table.sealed and any(column.treatment in ("pseudonym", "own") for column in table.columns):
                named = by_name[table.references[table.owner][0]] if table.owner else table
                assert named.subject == "customer_id", (use_case.name, table.name)
    with pytest.raises(ValueError, match="refer to a table"):
        Table(name="t", columns=(Column(name="a", type="string"),), owner="a")


def test_an_event_and_the_shops_table_meet_in_one_order():
    steps = [
        {"number": "A1047-220", "placed": "2026-06-10", "products": [["77", "Kettle"]], "promised": "2026-06-14"},
        {"number": "a1047-220", "placed": "2026-06-13", "delivered": "2026-06-13"},
        {"number": "B2001-111", "placed": "2026-06-12", "products": []},
    ]
    first = facts_of({"orders": steps}, proved=True, today=date(2026, 6, 30)).order("A1047-220")
    assert (first.placed, first.products) == (date(2026, 6, 10), (("77", "Kettle"),))
    assert first.steps == {"promised": date(2026, 6, 14), "delivered": date(2026, 6, 13)}
    assert len(facts_of({"orders": steps}, proved=True, today=date(2026, 6, 30)).orders) == 2


def test_a_value_of_another_customer_or_of_none_is_a_word_that_says_nothing(keeper, object_store, name):
    key, other = DataKey(new_key()), DataKey(new_key())
    text, shares = own("deliveries.order_number", key, "A1047-220"), Shares.open(keeper)
    shares.give(name, {"u1": key.serving, "u2": other.serving})
    values = OwnValues(Shares.open(object_store.settings("serve")))
    read = lambda unit, one: values.opened(name, unit, {"orders": [{"number": one, "n": 1}]})["orders"][0]["number"]  # noqa: E731 - shorter than a function
    assert read("u1", text) == "A1047-220"
    for unit, one in (("u2", text), (None, text), ("u1", text[:-6] + "AAAA=="), ("u1", f"{OWN}x:???"), ("u1", OWN)):
        assert len(read(unit, one)) == 8
    assert read("u1", "A1047-220") == "A1047-220"


def shares_of(keeper, name):
    return list(Bucket.open(keeper, "serving-keys").keys(f"{name}/"))
