"""Erasing a customer destroys their keys, names the models that saw them, is proven, and survives being killed."""

import base64
import gzip
import hashlib
import io
import json
import mmap
import os
import re
import subprocess
import sys
import tempfile
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from itertools import product
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import SecretStr

from ml.config import BUCKETS, GRANTS, ROLES
from ml.contract import Column, Table
from ml.errors import ConfigInvalid, GateFailed, IntegrityBroken, ModelNotFound
from ml.files import canonical, write_parquet
from ml.packaging.signing import Verifier, generate_key
from ml.pipeline.erase import Order, erase, erase_again, plan
from ml.pipeline.freeze import erasures
from ml.privacy.key_ring import KeyRing
from ml.privacy.overwrite import copies, overwrite
from ml.privacy.pseudonym import pseudonym, read_key
from ml.privacy.seal import Opener, Sealer
from ml.registry import erasure, erasure_mark, ledger
from ml.registry.erasure_mark import Mark, Marks
from ml.serving import snapshot
from ml.serving.conversation import Conversations
from ml.serving.forget import forget, forget_on_server, traces
from ml.serving.request_log import KINDS, RequestLog
from ml.serving.state import Event, StateStore
from ml.store import Bucket
from tests.promotable_run import PROJECT, environment_of, packaged_run, roll_back, walk_in

MAILS = Table(
    name="mails",
    columns=(
        Column(name="customer_id", type="string", treatment="pseudonym"),
        Column(name="text", type="string", treatment="redact"),
    ),
)
ADA = "ada-of-the-till"  # neither hexadecimal nor base64 has a dash, so no digest holds it by chance
ROWS = pa.table({"customer_id": [ADA, "bob", "eve"], "text": ["my tea", "my cup", "my pot"]})


@pytest.fixture
def custodian(object_store):
    return object_store.settings("custodian")


def stored(keeper, name, rows=ROWS):
    """Seal rows and store them with their index as a DVC remote does; return the rows and the hash of the folder."""
    sealer, raw = Sealer(KeyRing.open(keeper, name), ()), Bucket.open(keeper, "raw")
    kept = pa.concat_tables(sealer.seal(MAILS, [rows]))
    sink = io.BytesIO()
    pq.write_table(pa.table({"token": pa.array(sorted(sealer.tokens), pa.binary())}), sink)
    file = hashlib.md5(sink.getvalue(), usedforsecurity=False).hexdigest()
    listed = json.dumps([{"md5": file, "relpath": "subjects.parquet"}]).encode()
    folder = hashlib.md5(listed, usedforsecurity=False).hexdigest() + ".dir"
    for md5, data in ((file, sink.getvalue()), (folder, listed)):
        raw.put(f"dvc/files/md5/{md5[:2]}/{md5[2:]}", data)
    return kept, folder


@pytest.fixture
def versions(tmp_path, promoter, keeper, name):
    """Three versions: of data with all customers, of data without Ada, and of data that nobody has any more."""
    made = [None]
    for seed, folder in enumerate((stored(keeper, name)[1], stored(keeper, name, ROWS.slice(1))[1], "0" * 32 + ".dir")):
        root, digest = packaged_run(tmp_path, promoter, name, seed, made[-1], ingested=folder)
        walk_in(promoter, name, root)
        made.append(digest)
    return made[1:]


def order(**changes):
    return Order(**{"customer": ADA, "who": "dora", "why": "asked on Monday", **changes})


def test_the_versions_that_saw_the_customer_are_named_and_it_is_proven(custodian, keeper, name, versions):
    kept, _ = stored(keeper, name)
    done = erase(custodian, name, order()).erasure
    told = {one.digest: (one.channels, one.is_certain) for one in done.versions}
    assert told == {versions[0]: ((), True), versions[2]: (("production",), False)}
    entry = ledger.history(custodian, name)[-1]
    assert (entry.action, entry.who, entry.why) == ("erase", "dora", "asked on Monday")
    proof = Bucket.open(custodian, "ledger").get(erasure.proof_key(name, entry.record))
    assert erasure.opened(proof, Verifier.open(custodian)) == done
    assert list(erasure.of_version(custodian, ledger.Ledger.open(custodian, name), versions[0])) == [done]
    assert list(erasure.of_version(custodian, ledger.Ledger.open(custodian, name), versions[1])) == []
    assert ledger.repair(custodian, name) == ()
    with pytest.raises(IntegrityBroken, match="erased since"):
        Opener(lambda: KeyRing.open(keeper, name)).open(MAILS, kept)


