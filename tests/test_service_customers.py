"""A shop may say who wrote an utterance: an erasure then reaches it, and no model sees the name; order numbers stay readable."""

from dataclasses import replace
from datetime import date
from types import SimpleNamespace

import ibis
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from ml.errors import IntegrityBroken, SourceInvalid
from ml.files import table_files
from ml.parameter import Section, UseCaseParams
from ml.pipeline import ingest
from ml.pipeline.context import StageContext
from ml.pipeline.erase import Order, erase
from ml.pipeline.freeze import erasures
from ml.privacy.key_ring import KeyRing
from ml.privacy.seal import Opener
from ml.privacy.treatment import Policy, treat
from ml.sources.opening import open_source
from ml.use_cases.service.corpus import SHIPPED, read_corpus
from ml.use_cases.service.encode import encode
from ml.use_cases.service.params import ServiceFeatures
from ml.use_cases.service.record import USE_CASE
from ml.use_cases.service.sample import sample
from ml.use_cases.service.slot import ORDER_NUMBER
from ml.use_cases.service.table import UTTERANCES
from tests.sample_shop import land

POLICY = Policy(key=b"k" * 32, k=5)


@pytest.fixture
def ingested(tmp_path, keeper, name):
    """Ingest utterances as a run of a use case of its own; return the folder they are stored in."""

    def run(number, rows):
        zone, root = tmp_path / f"zone-{number}", tmp_path / f"run-{number}"
        land(zone, {"utterances": rows}, (UTTERANCES,))
        spec = {"kind": "files", "location": str(zone)}
        state = open_source(spec, keeper).freeze((UTTERANCES,), date(2026, 6, 30))
        source = {"spec": spec, "digest": state.digest, "last_day": state.last_day.isoformat()}
        frozen = {"source": source, "key_ring": KeyRing.open(keeper, name).id, "erasures": erasures(keeper, name)}
        context = StageContext(
            use_case=SimpleNamespace(name=name, data=replace(USE_CASE.data, tables=(UTTERANCES,))),
            params=UseCaseParams(features=Section(), train=Section()),
            inputs=frozen,
            settings=keeper,
            root=root,
        )
        ingest.run(context)
        return context.data("ingest")

    return run


def test_what_an_erased_customer_wrote_is_unreadable_in_every_stored_version(ingested, keeper, object_store, name):
    rows = pd.DataFrame(
        {"language": "en", "intent": "warranty", "text": ["my kettle hums", "my lamp blinks", "is it covered"]}
    ).assign(split="train", customer_id=["ada", "bob", None])

    def read(folder):
        (file,) = table_files(folder / "tables" / "utterances")
        opener = Opener(lambda: KeyRing.open(keeper, name))
        return sorted(opener.open(UTTERANCES, pq.read_table(file))["text"].to_pylist())

    versions = [ingested(1, rows.head(2)), ingested(2, rows)]
    assert read(versions[1]) == sorted(rows.text)
    order = Order(customer="ada", who="dora", why="asked on Monday")
    erase(object_store.settings("custodian"), name, order)
    for folder in versions:
        with pytest.raises(IntegrityBroken, match="erased since"):
            read(folder)
        assert not [path for path in folder.rglob("*") if path.is_file() and b"kettle" in path.read_bytes()]
    assert read(ingested(3, rows)) == ["is it covered", "my lamp blinks"]


def test_examples_and_state_are_the_same_whoever_wrote_the_utterances():
    tables = sample(np.random.default_rng(3), 8)
    assert tables["utterances"].customer_id.notna().any()
    nobody = tables["utterances"].assign(customer_id=pd.Series(None, index=tables["utterances"].index, dtype="str"))
    named, unnamed = (
        USE_CASE.data.build(
            {table: ibis.memtable(rows) for table, rows in {**tables, "utterances": own}.items()}, ServiceFeatures()
        )
        for own in (tables["utterances"], nobody)
    )
    for split, rows in named.splits.items():
        pd.testing.assert_frame_equal(rows, unnamed.splits[split])
        assert not {"customer_id"} & set(rows.columns)
    assert named.state == unnamed.state
    assert not [name for name in set(tables["utterances"].customer_id.dropna()) if name in str(named.state)]


def test_a_shops_file_may_name_its_customers_and_no_other_column(tmp_path):
    for file in ("intents.csv", "utterances.csv"):
        (tmp_path / file).write_text((SHIPPED / file).read_text())
    shipped, own = pd.read_csv(SHIPPED / "utterances.csv", dtype=str), tmp_path / "utterances.csv"
    shipped.assign(customer_id=np.where(shipped.index % 2, "ada", "")).to_csv(own, index=False)
    assert read_corpus(tmp_path) == read_corpus()
    shipped.assign(customer="ada").to_csv(own, index=False)
    with pytest.raises(SourceInvalid, match="the columns language, intent, text, split"):
        read_corpus(tmp_path)


def test_order_numbers_stay_where_phone_numbers_go():
    texts = [one.text for one in read_corpus().utterances if ORDER_NUMBER.search(one.text)]
    texts += ["call +49 171 2345678 about A1047-220", "我的订单 B3392-705 到了吗？电话 13812345678"]
    rows = pd.DataFrame({"language": "en", "intent": "x", "text": texts, "split": "train", "customer_id": None})
    left = treat(rows, UTTERANCES, POLICY).rows.text
    found = sorted(number for text in left for number in ORDER_NUMBER.findall(text))
    assert found == sorted(number for text in texts for number in ORDER_NUMBER.findall(text))
    assert "call [PHONE] about A1047-220" in set(left)
    assert "我的订单 B3392-705 到了吗？电话 [PHONE]" in set(left)


def test_the_model_reads_an_order_number_as_nothing():
    state = {"vocabulary": ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "any", "news", "on", "?"], "han": [], "longest": 16}
    with_number, without = (
        encode(pd.DataFrame({"text": [text]}), state)["tokens"] for text in ("any news on A1047-220?", "any news on ?")
    )
    assert with_number.tolist() == without.tolist()
