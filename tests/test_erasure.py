"""Erasing a customer destroys their keys, names the models that saw them, is proven, and survives being killed."""

import base64
import hashlib
import io
import json
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from itertools import product

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml.contract import Column, Table
from ml.errors import ConfigInvalid, GateFailed, IntegrityBroken, ModelNotFound
from ml.files import canonical, write_parquet
from ml.packaging.signing import Verifier
from ml.pipeline.erase import Order, erase, plan
from ml.pipeline.freeze import erasures, erasures_key
from ml.privacy.key_ring import KeyRing
from ml.privacy.pseudonym import pseudonym, read_key
from ml.privacy.seal import Opener, Sealer
from ml.registry import erasure, ledger
from ml.serving import snapshot
from ml.serving.forget import Erasures, forget
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


def test_the_next_run_leaves_the_customer_out_and_what_is_kept_names_nobody(custodian, keeper, name):
    stored(keeper, name)
    done = erase(custodian, name, order()).erasure
    assert erasures(keeper, name) == [done.customer]
    sealer = Sealer(KeyRing.open(keeper, name), erasures(keeper, name))
    assert sum(map(len, sealer.seal(MAILS, [ROWS]))) == 2
    unit = pseudonym(read_key(custodian), "customer_id", ADA)
    kept = [Bucket.open(custodian, "runs").get(erasures_key(name))]
    for bucket, prefix in (("keys", f"{name}/"), ("ledger", f"{name}/"), ("ledger", f"erasures/{name}/")):
        place = Bucket.open(custodian, bucket)
        kept += [place.get(key) for key, _ in place.entries(prefix)]
    assert len(kept) == 5
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


def test_serving_forgets_histories_lists_and_log_lines_and_servers_drop_later_events(
    custodian, promoter, name, tmp_path
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
    observe = lambda unit, history, event: {"seen": event["n"]}  # noqa: E731
    snapshot.follow(state, store, name, observe)
    for unit in ("u1", "u2"):
        store.record(name, Event(units=(unit,), time="2026-07-01T10:00:00", body={"n": 1}), observe)
    assert forget(custodian, name, "u1") == 2 + 2 * len(KINDS)
    snapshot.follow(state, store, name, observe)
    assert (store.history(name, "u1"), store.history(name, "u2")) == (None, {"seen": 1})
    store.close()
    assert list(pd.read_parquet(io.BytesIO(state.get(f"{name}/batch/a.parquet")))["unit"]) == ["u2"]
    left = {key: requests.get(key) for key in requests.keys() if f"/{name}/" in key}  # noqa: SIM118
    assert left == {f"{kind}/{name}/2026-07-01/both.jsonl": b'{"unit":"u2"}\n' for kind in KINDS}
    snapshot.publish(promoter, name, path, date(2026, 7, 31))
    assert snapshot.newest(promoter, name).forgotten == ("u1",)


def test_lines_that_wait_on_a_servers_disk_are_erased_too_and_later_ones_are_not(
    object_store, custodian, name, tmp_path
):
    serve = object_store.settings("serve")
    log = RequestLog(tmp_path, Bucket.open(serve, "requests"), erased=Erasures(Bucket.open(serve, "state")))
    moments = [datetime.now(UTC) - timedelta(seconds=1), datetime.now(UTC) + timedelta(seconds=1)]
    for kind in KINDS:
        for unit, moment in product(("u1", "u2"), moments):
            log.append(kind, name, moments[0], {"unit": unit, "time": moment.isoformat(timespec="milliseconds")})
    forget(custodian, name, "u1")
    log.flush()
    requests = Bucket.open(custodian, "requests")
    for kind in KINDS:
        (key,) = requests.keys(f"{kind}/{name}/")
        assert [json.loads(line)["unit"] for line in requests.get(key).splitlines()] == ["u1", "u2", "u2"]
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


def test_two_erasures_at_once_are_both_listed(custodian, keeper, name):
    runs = Bucket.open(custodian, "runs")
    runs.put(erasures_key(name), canonical(["0" * 32]))
    stored(keeper, name)
    for customer in (ADA, "bob"):
        erase(custodian, name, order(customer=customer))
    assert len(erasures(keeper, name)) == 3