EMPTY = io.BytesIO()
pq.write_table(pa.table({"token": pa.array([], pa.binary())}), EMPTY)
OTHERS = {"garbage": b"garbage", "depth": b"[" * 100_000, "a number": b"5", "a table of nobody": EMPTY.getvalue()}


@pytest.mark.parametrize("trick", product(["the list", "the subjects"], OTHERS))
def test_data_that_are_not_stored_as_they_were_count_as_the_customers(custodian, keeper, promoter, ready, name, trick):
    of, planted = trick
    raw, folder = Bucket.open(keeper, "raw"), stored(keeper, name)[1]
    root, digest = ready(ingested=folder)
    walk_in(promoter, name, root)
    place = lambda md5: f"dvc/files/md5/{md5[:2]}/{md5[2:]}"  # noqa: E731 - shorter than a function
    md5 = folder if of == "the list" else json.loads(raw.get(place(folder)))[0]["md5"]
    raw.put(place(md5), OTHERS[planted])
    (touched,) = erase(custodian, name, order()).erasure.versions
    assert (touched.digest, touched.is_certain) == (digest, False)


@pytest.mark.parametrize("planted", [b"garbage", b"[" * 100_000, b"5"])
def test_a_list_of_before_that_nobody_can_read_is_named_with_its_remedy(custodian, keeper, name, planted):
    stored(keeper, name)
    Bucket.open(custodian, "runs").put(f"{name}/erasures.json", planted)
    with pytest.raises(IntegrityBroken, match=rf"{name}/erasures\.json.*Restore it from a copy"):
        erase(custodian, name, order())


def test_neither_proof_nor_ledger_holds_what_a_reason_says_of_the_person(custodian, keeper, name):
    stored(keeper, name)
    said = {"why": f"{ADA} asked, anna.k@planted.example", "because": f"call +44 7911 123456, customer {ADA}."}
    erase(custodian, name, order(policy="keep", **said))
    places = [("keys", f"{name}/erasures/"), ("ledger", f"{name}/"), ("ledger", f"erasures/{name}/")]
    buckets = [(Bucket.open(custodian, bucket), prefix) for bucket, prefix in places]
    kept = [bucket.get(key) for bucket, prefix in buckets for key, _ in bucket.entries(prefix)]
    kept += [base64.b64decode(json.loads(data)["payload"]) for data in kept if b'"payload"' in data]
    assert len(kept) == 5
    assert not [data for data in kept for word in (ADA, "anna.k", "7911") if word.encode() in data]
    assert ledger.history(custodian, name)[-1].why == "[NAME] asked, [EMAIL]"


def test_the_next_run_leaves_the_customer_out_and_what_is_kept_names_nobody(custodian, keeper, name):
    stored(keeper, name)
    done = erase(custodian, name, order()).erasure
    assert erasures(keeper, name) == [done.customer]
    sealer = Sealer(KeyRing.open(keeper, name), erasures(keeper, name))
    assert sum(map(len, sealer.seal(MAILS, [ROWS]))) == 2
    unit = pseudonym(read_key(custodian), "customer_id", ADA)
    kept = []
    for bucket, prefix in (("keys", f"{name}/"), ("ledger", f"{name}/"), ("ledger", f"erasures/{name}/")):
        place = Bucket.open(custodian, bucket)
        kept += [place.get(key) for key, _ in place.entries(prefix)]
    assert len(kept) == 4
    kept += [base64.b64decode(json.loads(data)["payload"]) for data in kept if b'"payload"' in data]
    assert not [data for data in kept if unit.encode() in data or ADA.encode() in data]


