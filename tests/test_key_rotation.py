"""The signing key can be replaced, and after a leak what the old one signs is believed no more."""

import json
import os
from datetime import date

import pandas as pd
import pytest
from pydantic import SecretStr

from ml.cli.main import call
from ml.errors import ConfigInvalid, IntegrityBroken
from ml.files import sha256
from ml.packaging.signing import Signer, Verifier, combine, generate_key
from ml.pipeline import accepted, vouch
from ml.registry import erasure_mark, ledger
from ml.registry.entry import Move
from ml.registry.erasure_mark import Mark, Marks
from ml.registry.fetch import fetch_version
from ml.registry.ledger import Ledger
from ml.registry.rotation import vouch as vouch_for
from ml.serving import snapshot
from ml.stack import secret, up
from ml.stack.rotate import OWN, rotate
from tests.promotable_run import walk_in


@pytest.fixture
def pair():
    return generate_key()


@pytest.fixture
def two_versions(ready, promoter, name):
    first, old = ready(seed=1)
    walk_in(promoter, name, first)
    second, new = ready(seed=2, production=old)
    walk_in(promoter, name, second)
    return old, new


def keyed(held, private, *public):
    return held.model_copy(update={"signing_key": SecretStr(private), "verify_key": combine(public)})


def test_beside_the_old_key_a_new_one_signs_and_both_are_believed(ready, promoter, name, two_versions, pair, tmp_path):
    both = keyed(promoter, pair.private, pair.public, promoter.verify_key)
    third, newest = ready(seed=3, production=two_versions[1])
    walk_in(both, name, third)
    assert ledger.live(both, name, "production").digest == newest
    for digest in (*two_versions, newest):
        fetch_version(both, name, digest, tmp_path)
    with pytest.raises(IntegrityBroken, match="signature"):
        ledger.live(promoter, name, "production")


def test_after_a_leak_the_ledger_and_what_is_live_hold_by_the_new_key_alone(
    ready, promoter, name, two_versions, pair, tmp_path
):
    old, live = two_versions
    new = keyed(promoter, pair.private, pair.public)
    with pytest.raises(IntegrityBroken):
        ledger.live(new, name, "production")
    assert vouch_for(promoter, new, name) == (live,)
    assert ledger.live(new, name, "production").digest == live
    assert ledger.verify_ledger(new, name) == 2
    fetch_version(new, name, live, tmp_path)
    with pytest.raises(IntegrityBroken, match="trusted key"):
        fetch_version(new, name, old, tmp_path)
    third, newest = ready(seed=3, production=live)
    walk_in(new, name, third)
    assert ledger.live(new, name, "production").digest == newest


def test_who_holds_the_leaked_key_moves_nothing(promoter, name, two_versions, pair):
    new = keyed(promoter, pair.private, pair.public)
    vouch_for(promoter, new, name)
    thief = promoter.model_copy(update={"verify_key": combine([promoter.verify_key, pair.public])})
    move = Move(channel="production", action="promote", digest=sha256(b"evil"), who="eve", why="profit")
    Ledger.open(thief, name).append(Signer.open(thief), move)
    with pytest.raises(IntegrityBroken, match="signature"):
        ledger.live(new, name, "production")


@pytest.mark.parametrize("is_old_trusted", [True, False])
def test_the_new_key_is_kept_for_the_owner_alone_beside_all_other_secrets(tmp_path, pair, is_old_trusted):
    path = tmp_path / "secrets.json"
    before = secret.load_or_generate(path)
    secret.replace_keys(path, {"signing": pair}, is_old_trusted=is_old_trusted)
    after = json.loads(path.read_text())
    assert path.stat().st_mode & 0o777 == 0o600
    assert after["signing_key"] == pair.private
    assert (before["verify_key"].strip() in after["verify_key"]) is is_old_trusted
    assert {name: after[name] for name in after if name not in ("signing_key", "verify_key")} == {
        name: before[name] for name in before if name not in ("signing_key", "verify_key")
    }


KINDS = {"ingest": "freeze", "train": "train", "judge": "judge"}


