"""Who may write the bucket `state`, or `runs`, and has no key: has nobody dropped, brings nobody back, changes no history."""

import json
import os
from datetime import UTC, date, datetime

import pandas as pd
import pytest

from ml.cli.main import call
from ml.errors import IntegrityBroken
from ml.files import canonical, sha256
from ml.packaging.signing import Signer, Verifier, generate_key
from ml.pipeline.adopt import adopt_marks
from ml.pipeline.erase import Order, erase
from ml.pipeline.freeze import erasures
from ml.pipeline.ledger_audit import audit
from ml.privacy.key_ring import KeyRing
from ml.privacy.pseudonym import pseudonym, read_key
from ml.registry import erasure, ledger
from ml.registry.entry import Move
from ml.registry.erasure import Erasure
from ml.registry.erasure_mark import Marks, in_force
from ml.registry.old_mark import adoption_key
from ml.serving import snapshot
from ml.serving.snapshot_record import record_key, signed, unsigned
from ml.serving.state import Snapshot, StateStore
from ml.store import Bucket

CUSTOMERS = ("ada", "bob", "eve")
MOMENT = b"2026-01-01T00:00:00.000+00:00"


class World:
    """One use case of three customers, an honest publisher, a server, and an intruder."""

    def __init__(self, store, name, folder):
        self.store, self.name, self.folder = store, name, folder
        self.custodian, self.promoter, self.keeper = (store.settings(one) for one in ("custodian", "promote", "ingest"))
        self.intruder = Bucket.open(store.settings("serve"), "state")
        """The bucket `state` as somebody sees it who may write it and holds no key."""
        key = read_key(self.custodian)
        self.units = {one: pseudonym(key, "customer_id", one) for one in CUSTOMERS}
        self.disk = StateStore(folder / "state.sqlite")

    def publish(self, *customers):
        path = self.folder / "histories.parquet"
        units = [self.units[one] for one in customers or CUSTOMERS]
        pd.DataFrame({"unit": units, "history": "{}"}).to_parquet(path)
        return snapshot.publish(self.promoter, self.name, path, date(2026, 6, 30))

    def known(self):
        """Return whose histories are published."""
        by_unit = {unit: one for one, unit in self.units.items()}
        return {by_unit[unit] for unit, _ in snapshot.read(snapshot.published(self.promoter, self.name))}

    def follow(self):
        """Let the server look; return what it serves then."""
        verifier = Verifier.open(self.promoter)
        return snapshot.follow(self.intruder, verifier, self.disk, self.name, lambda unit, history, event: {})

    def ring(self, customer):
        return KeyRing.open(self.keeper, self.name).name(customer)

    def mark(self, *customers):
        for one in customers:
            self.intruder.put(f"{self.name}/erased/{self.units[one]}", MOMENT)

    def adopt(self, **more):
        return adopt_marks(self.custodian, self.name, "dora", **more)

    def erase(self, customer):
        erase(self.custodian, self.name, Order(customer=customer, who="dora", why="asked", anyway=True))

    def erased_before(self, *customers):
        """Leave what erasures of 2026-11 left: marks, a list, and for each a proof and an entry that names no request."""
        ring, bucket = KeyRing.open(self.keeper, self.name), Bucket.open(self.custodian, "ledger")
        names = [ring.name(one) for one in customers]
        Bucket.open(self.custodian, "runs").put(f"{self.name}/erasures.json", canonical(names))
        self.mark(*customers)
        about = {"use_case": self.name, "key_ring": ring.id, "versions": (), "policy": "retrain", "because": ""}
        about |= {"who": "dora", "when": datetime.now(UTC).isoformat(), "why": "asked"}
        for one in names:
            told = erasure.keep(bucket, self.name, Erasure(customer=one, **about).sealed(Signer.open(self.custodian)))
            move = Move(channel="privacy", action="erase", digest=None, who="dora", why="asked", record=told)
            ledger.tell(self.custodian, self.name, move)


@pytest.fixture
def world(object_store, name, tmp_path):
    world = World(object_store, name, tmp_path)
    yield world
    world.disk.close()


def test_where_nobody_was_erased_by_an_older_version_a_planted_mark_drops_nobody(world):
    world.mark(*CUSTOMERS)
    Bucket.open(world.keeper, "runs").put(f"{world.name}/erasures.json", canonical([world.ring("bob")]))
    world.publish()
    assert world.known() == set(CUSTOMERS)
    for role in ("serve", "promote", "ingest", "custodian"):
        assert Marks(world.store.settings(role))(world.name) == {}
    assert erasures(world.keeper, world.name) == []
    (problem,) = world.adopt().problems
    assert "1 names and 3 pseudonyms are marked as erased without a signature, and 0 erasures" in problem
    assert ledger.history(world.custodian, world.name) == ()
    world.erase("ada")
    world.publish()
    assert world.known() == {"bob", "eve"}


def test_old_marks_hold_until_they_are_adopted_and_after(world):
    world.erased_before("ada")
    world.publish()
    assert world.known() == {"bob", "eve"}
    assert erasures(world.keeper, world.name) == [world.ring("ada")]
    assert [world.adopt().marks, world.adopt().marks] == [2, 0]
    assert list(world.intruder.keys(f"{world.name}/erased/")) == []
    entry = ledger.history(world.custodian, world.name)[-1]
    assert (entry.action, entry.who) == ("adopt", "dora")
    world.publish()
    assert world.known() == {"bob", "eve"}
    world.mark("bob")
    world.publish()
    assert world.known() == {"bob", "eve"}
    assert Marks(world.store.settings("serve"))(world.name).keys() == {world.units["ada"]}
    assert "came after" in world.adopt(unproven=True).problems[0]