def test_to_ask_again_changes_nothing(custodian, keeper, name):
    stored(keeper, name)
    first = erase(custodian, name, order())
    before = ledger.history(custodian, name)
    again = erase(custodian, name, order(why="forgot that it was done", policy="withdraw"))
    assert (first.is_new, again.is_new, again.erasure) == (True, False, first.erasure)
    assert ledger.history(custodian, name) == before


def test_a_plan_changes_nothing_and_a_stranger_is_not_found(custodian, keeper, name):
    stored(keeper, name)
    assert plan(custodian, name, order()).policy == "retrain"
    assert KeyRing.open(keeper, name).holds(KeyRing.open(keeper, name).name(ADA))
    assert erasures(keeper, name) == []
    with pytest.raises(ModelNotFound, match="data of this customer"):
        erase(custodian, name, order(customer="nobody"))
    with pytest.raises(ConfigInvalid, match="--because"):
        plan(custodian, name, order(policy="keep"))


def test_a_withdrawn_version_does_not_come_back(custodian, promoter, name, versions):
    erase(custodian, name, order(policy="withdraw"))
    with pytest.raises(GateFailed, match="withdrawn"):
        roll_back(promoter, name, versions[0])
    assert roll_back(promoter, name, versions[1]).is_new


def test_a_run_under_way_during_an_erasure_does_not_go_live(custodian, promoter, keeper, name, tmp_path):
    root, _ = packaged_run(tmp_path, promoter, name, ingested=stored(keeper, name)[1])
    erase(custodian, name, order())
    with pytest.raises(GateFailed, match="Start a new run"):
        walk_in(promoter, name, root)


def marked(custodian, name, *units):
    """Mark customers as erased, as an erasure does first."""
    erasure_mark.write(custodian, Mark(use_case=name, customers=(), units=units, when=datetime.now(UTC).isoformat()))


def test_serving_forgets_histories_lists_and_log_lines_and_servers_drop_later_events(
    object_store, custodian, promoter, name, tmp_path
):
    path = tmp_path / "histories.parquet"
    write_parquet(path, pd.DataFrame({"unit": ["u1", "u2"], "history": ["{}", "{}"]}))
    snapshot.publish(promoter, name, path, date(2026, 6, 30))
    state, requests = Bucket.open(promoter, "state"), Bucket.open(custodian, "requests")
    state.put(f"{name}/batch/a.parquet", path.read_bytes())
    for kind in KINDS:
        requests.put(f"{kind}/{name}/2026-07-01/both.jsonl", b'{"unit":"u1"}\n{"unit":"u2"}\n')
        requests.put(f"{kind}/{name}/2026-07-01/one.jsonl", b'{"unit":"u1"}\n')
    store = StateStore(tmp_path / "state.sqlite")
    observe = lambda unit, history, event: {"seen": event["n"]}  # noqa: E731 - shorter than a function
    snapshot.follow(state, Verifier.open(promoter), store, name, observe)
    for unit in ("u1", "u2"):
        store.record(name, Event(units=(unit,), time="2026-07-01T10:00:00", body={"n": 1}), observe)
    assert len(traces(custodian, name, ["u1"])) == 2 + 2 * len(KINDS)
    marked(custodian, name, "u1")
    assert forget(custodian, name, ["u1"]) == 2 + 2 * len(KINDS)
    assert traces(custodian, name, ["u1"]) == ()
    talks = Conversations(tmp_path / "talks.sqlite")
    for unit in ("u1", "u2"):
        talks.keep(name, unit, "talk", {"said": unit}, 60)
    forget_on_server(name, Marks(object_store.settings("serve"))(name), store, talks)
    assert [talks.find(name, unit, "talk") for unit in ("u1", "u2")] == [None, {"said": "u2"}]
    assert not store.record(name, Event(units=("u1",), time="2026-07-02T10:00:00", body={"n": 2}), observe)
    snapshot.follow(state, Verifier.open(promoter), store, name, observe)
    assert (store.history(name, "u1"), store.history(name, "u2")) == (None, {"seen": 1})
    store.close()
    talks.close()
    assert list(pd.read_parquet(io.BytesIO(state.get(f"{name}/batch/a.parquet")))["unit"]) == ["u2"]
    left = {key: requests.get(key) for key in requests.keys() if f"/{name}/" in key}  # noqa: SIM118 - a bucket is no mapping
    assert left == {f"{kind}/{name}/2026-07-01/both.jsonl": b'{"unit":"u2"}\n' for kind in KINDS}
    snapshot.publish(promoter, name, path, date(2026, 7, 31))
    assert [unit for unit, _ in snapshot.read(snapshot.published(promoter, name))] == ["u2"]
    assert len(list(state.keys(f"{name}/histories/"))) == 1


