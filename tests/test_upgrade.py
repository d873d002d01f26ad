"""A store that the code of 2026-11-26 (commit c05a285) wrote keeps its ledger, versions, decisions and erasures.

`old_store.tar.xz` holds its objects and secrets: two promoted versions of `promotable_run`, histories of three customers, a
waived rule, and an erasure. That code ran in a checkout of its own; nothing of today wrote any of it.
"""

import json
import tarfile
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from ml.config import BUCKETS
from ml.errors import ConfigInvalid, GateFailed, IntegrityBroken
from ml.packaging import golden
from ml.pipeline.adopt import adopt_marks
from ml.pipeline.decision import in_force as decisions_in_force
from ml.pipeline.erase import Order, erase, erase_again
from ml.pipeline.freeze import erasures
from ml.pipeline.ledger_audit import audit
from ml.privacy.key_ring import KeyRing
from ml.privacy.pseudonym import pseudonym, read_key
from ml.registry import ledger
from ml.registry.collect import Kept, collect
from ml.registry.erasure_mark import Marks, in_force
from ml.registry.fetch import fetch_version
from ml.registry.old_mark import adopted
from ml.serving import snapshot
from ml.serving.snapshot_record import record_key
from ml.stack import secret
from ml.stack import up as stack
from ml.stack.carry_over import MARKER, carry_over, note_new
from ml.store import Bucket
from tests.conftest import running_store
from tests.promotable_run import packaged_run, roll_back, use_case, walk_in

OLD = Path(__file__).with_name("old_store.tar.xz")
NAME = "toy"


@pytest.fixture(scope="module")
def old():
    """What the archive holds, by path."""
    with tarfile.open(OLD) as archive:
        return {one.name: archive.extractfile(one).read() for one in archive}


@pytest.fixture(scope="module")
def facts(old):
    return json.loads(old["facts.json"])


@pytest.fixture(scope="module")
def store(old, tmp_path_factory):
    """The old store with its old secrets, to which the first start adds what today's code needs."""
    home = tmp_path_factory.mktemp("old")
    before = json.loads(old["secrets.json"])
    (home / "secrets.json").touch(mode=0o600)
    (home / "secrets.json").write_bytes(old["secrets.json"])
    after = secret.load_all(home / "secrets.json")
    assert {name: after[name] for name in before} == before
    with running_store(home) as running:
        admin = running.settings("read").model_copy(
            update={
                "s3_access_key": after["s3_admin_access_key"],
                "s3_secret_key": running.settings("read", s3_secret_key=after["s3_admin_secret_key"]).s3_secret_key,
            }
        )
        for bucket in BUCKETS:
            place = Bucket.open(admin, bucket)
            for name, data in old.items():
                if name.startswith(f"{bucket}/"):
                    place.put(name.removeprefix(f"{bucket}/"), data)
        yield running


def test_the_ledger_and_all_that_it_names_hold(store, facts):
    held = audit(store.settings("read"), NAME)
    assert held.entries >= 4
    entries = ledger.history(store.settings("read"), NAME)
    assert [one.action for one in entries][:4] == ["promote", "promote", "decide", "erase"]
    assert [one.to_digest for one in entries[:2]] == facts["versions"]
    assert ledger.repair(store.settings("promote"), NAME) == ()


def test_each_version_is_fetched_and_answers_as_it_did(store, facts, tmp_path):
    for digest in facts["versions"]:
        folder = fetch_version(store.settings("serve"), NAME, digest, tmp_path)
        assert golden.replay(use_case(NAME), folder) == 20


def test_a_decision_stays_in_force_until_its_day(store):
    entries = ledger.history(store.settings("read"), NAME)
    (told,) = decisions_in_force(entries, date(2027, 1, 24))
    assert (told["rule"], told["by"], told["reason"]) == ("purchases.fresh", "olga", "the till was down")
    assert decisions_in_force(entries, date(2027, 1, 25)) == []


def test_the_erasure_is_honoured_before_anybody_adopts_it_and_after(store, facts):
    custodian, ada = store.settings("custodian"), facts["units"][facts["erased"]]
    assert pseudonym(read_key(custodian), "customer_id", facts["erased"]) == ada
    ring = KeyRing.open(custodian, NAME)
    assert {ring.holds(ring.name(one)) for one in ("bob", "eve")} == {True}
    assert not ring.holds(ring.name(facts["erased"]))
    for removed in (1, 0):  # once: the old record of the histories names the pseudonym itself
        assert set(Marks(store.settings("promote"))(NAME)) == {ada}
        assert set(Marks(store.settings("serve"))(NAME)) == {ada}
        assert erasures(store.settings("ingest"), NAME) == [ring.name(facts["erased"])]
        assert set(in_force(store.settings("promote"), NAME)) == {ada}
        assert erase_again(custodian, NAME) == removed
    again = erase(custodian, NAME, Order(customer=facts["erased"], who="dora", why="asked again"))
    assert again.erasure.customer == ring.name(facts["erased"])