@pytest.fixture
def stack(object_store, tmp_path):
    """A stack of its own secrets, equal to the store's: rotating its keys leaves those of other tests alone."""
    (tmp_path / "home").mkdir(mode=0o700)
    path = tmp_path / "home" / "secrets.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps(object_store.secrets))
    port = int(object_store.endpoint.rpartition(":")[2])
    ports = {"s3_port": port, "airflow_port": 2, "server_port": 3, "health_port": 4, "prefix": "tradewind"}
    (tmp_path / "home" / "stack.json").write_text(json.dumps(ports))
    return up.load(path.parent)


def of(stack, role, *names):
    return up.load(stack.home).settings(role, *names)


def test_one_command_replaces_every_signing_key_and_what_was_signed_stays_verifiable(stack, monkeypatch):
    for one in [one for one in os.environ if one.startswith("TRADEWIND_")]:
        monkeypatch.delenv(one)
    said = {role: vouch.sign(of(stack, role, f"{key}_key"), role, "x", {"a": 1}) for role, key in KINDS.items()}
    said["promote"] = Signer.open(of(stack, "promote", "signing_key")).sign("x", b'{"a":1}')
    before = up.load(stack.home).secrets
    assert call(["rotate-key", "--home", str(stack.home)]) == 0
    after = up.load(stack.home).secrets
    changed = {one for one in after if after[one] != before[one]}
    keys = ("signing", *KINDS.values())
    assert changed == {name for key in keys for name in secret.names_of(key)}
    for role, key in KINDS.items():
        assert vouch.verify(of(stack, "read"), role, "x", said[role], {}) == {"a": 1}
        now = vouch.sign(of(stack, role, f"{key}_key"), role, "x", {"a": 2})
        assert vouch.verify(of(stack, "read"), role, "x", now, {}) == {"a": 2}
        with pytest.raises(IntegrityBroken, match="signature"):
            vouch.verify(stack.settings("read"), role, "x", now, {})
    assert Verifier.open(of(stack, "read")).verify(said["promote"], "x") == b'{"a":1}'


def test_after_a_leak_of_all_keys_what_outlives_a_run_holds_and_nothing_else(stack, two_versions, name, tmp_path):
    _, live = two_versions
    custodian, keeper = stack.settings("custodian", "signing_key"), stack.settings("ingest", "freeze_key")
    erasure_mark.write(custodian, Mark(use_case=name, customers=(), units=("u1",), when="2026-12-01"))
    path = tmp_path / "histories.parquet"
    pd.DataFrame({"unit": ["u2"], "history": ["{}"]}).to_parquet(path)
    mark = snapshot.publish(custodian, name, path, date(2026, 6, 30)).mark
    accepted.accept(keeper, name, "run-1", b"{}")
    said, told = (
        {role: vouch.sign(stack.settings(role, f"{key}_key"), role, "x", {}) for role, key in KINDS.items()},
        [],
    )
    rotate(stack, OWN, [name], told.append, leaked=True)
    reader = of(stack, "read")
    assert ledger.live(reader, name, "production").digest == live
    assert Marks(of(stack, "promote"))(name).keys() == {"u1"}
    assert snapshot.newest(reader, name).mark == mark
    assert [one["run_id"] for one in accepted.accepted_runs(of(stack, "ingest"), name)] == ["run-1"]
    for role, envelope in said.items():
        with pytest.raises(IntegrityBroken, match="signature"):
            vouch.verify(reader, role, "x", envelope, {})
    assert len(told) == 3


def test_a_single_key_is_replaced_by_its_name_and_an_unknown_one_is_told(stack):
    before = up.load(stack.home).secrets
    rotate(stack, ["customer"], [], str, leaked=True)
    after = up.load(stack.home).secrets
    assert {one for one in after if after[one] != before[one]} == {"customer_key", "customer_verify_key"}
    with pytest.raises(ConfigInvalid, match="signing, freeze, train, judge, customer"):
        rotate(stack, ["master"], [], str, leaked=False)