def test_lines_that_wait_on_a_servers_disk_are_erased_too_whenever_they_were_written(
    object_store, custodian, name, tmp_path
):
    serve = object_store.settings("serve")
    log = RequestLog(tmp_path, Bucket.open(serve, "requests"), erased=Marks(serve))
    moments = [datetime.now(UTC) - timedelta(seconds=1), datetime.now(UTC) + timedelta(seconds=1)]
    for kind in KINDS:
        for unit, moment in product(("u1", "u2"), moments):
            log.append(kind, name, moments[0], {"unit": unit, "time": moment.isoformat(timespec="milliseconds")})
    marked(custodian, name, "u1")
    log.flush()
    requests = Bucket.open(custodian, "requests")
    for kind in KINDS:
        (key,) = requests.keys(f"{kind}/{name}/")
        assert [json.loads(line)["unit"] for line in requests.get(key).splitlines()] == ["u2", "u2"]
    assert log.count.waiting_bytes == 0
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_killed_at_any_step_asking_again_completes_it(custodian, keeper, promoter, name, tmp_path):
    customers = [f"customer-{number}" for number in range(7)]
    people = pa.table({"customer_id": customers, "text": customers})
    root, digest = packaged_run(tmp_path, promoter, name, ingested=stored(keeper, name, people)[1])
    walk_in(promoter, name, root)
    command = [sys.executable, "-m", "tests.killed_child"]
    options = {"env": environment_of(custodian), "cwd": PROJECT, "text": True, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, stdin=subprocess.PIPE, **options) as child:

        def run(customer, fatal):
            job = {"act": "erase", "name": name, "customer": customer, "fatal": fatal}
            child.stdin.write(json.dumps(job) + "\n")
            child.stdin.flush()
            return json.loads(child.stdout.readline())

        steps = run(customers[0], None)["steps"]
        for number, customer in enumerate(customers[1:], 1):
            assert run(customer, steps * number // len(customers))["killed"]
            assert run(customer, None)["steps"]
        child.stdin.close()
    ring = KeyRing.open(keeper, name)
    names = sorted(map(ring.name, customers))
    assert erasures(keeper, name) == names
    assert {ring.holds(one) for one in names} == {False}
    found = list(erasure.of_version(custodian, ledger.Ledger.open(custodian, name), digest))
    assert sorted(one.customer for one in found) == names


def test_erasures_at_once_and_whoever_publishes_meanwhile_undo_nothing(object_store, custodian, keeper, promoter, name):
    """Six, while histories are published, lists written and log lines carried."""
    customers, others = [f"customer-{number}" for number in range(6)], [f"other-{number}" for number in range(20)]
    stored(keeper, name, pa.table({"customer_id": [*customers, *others], "text": [*customers, *others]}))
    world = World(object_store, name, [*customers, *others])
    with ThreadPoolExecutor(9) as pool:
        world.publish()
        writers = [pool.submit(world.keep_writing, one) for one in (world.publish, world.log, world.batch)]
        erased = [pool.submit(erase, custodian, name, order(customer=one)) for one in customers]
        assert [one.exception() for one in erased] == [None] * 6
        world.stop.set()
        assert [writer.exception() for writer in writers] == [None] * 3
    units = {one: pseudonym(read_key(custodian), "customer_id", one) for one in [*customers, *others]}
    assert traces(custodian, name, [units[one] for one in customers]) == ()
    assert {unit for unit, _ in snapshot.read(snapshot.published(promoter, name))} == {units[one] for one in others}
    assert all(traces(custodian, name, [units[one]]) for one in others)
    ring = KeyRing.open(keeper, name)
    assert {ring.holds(ring.name(one)) for one in customers} == {False}
    assert {ring.holds(ring.name(one)) for one in others} == {True}
    assert set(erasures(keeper, name)) >= {ring.name(one) for one in customers}
    proofs = [entry.record for entry in ledger.history(custodian, name) if entry.action == "erase"]
    bucket = Bucket.open(custodian, "ledger")
    assert {erasure.named(bucket, name, one).customer for one in proofs} == {ring.name(one) for one in customers}


class World:
    """Everybody who writes while customers are erased."""

    def __init__(self, object_store, name, customers):
        self.store, self.name, self.stop = object_store, name, threading.Event()
        key = read_key(object_store.settings("custodian"))
        self.units = [pseudonym(key, "customer_id", one) for one in customers]
        self.promoter, self.serve = object_store.settings("promote"), object_store.settings("serve")
        self.folder = Path(tempfile.mkdtemp(dir=object_store.home))
        self.histories = self.folder / "histories.parquet"
        write_parquet(self.histories, pd.DataFrame({"unit": self.units, "history": "{}"}))

    def keep_writing(self, write):
        while not self.stop.wait(0.05):
            write()

    def publish(self):
        snapshot.publish(self.promoter, self.name, self.histories, date(2026, 6, 30))

    def log(self):
        log = RequestLog(self.folder / uuid.uuid4().hex, Bucket.open(self.serve, "requests"), erased=Marks(self.serve))
        for unit in self.units:
            log.append("requests", self.name, datetime.now(UTC), {"unit": unit, "time": datetime.now(UTC).isoformat()})
        log.flush()
        assert log.count.waiting_bytes == 0

    def batch(self):
        table, state = snapshot.published(self.promoter, self.name), Bucket.open(self.serve, "state")
        write = lambda erased: state.put(f"{self.name}/batch/a.parquet", snapshot.without(table, erased))  # noqa: E731 - shorter than a function
        erasure_mark.settled(self.serve, self.name, write)


def test_an_older_run_that_publishes_again_brings_nobody_back(object_store, custodian, keeper, promoter, name):
    stored(keeper, name)
    world = World(object_store, name, [ADA, "bob"])
    world.publish()
    erase(custodian, name, order())
    world.publish()
    assert [unit for unit, _ in snapshot.read(snapshot.published(promoter, name))] == world.units[1:]
    world.batch()
    world.log()
    assert traces(custodian, name, world.units[:1]) == ()


def test_to_ask_again_looks_again_and_proves_it_anew_where_something_came_back(object_store, custodian, keeper, name):
    stored(keeper, name)
    world = World(object_store, name, [ADA, "bob"])
    first = erase(custodian, name, order())
    for bucket, key in (("requests", f"events/{name}/2026-07-01/restored.jsonl"), ("state", f"{name}/batch/a.csv")):
        Bucket.open(custodian, bucket).put(key, f'{{"unit":"{world.units[0]}"}}\n'.encode())
    again = erase(custodian, name, order(why="a copy was restored"))
    assert (again.is_new, traces(custodian, name, world.units[:1])) == (True, ())
    assert again.erasure.confirmed > first.erasure.confirmed
    assert len([one for one in ledger.history(custodian, name) if one.action == "erase"]) == 2
    assert not erase(custodian, name, order()).is_new


def test_a_restored_copy_is_cleaned_of_everybody_who_was_erased(object_store, custodian, keeper, name):
    stored(keeper, name)
    world = World(object_store, name, [ADA, "bob", "eve"])
    keys = Bucket.open(custodian, "keys")
    before = {key: keys.get(key) for key in list(keys.keys(f"{name}/"))}
    for customer in (ADA, "bob"):
        erase(custodian, name, order(customer=customer))
    for key, data in before.items():
        keys.put(key, data)
    Bucket.open(custodian, "requests").put(f"requests/{name}/2026-07-01/a.jsonl", "".join(
        f'{{"unit":"{unit}"}}\n' for unit in world.units
    ).encode())  # fmt: skip
    assert erase_again(custodian, name) > 0
    assert (traces(custodian, name, world.units[:2]), len(traces(custodian, name, world.units[2:]))) == ((), 1)
    ring = KeyRing.open(keeper, name)
    assert [ring.holds(ring.name(one)) for one in (ADA, "bob", "eve")] == [False, False, True]
    assert erase_again(custodian, name) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_who_is_known_by_a_line_of_the_log_alone_is_found(custodian, keeper, name, kind):
    KeyRing.open(keeper, name)
    unit = pseudonym(read_key(custodian), "customer_id", ADA)
    Bucket.open(custodian, "requests").put(f"{kind}/{name}/2026-07-01/a.jsonl", f'{{"unit":"{unit}"}}\n'.encode())
    assert erase(custodian, name, order()).is_new
    assert traces(custodian, name, [unit]) == ()
    ring = KeyRing.open(keeper, name)
    with pytest.raises(IntegrityBroken, match="erased since"):
        ring.of_customers([ADA])


def test_who_is_nowhere_can_be_erased_all_the_same(custodian, keeper, name):
    with pytest.raises(ModelNotFound, match="--anyway"):
        erase(custodian, name, order())
    assert erase(custodian, name, order(anyway=True)).is_new
    assert Marks(custodian)(name)


@pytest.mark.parametrize("asked", ["1234", " 1234 ", "1234.0", "1234.00"])
@pytest.mark.parametrize("held", ["1234", "1234.0"])
def test_a_customer_is_found_under_the_spelling_of_the_source(custodian, keeper, name, asked, held):
    stored(keeper, name, pa.table({"customer_id": [held, "12340"], "text": ["tea", "cup"]}))
    erase(custodian, name, order(customer=asked))
    ring = KeyRing.open(keeper, name)
    assert [ring.holds(ring.name(one)) for one in ("1234", "1234.0", "12340")] == [False, False, True]
    key = read_key(custodian)
    assert {pseudonym(key, "customer_id", one) for one in ("1234", "1234.0", asked)} <= Marks(custodian)(name).keys()


def test_who_was_erased_is_read_by_neither_training_nor_readers_and_written_by_neither(
    object_store, custodian, keeper, name
):
    stored(keeper, name)
    World(object_store, name, [ADA, "bob"]).publish()
    erase(custodian, name, order())
    unit = pseudonym(read_key(custodian), "customer_id", ADA)
    for role in ("train", "read"):
        held = object_store.settings(role)
        for bucket in BUCKETS:
            place = Bucket.open(held, bucket)
            if "r" not in GRANTS[role].get(bucket, ""):
                with pytest.raises(ConfigInvalid, match="right"):
                    list(place.keys(f"{name}/"))
                continue
            for key in [key for key in place.keys() if name in key]:  # noqa: SIM118 - a bucket is no mapping
                assert unit not in key and unit.encode() not in place.get(key), key  # noqa: PT018 - one claim about one key
    assert "w" not in "".join(GRANTS[role].get("erasures", "") for role in ROLES if role != "custodian")


def test_marks_that_were_removed_or_forged_bring_nobody_back(object_store, custodian, keeper, promoter, name):
    stored(keeper, name)
    world = World(object_store, name, [ADA, "bob"])
    world.publish()
    done = erase(custodian, name, order()).erasure
    bucket = Bucket.open(custodian, "erasures")
    (key,) = bucket.keys(f"{name}/")
    mark = bucket.get(key)
    for forged in (None, mark.replace(b"payload", b"Payload", 1), canonical({**json.loads(mark), "signatures": []})):
        bucket.delete(key) if forged is None else bucket.put(key, forged)
        assert done.customer in erasures(keeper, name)
        with pytest.raises(IntegrityBroken, match="marks of 1 customers"):
            world.publish()
    assert not erase(custodian, name, order()).is_new
    world.publish()
    assert [unit for unit, _ in snapshot.read(snapshot.published(promoter, name))] == world.units[1:]


def test_marks_outlive_a_signing_key_that_leaked(custodian, name):
    pair = generate_key()
    new = custodian.model_copy(update={"signing_key": SecretStr(pair.private), "verify_key": pair.public})
    marked(custodian, name, "u1")
    assert Marks(new)(name) == {}
    assert erasure_mark.resign(custodian, new, name) == 1
    assert Marks(new)(name).keys() == {"u1"}


def test_no_copy_of_a_destroyed_key_stays_in_the_stores_volumes_and_the_proof_says_so(
    object_store, custodian, keeper, name
):
    for number in range(5):
        stored(keeper, name, pa.table({"customer_id": [ADA, f"other-{number}"], "text": ["tea", "cup"]}))
    ring = KeyRing.open(keeper, name)
    (mine,), (other,) = ring.wrapped([ring.name(ADA)]), ring.wrapped([ring.name("other-1")])
    admin, files = object_store.home / "store", object_store.home / "store" / "data"
    assert len(list(copies(files, [mine.encode()]))) == 1
    without = erase(custodian, name, order()).erasure
    assert without.overwritten.startswith("not done")
    assert len(list(copies(files, [mine.encode()]))) == 1, "without a vacuum its copies lie there for a while"
    done = erase(custodian.model_copy(update={"store_admin": admin}), name, order())
    assert (done.is_new, "vacuumed" in done.erasure.overwritten) == (True, True)
    assert list(copies(files, [mine.encode()])) == []
    assert len(list(copies(files, [other.encode()]))) == 1
    other_order = order(customer="other-1")
    holding = [path for one in copies(files, [other.encode()]) for path in files.rglob(one)]
    with holding[0].open("rb") as old, mmap.mmap(old.fileno(), 0, access=mmap.ACCESS_READ) as bytes_before:
        at, length = bytes_before.find(other.encode()), len(bytes_before)
        told = erase(custodian.model_copy(update={"store_admin": admin}), name, other_order).erasure.overwritten
        assert os.fstat(old.fileno()).st_nlink == 0
        assert at >= 0
        assert bytes_before.find(other.encode()) == -1
        assert bytes_before[at : at + len(other)] == bytes(len(other))
        assert length == len(bytes_before)
    said = r"vacuumed; no copy in \d+ volume files; overwritten at [1-9]\d* places of old files"
    assert re.fullmatch(rf"\d{{4}}-\d\d-\d\dT[^ ]+: {said}", told)
    assert list(copies(files, [other.encode()])) == []
    assert not erase(custodian.model_copy(update={"store_admin": admin}), name, other_order).is_new


def test_a_compressed_copy_of_a_key_is_found_and_nothing_else(tmp_path):
    wrapped = base64.b64encode(b"k" * 64)
    (tmp_path / "a_1.dat").write_bytes(b"\x00" * 40 + gzip.compress(b'{"keys":"' + wrapped + b'"}') + b"tail")
    (tmp_path / "b_2.dat").write_bytes(b"\x1f\x8b\x08 is no archive")
    (tmp_path / "c_3.cpd").write_bytes(b"..." + wrapped)
    assert list(copies(tmp_path, [wrapped])) == ["a_1.dat", "c_3.cpd"]
    assert list(copies(tmp_path, [b"another"])) == []


def test_where_the_store_is_a_providers_the_proof_says_so(custodian):
    assert (
        overwrite(custodian.model_copy(update={"s3_endpoint": None}), ["x"])
        == "not applicable: the provider's deletion"
    )
