"""One bad object stops one use case at most: whatever lies in the store, the others answer and go on following."""

import json
import uuid
from dataclasses import asdict

import httpx
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from ml.cli.main import app as command_line
from ml.errors import IntegrityBroken
from ml.files import DEPTH, parse, sha256
from ml.registry import ledger
from ml.registry.memory import Memory, memory_path
from ml.serving.app import create_app
from ml.serving.steady import Steady
from ml.serving.versions import RegistryVersions
from ml.store import Bucket
from tests.served_shop import Shop, expected, items, listening, problem, wait

DEEP = b"[" * 200_000 + b"]" * 200_000
DEEP_ENTRY = b'{"payload": ' + b"[" * 5_000 + b"]" * 5_000 + b', "payloadType": "x", "signatures": []}'
STRANGE_KEYS = (
    "².json",
    "00000001.json.bak",
    "٠٠٠٠٠٠٠١.json",
    "1.json",
    "-0000001.json",
    "a/00000009.json",
    "００００００01.json",
)
SPOILED = (b"", b"\xff\xfe\x00", b"null", b"[]", b"{}", b'"text"', b"1" * 5_000, b'{"seq": "1"}', DEEP, DEEP_ENTRY)


class Pair:
    """An honest and a spoiled use case, served by one server; whoever spoils may write every bucket."""

    def __init__(self, object_store, folder):
        self.honest = Shop(object_store, folder / "honest", f"toy-h{uuid.uuid4().hex[:8]}")
        self.spoiled = Shop(object_store, folder / "spoiled", f"toy-s{uuid.uuid4().hex[:8]}")
        self.buckets = {name: Bucket.open(self.honest.promoter, name) for name in ("ledger", "models", "state")}
        self.buckets["erasures"] = Bucket.open(object_store.settings("custodian"), "erasures")
        self.seen = 0

    def app(self, home=None, versions=None):
        held = self.honest.settings.model_copy(update={"home": home or self.honest.settings.home})
        return create_app(held, {one.name: one.record for one in (self.spoiled, self.honest)}, versions)

    def follows(self, client):
        """Tell whether the follower has gone round since now: it takes over what is out of stock last."""
        self.seen += 1
        product = f"seen {self.seen} {self.honest.name}"
        key = f"shop/out_of_stock/{product.replace(' ', '%20')}"
        self.buckets["state"].put(key, b"{}")
        wait(lambda: product in client.get("/v1/out-of-stock").json()["out_of_stock"])
        self.buckets["state"].delete(key)


def client_of(pair, url):
    return httpx.Client(base_url=url, headers={"Authorization": f"Bearer {pair.honest.token}"}, timeout=30)


@pytest.fixture(scope="module")
def pair(object_store, tmp_path_factory):
    made = Pair(object_store, tmp_path_factory.mktemp("pair"))
    made.digest, made.weights = made.honest.promote(1)
    made.spoiled.promote(1)
    return made


@pytest.fixture(scope="module")
def client(pair):
    with listening(pair.app()) as url, client_of(pair, url) as made:
        wait(lambda: pair.honest.is_live(made) and pair.spoiled.is_live(made))
        yield made


def keys(name):
    """Keys the server reads for a use case, and any others below its folders."""
    names = st.one_of(
        st.sampled_from(STRANGE_KEYS), st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)
    )
    below = {
        "ledger": [f"{name}/", f"channels/{name}/"],
        "models": [f"{name}/manifests/sha256/", f"{name}/referrers/sha256/"],
        "state": [f"{name}/", f"{name}/erased/", "shop/out_of_stock/"],
        "erasures": [f"{name}/"],
    }
    fixed = {
        "ledger": [ledger.entry_key(name, 2), f"channels/{name}/production.json", f"checkpoints/{name}.json"],
        "models": [f"{name}/manifests/sha256/{'0' * 64}"],
        "state": [f"{name}/histories.json", f"{name}/histories.parquet"],
    }
    anywhere = st.sampled_from(sorted(below)).flatmap(
        lambda bucket: st.tuples(st.just(bucket), st.sampled_from(below[bucket]), names).map(
            lambda t: (t[0], t[1] + t[2])
        )
    )
    known = st.sampled_from([(bucket, key) for bucket, several in fixed.items() for key in several])
    return st.one_of(known, anywhere).filter(lambda place: not place[1].endswith("/") and "/../" not in place[1])


def objects():
    values = st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=9), lambda one: st.lists(one, max_size=3)
    )
    documents = st.dictionaries(
        st.sampled_from(["schema", "seq", "digest", "payload", "payloadType", "signatures", "as_of", "forgotten"]),
        values | st.sampled_from(["tradewind/snapshot/1", "tradewind/pointer/1"]),
    ).map(lambda value: json.dumps(value).encode())
    return st.one_of(st.sampled_from(SPOILED), st.binary(max_size=200), documents)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_object_under_any_key_leaves_the_others_answering_and_following(pair, client, data):
    bucket, key = data.draw(keys(pair.spoiled.name))
    before = pair.buckets[bucket].find(key)
    pair.buckets[bucket].put(key, data.draw(objects()))
    try:
        pair.follows(client)
        health = client.get("/health")
        assert (health.status_code, health.json()["alive"]) == (200, True)
        assert health.json()["threads"]["follower"] == {"alive": True, "failures": 0, "problem": None}
        assert health.json()["use_cases"][pair.honest.name] == {"ready": True, "origin": "store", "problems": {}}
        assert items(pair.honest.predict(client, history=["p1"])) == expected(pair.weights, ["p1"], 3)
        assert pair.spoiled.predict(client, history=["p1"]).status_code == 200
    finally:
        if before is None:
            pair.buckets[bucket].delete(key)
        else:
            pair.buckets[bucket].put(key, before)