def test_what_was_adopted_stands_in_the_ledger_and_is_audited(world):
    world.erased_before("ada")
    world.adopt()
    reader, bucket = world.store.settings("read"), Bucket.open(world.custodian, "ledger")
    place = adoption_key(world.name, ledger.history(reader, world.name)[-1].record)
    listed = json.loads(bucket.get(place))
    assert (listed["units"], listed["names"]) == ([world.units["ada"]], [world.ring("ada")])
    assert audit(reader, world.name).documents == 2
    bucket.put(place, canonical({**listed, "units": [world.units["bob"]]}))
    with pytest.raises(IntegrityBroken, match="the list of what was adopted"):
        audit(reader, world.name)


def test_marks_beyond_what_was_erased_wait_for_a_person_and_the_erased_stay_out_meanwhile(world):
    world.erased_before("ada")
    world.mark("bob")
    assert "2 pseudonyms are marked" in world.adopt().problems[0]
    world.publish()
    assert world.known() == {"eve"}  # nobody can tell which of the two is forged
    world.intruder.delete(f"{world.name}/erased/{world.units['bob']}")
    assert world.adopt().problems == ()
    world.publish()
    assert world.known() == {"bob", "eve"}


def test_an_adoption_that_was_killed_goes_on(world):
    world.erased_before("ada")
    world.adopt()
    world.mark("ada")
    assert world.adopt().problems == ()
    assert list(world.intruder.keys(f"{world.name}/erased/")) == []
    assert in_force(world.custodian, world.name).keys() == {world.units["ada"]}


def test_the_command_says_what_it_signed_and_ends_with_7_while_something_unsigned_is_left(world, monkeypatch, capsys):
    held = {name: value for name, value in world.custodian.model_dump(mode="json").items() if isinstance(value, str)}
    held |= {name: world.store.secrets[name] for name in ("signing_key", "master_key", "pseudonym_key")}
    held |= {"s3_secret_key": world.store.secrets["s3_custodian_secret_key"]}
    for one in [one for one in os.environ if one.startswith("TRADEWIND_")]:
        monkeypatch.delenv(one)
    for one, value in held.items():
        monkeypatch.setenv(f"TRADEWIND_{one.upper()}", value)
    world.erased_before("ada")
    world.mark("bob")
    assert call(["adopt", "--use-case", world.name]) == IntegrityBroken.exit_code
    assert "2 pseudonyms are marked as erased without a signature" in capsys.readouterr().err
    assert call(["adopt", "--use-case", world.name, "--unproven"]) == 0
    assert "signed 3 marks of erasures" in capsys.readouterr().out
    world.mark("eve")
    assert call(["erasures", "--use-case", world.name]) == IntegrityBroken.exit_code
    assert "count for nothing" in capsys.readouterr().err
    world.publish()
    assert world.known() == {"eve"}


def forgeries(world):
    """Yield what an intruder can put in the record's place."""
    table = world.intruder.get(world.publish().table)
    older = world.intruder.get(record_key(world.name))
    kept = snapshot.newest(world.promoter, world.name).table
    world.publish("ada")
    world.intruder.put(kept, table)  # of the time before, put back
    forged = Snapshot(mark=sha256(table), as_of="2026-07-01", table=kept, number=9**15)
    own = Signer(generate_key().private)
    yield "unsigned", unsigned(forged)
    yield "another key", signed(world.name, forged, own)
    yield "another use case", signed("another", forged, Signer.open(world.promoter))
    yield "older", older


@pytest.mark.parametrize("forgery", ["unsigned", "another key", "another use case", "older"])
def test_histories_that_promotion_did_not_sign_last_are_not_served(world, forgery):
    records = dict(forgeries(world))
    assert (world.follow().units, world.known()) == (1, {"ada"})
    world.intruder.put(record_key(world.name), records[forgery])
    with pytest.raises(IntegrityBroken):
        world.follow()
    assert world.disk.snapshot(world.name).units == 1
    if forgery != "older":  # a server remembers; who starts without a memory cannot know that it is old
        with pytest.raises(IntegrityBroken):
            world.known()
    world.publish("bob")
    assert (world.follow().units, world.known()) == (1, {"bob"})


def test_a_table_that_the_signed_record_does_not_name_is_not_served(world):
    world.publish("ada")
    world.follow()
    table = world.publish("bob").table
    world.intruder.put(table, b"PAR1 other bytes PAR1")
    with pytest.raises(IntegrityBroken):
        world.follow()
    with pytest.raises(IntegrityBroken):
        world.known()


def test_an_erasure_signs_no_table_that_was_put_in_the_place_of_another(world):
    planted = world.intruder.get(world.publish("ada", "bob").table)
    before = world.publish()
    world.intruder.put(before.table, planted)
    world.erase("ada")
    assert snapshot.newest(world.promoter, world.name) == before
    assert world.intruder.find(before.table) is None
    world.publish()
    assert world.known() == {"bob", "eve"}