def test_after_the_adoption_nobody_who_writes_the_old_places_has_anybody_dropped(store, facts):
    custodian, entries = store.settings("custodian"), ledger.history(store.settings("read"), NAME)
    (adoption,) = [one for one in entries if one.action == "adopt"]
    assert adopted(custodian, NAME, entries).units == (facts["units"][facts["erased"]],)
    assert audit(store.settings("read"), NAME).documents > 0
    before = set(Marks(custodian)(NAME))
    planted = f"{NAME}/erased/{facts['units']['bob']}"
    Bucket.open(store.settings("serve"), "state").put(planted, b"2026-01-01")
    Bucket.open(store.settings("ingest"), "runs").put(f"{NAME}/erasures.json", b'["planted"]')
    assert set(Marks(custodian)(NAME)) == before
    assert "planted" not in Marks(custodian).customers(NAME)
    (problem,) = adopt_marks(custodian, NAME, "dora", unproven=True).problems
    assert "2 unsigned marks of erasures came after" in problem
    assert [one for one in ledger.history(custodian, NAME) if one.action == "adopt"] == [adoption]
    Bucket.open(custodian, "state").delete(planted)
    Bucket.open(custodian, "runs").delete(f"{NAME}/erasures.json")


def test_the_first_start_signs_the_old_histories_once_and_what_is_planted_later_is_signed_by_nobody(
    store, facts, tmp_path
):
    promoter, left = store.settings("promote"), {facts["units"][one] for one in ("bob", "eve")}
    with pytest.raises(IntegrityBroken, match="tradewind adopt"):
        snapshot.published(promoter, NAME)
    told, state = [], Bucket.open(store.settings("serve"), "state")
    old = state.get(record_key(NAME))
    carry_over(tmp_path, store.settings("custodian"), told.append, [NAME])
    assert (tmp_path / MARKER).exists()
    assert told == [f"{NAME}: signed what an earlier version left unsigned; the ledger says what"]
    assert {unit for unit, _ in snapshot.read(snapshot.published(promoter, NAME))} == left
    state.put(record_key(NAME), old)
    carry_over(tmp_path, store.settings("custodian"), told.append, [NAME])
    carry_over(tmp_path / "another", store.settings("custodian"), told.append, [NAME])
    assert "Unsigned histories, though those of before were signed" in told[-1]
    with pytest.raises(IntegrityBroken, match="an unsigned record"):
        snapshot.published(promoter, NAME)


def test_a_home_that_was_never_of_an_older_version_takes_nothing_over(store, facts, tmp_path):
    note_new(tmp_path)
    carry_over(tmp_path, store.settings("custodian"), pytest.fail, [NAME])


def test_a_publication_leaves_the_erased_out(store, facts, tmp_path):
    promoter, left = store.settings("promote"), {facts["units"][one] for one in ("bob", "eve")}
    everybody = tmp_path / "histories.parquet"
    pd.DataFrame({"unit": sorted(facts["units"].values()), "history": ["{}"] * 3}).to_parquet(everybody)
    snapshot.publish(promoter, NAME, everybody, date(2026, 12, 1))
    assert {unit for unit, _ in snapshot.read(snapshot.published(promoter, NAME))} == left


def test_life_goes_on_with_a_rollback_and_a_collection(store, facts, tmp_path):
    promoter, first = store.settings("promote"), facts["versions"][0]
    assert roll_back(promoter, NAME, first).is_new
    assert collect(promoter, NAME, Kept(), "ada").versions == ()
    assert ledger.live(store.settings("read"), NAME, "production").digest == first
    root, _ = packaged_run(tmp_path, promoter, NAME, seed=7, production=first)  # frozen without the old erasure
    with pytest.raises(GateFailed, match="knows of all erasures"):
        walk_in(promoter, NAME, root)
    assert audit(store.settings("read"), NAME).entries >= 5


def test_a_record_of_ports_from_before_the_health_listener_is_read(tmp_path):
    before = {"s3_port": 1, "airflow_port": 2, "server_port": 3, "prefix": "tradewind"}
    (tmp_path / "stack.json").write_text(json.dumps(before))
    found = stack.load(tmp_path)
    assert (found.s3_port, found.server_port, found.health_port) == (1, 3, None)
    assert found.addresses().server_url == "http://127.0.0.1:3"
    (tmp_path / "stack.json").write_text(json.dumps({**before, "prefix": 5}))
    with pytest.raises(ConfigInvalid, match="another shape"):
        stack.load(tmp_path)


def test_the_archive_was_written_by_nothing_of_today(old):
    assert not [name for name in old if name.startswith(("erasures/", "serving-keys/"))]
    assert b"judge" not in old["secrets.json"]