@pytest.mark.parametrize(
    "spoiled", [DEEP, DEEP_ENTRY, b"\xff\xfe", b"[]"], ids=["deep", "deep entry", "no text", "a list"]
)
def test_a_spoiled_next_entry_is_a_problem_of_its_use_case_alone_and_ends_when_it_is_gone(pair, client, spoiled):
    key = ledger.entry_key(pair.spoiled.name, 2)
    pair.buckets["ledger"].put(key, spoiled)
    try:
        wait(lambda: problem(client, pair.spoiled) == "IntegrityBroken")
        assert problem(client, pair.honest) is None
        assert pair.spoiled.predict(client, history=["p1"]).status_code == 200
    finally:
        pair.buckets["ledger"].delete(key)
    wait(lambda: problem(client, pair.spoiled) is None)


def test_keys_that_are_no_entries_change_nothing_and_are_reported(pair, object_store, tmp_path):
    for name in STRANGE_KEYS:
        pair.buckets["ledger"].put(f"{pair.spoiled.name}/{name}", b"{}")
    try:
        with listening(pair.app(tmp_path)) as url, client_of(pair, url) as client:
            wait(lambda: pair.honest.is_live(client) and pair.spoiled.is_live(client))
            wait(lambda: problem(client, pair.spoiled, "ledger") == "IntegrityBroken")
            assert client.get("/health").json()["use_cases"][pair.honest.name]["problems"] == {}
            first = pair.spoiled.is_live(client)
            digest, _ = pair.spoiled.promote(2)
            wait(lambda: first and pair.spoiled.is_live(client, digest))
            with pytest.raises(IntegrityBroken, match=r"\\xb2\.json"):
                ledger.verify_ledger(object_store.settings("read"), pair.spoiled.name)
            for name in STRANGE_KEYS:
                pair.buckets["ledger"].delete(f"{pair.spoiled.name}/{name}")
            wait(lambda: problem(client, pair.spoiled, "ledger") is None)
    finally:
        for name in STRANGE_KEYS:
            pair.buckets["ledger"].delete(f"{pair.spoiled.name}/{name}")


def test_an_object_that_is_too_long_is_not_read(pair, client):
    key = ledger.entry_key(pair.spoiled.name, 3)
    pair.buckets["ledger"].put(key, b" " * (ledger.ENTRY_BYTES + 1))
    try:
        with pytest.raises(IntegrityBroken, match="at most 1,048,576 bytes"):
            pair.buckets["ledger"].get(key, ledger.ENTRY_BYTES)
        pair.follows(client)
    finally:
        pair.buckets["ledger"].delete(key)


@pytest.mark.parametrize("history", ["{not json", "[1]", "[" * 1000 + "]" * 1000, '{"a": "\\ud800"}', "null"])
def test_a_table_with_one_unreadable_history_is_not_taken_over(pair, client, history, tmp_path):
    shop = pair.spoiled
    shop.histories(ada=["p1"])
    wait(lambda: units(client, shop) == 1)
    path = tmp_path / "histories.parquet"
    good = json.dumps({"bought": ["p2"]})
    pd.DataFrame({"unit": [shop.unit("ada"), shop.unit("bob")], "history": [good, history]}).to_parquet(path)
    table = path.read_bytes()
    record = {"schema": "tradewind/snapshot/1", "digest": sha256(table), "as_of": "2018-01-31T23:59:59.999999"}
    pair.buckets["state"].put(f"{shop.name}/histories.parquet", table)
    pair.buckets["state"].put(f"{shop.name}/histories.json", json.dumps(record).encode())
    wait(lambda: problem(client, shop, "state") == "IntegrityBroken")
    assert units(client, shop) == 1
    shop.histories(ada=["p1"])
    wait(lambda: problem(client, shop, "state") is None)


def units(client, shop):
    histories = client.get(f"/v1/{shop.name}/version").json()["histories"]
    return histories and histories["units"]


