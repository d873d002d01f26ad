"""Operations get encrypted values back by a pseudonym, after the ledger says who asked; nobody else and nothing else does."""

import hmac
from dataclasses import replace

import pandas as pd
import pyarrow as pa
import pytest
import yaml

from ml.contract import Column, Table
from ml.errors import ConfigInvalid, ModelNotFound
from ml.files import write_parquet
from ml.pipeline import frozen
from ml.pipeline.decrypt import Question, decrypt
from ml.pipeline.handover import lock_of
from ml.pipeline.workspace import run_stage, single
from ml.privacy.key_ring import KeyRing
from ml.privacy.seal import Sealer
from ml.registry import ledger
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
    document = {"stages": {"anonymise": {"foreach": "${use_cases}", "do": stage}}}
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump(document))
    files = {"inputs.json": b"{}", "params.yaml": b"{}", "dvc.yaml": single(name, tmp_path)}
    frozen.keep(keeper, name, "run-1", files)
    run_stage(object_store.settings("ingest", home=tmp_path / "home"), name, "run-1", "anonymise", tmp_path)
    root, _ = packaged_run(tmp_path, promoter, name)
    (root / "dvc.lock").write_text(yaml.safe_dump(lock_of(promoter, name, "run-1", ["anonymise"])))
    walk_in(promoter, name, root)
    toy = use_case(name)
    return replace(toy, data=replace(toy.data, tables=(ACCOUNTS,)))


def test_a_value_comes_back_and_the_ledger_says_who_asked(record, object_store, tmp_path, name):
    custodian = object_store.settings("custodian", home=tmp_path / "elsewhere")
    asked = Question(table="accounts", column="email", unit="u2", who="olga", why="parcel lost")
    assert decrypt(custodian, record, asked) == ["b@shop.example"]
    entry = ledger.history(custodian, name)[-1]
    key = bytes.fromhex(object_store.secrets["master_key"])
    named = hmac.new(key, b"tradewind decrypt u2", "sha256").hexdigest()[:32]
    assert (entry.action, entry.who, entry.why) == ("decrypt", "olga", f"accounts.email of {named}: parcel lost")
    with pytest.raises(ModelNotFound, match="u9"):
        decrypt(custodian, record, replace(asked, unit="u9"))
    with pytest.raises(ConfigInvalid, match=r"accounts\.email"):
        decrypt(custodian, record, replace(asked, column="customer_id"))
    with pytest.raises(ConfigInvalid):
        decrypt(object_store.settings("train", signing_key=object_store.secrets["signing_key"]), record, asked)
