"""Operations get encrypted values back by a pseudonym, after the ledger says who asked; nobody else and nothing else does."""

import json
from dataclasses import replace

import pandas as pd
import pyarrow as pa
import pytest
import yaml

from ml.contract import Column, Table
from ml.errors import ConfigInvalid, ModelNotFound
from ml.files import write_parquet
from ml.pipeline.decrypt import Question, decrypt
from ml.pipeline.workspace import run_key, run_stage
from ml.privacy.key_ring import KeyRing
from ml.privacy.seal import Sealer
from ml.registry import ledger
from ml.store import Bucket
from tests.promotable_run import packaged_run, use_case, walk_in

ACCOUNTS = Table(
    name="accounts",
    columns=(
        Column(name="customer_id", type="string", treatment="pseudonym"),
        Column(name="email", type="string", treatment="encrypt"),
    ),
)


@pytest.fixture
def record(object_store, keeper, promoter, name, tmp_path):
    """A use case whose live run left a sealed table in the real DVC remote."""
    rows = pa.table({"customer_id": ["ada", "bob"], "email": ["a@shop.example", "b@shop.example"]})
    sealed = pa.concat_tables(Sealer(KeyRing.open(keeper, name), ()).seal(ACCOUNTS, [rows])).to_pandas()
    folder = tmp_path / "made" / "sealed" / "accounts"
    write_parquet(folder / "all.parquet", pd.DataFrame({"customer_id": ["u1", "u2"], "email": sealed.email}))
    stage = {
        "cmd": f"mkdir -p data/{name} && cp -r {tmp_path}/made data/{name}/anonymise",
        "outs": [f"data/{name}/anonymise"],
    }
    document = {"stages": {"anonymise": {"foreach": [name], "do": stage}}}
    runs = Bucket.open(keeper, "runs")
    for file, data in (
        ("inputs.json", json.dumps({}).encode()),
        ("params.yaml", b"{}\n"),
        ("dvc.yaml", yaml.safe_dump(document).encode()),
    ):
        runs.put(run_key(name, "run-1", file), data)
    run_stage(object_store.settings("ingest", home=tmp_path / "home"), name, "run-1", "anonymise")
    walk_in(promoter, name, packaged_run(tmp_path, promoter, name)[0])
    toy = use_case(name)
    return replace(toy, data=replace(toy.data, tables=(ACCOUNTS,)))


def test_a_value_comes_back_and_the_ledger_says_who_asked(record, object_store, tmp_path, name):
    custodian = object_store.settings("custodian", home=tmp_path / "elsewhere")
    asked = Question(table="accounts", column="email", unit="u2", who="olga", why="parcel lost")
    assert decrypt(custodian, record, asked) == ["b@shop.example"]
    entry = ledger.history(custodian, name)[-1]
    assert (entry.action, entry.who, entry.why) == ("decrypt", "olga", "accounts.email of u2: parcel lost")
    with pytest.raises(ModelNotFound, match="u9"):
        decrypt(custodian, record, replace(asked, unit="u9"))
    with pytest.raises(ConfigInvalid, match=r"accounts\.email"):
        decrypt(custodian, record, replace(asked, column="customer_id"))
    with pytest.raises(ConfigInvalid):
        decrypt(object_store.settings("train", signing_key=object_store.secrets["signing_key"]), record, asked)