def test_a_running_server_notices_a_ledger_that_went_back_and_when_it_is_whole_again(object_store, tmp_path):
    shop = Shop(object_store, tmp_path, f"toy-b{uuid.uuid4().hex[:8]}")
    shop.promote(1)
    bucket = Bucket.open(shop.promoter, "ledger")
    kept = {key: bucket.get(key) for key in (f"channels/{shop.name}/production.json", f"checkpoints/{shop.name}.json")}
    second, _ = shop.promote(2)
    entry = bucket.get(ledger.entry_key(shop.name, 2))
    with shop.serving(second) as client:
        bucket.delete(ledger.entry_key(shop.name, 2))
        for key, data in kept.items():  # a whole and signed state of an earlier day
            bucket.put(key, data)
        wait(lambda: problem(client, shop) == "IntegrityBroken")
        assert shop.is_live(client, second)
        home = shop.settings.home
        assert ledger.verify_ledger(shop.reader, shop.name) == 1  # nobody but the memory can tell
        with pytest.raises(IntegrityBroken, match="entry 2"):
            ledger.verify_ledger(shop.reader, shop.name, Memory(memory_path(home)).mark(shop.name))
        told = verify(shop, home)
        assert told.exit_code == IntegrityBroken.exit_code, told.output
        bucket.put(ledger.entry_key(shop.name, 2), entry)
        wait(lambda: problem(client, shop) is None)
    assert verify(shop, home).exit_code == 0
    memory_path(home).write_bytes(b"{")
    assert verify(shop, home).exit_code == IntegrityBroken.exit_code


def verify(shop, home):
    settings = shop.reader
    held = {
        "TRADEWIND_HOME": str(home),
        "TRADEWIND_S3_ROLE": "read",
        "TRADEWIND_S3_ENDPOINT": settings.s3_endpoint,
        "TRADEWIND_S3_ACCESS_KEY": settings.s3_access_key,
        "TRADEWIND_S3_SECRET_KEY": settings.s3_secret_key.get_secret_value(),
        "TRADEWIND_S3_PREFIX": settings.s3_prefix,
        "TRADEWIND_VERIFY_KEY": settings.verify_key,
    }
    outcome = CliRunner().invoke(command_line, ["verify", "--ledger", "--use-case", shop.name], env=held)
    if isinstance(outcome.exception, IntegrityBroken):
        outcome.exit_code = outcome.exception.exit_code
    return outcome


def test_a_ledger_that_another_took_the_place_of_is_noticed_while_running(object_store, tmp_path):
    shop = Shop(object_store, tmp_path, f"toy-b{uuid.uuid4().hex[:8]}")
    other = Shop(object_store, tmp_path / "other", f"toy-b{uuid.uuid4().hex[:8]}")
    first, _ = shop.promote(1)
    other.promote(1)
    bucket = Bucket.open(shop.promoter, "ledger")
    with shop.serving(first) as client:
        bucket.put(ledger.entry_key(shop.name, 1), bucket.get(ledger.entry_key(other.name, 1)))
        wait(lambda: problem(client, shop) == "IntegrityBroken")
        assert shop.is_live(client, first)


def test_parse_takes_plain_documents_and_refuses_the_rest():
    nested = json.loads("[" * DEPTH + "]" * DEPTH)
    assert parse(json.dumps(nested), "a list", "") == nested
    assert parse('{"a": [1.5, "ü", null]}'.encode(), "a document", "") == {"a": [1.5, "ü", None]}
    for data in (
        "[" * (DEPTH + 1) + "]" * (DEPTH + 1),
        DEEP,
        b"\xff",
        b"",
        b"{",
        b'"\\ud800"',
        b'{"\\udfff": 1}',
        b"9" * 5000,
    ):
        with pytest.raises(IntegrityBroken) as refused:
            parse(data, "a document", "Write it again.")
        assert "Write it again." in str(refused.value)
    with pytest.raises(IntegrityBroken, match="at most 3 bytes"):
        parse(b"[1,2]", "a document", "", most_bytes=3)


TEXT = st.text(st.characters(exclude_categories=["Cs"]))
LEAVES = st.none() | st.booleans() | st.floats(allow_nan=False) | TEXT


@given(st.recursive(LEAVES, lambda one: st.lists(one) | st.dictionaries(TEXT, one), max_leaves=20))
def test_parse_returns_what_was_written(value):
    assert parse(json.dumps(value).encode(), "a document", "") == value


def test_a_thread_that_must_live_outlives_any_error_and_tells_of_it():
    done, errors = [], [RecursionError("deep"), KeyError("x"), OSError(28, "No space left on device")]

    def work():
        if errors:
            raise errors.pop()
        done.append(1)

    thread = Steady("tested", work, 0.01)
    assert not thread.pulse().alive
    thread.start()
    wait(lambda: done)
    assert asdict(thread.pulse()) == {"alive": True, "failures": 0, "problem": None}
    errors[:] = [ValueError("again")] * 1_000
    wait(lambda: thread.pulse().failures >= 2)
    assert thread.pulse().problem == "ValueError"
    thread.stop()
    assert not thread.pulse().alive


class Deadly(RegistryVersions):
    """Ends the thread that asks, as nothing but the interpreter's own end should."""

    def live(self, use_case):
        raise SystemExit


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_dead_thread_fails_health(pair, tmp_path):
    deadly = pair.app(tmp_path, Deadly(pair.honest.settings))
    with listening(deadly) as url, client_of(pair, url) as client:
        wait(lambda: client.get("/health").status_code == 503)
        health = client.get("/health").json()
    assert health["alive"] is False
    assert health["threads"]["follower"]["alive"] is False
    assert health["threads"]["request log"]["alive"] is True
