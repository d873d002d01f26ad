"""A backup of a working store, restored: its ledger verifies, versions answer, pseudonyms match, the erased stay away."""

import json
import os
import shutil
import sqlite3
import threading
from contextlib import closing

import pytest

from ml.cli.main import call
from ml.errors import ConfigInvalid, IntegrityBroken, StorageUnavailable
from ml.files import sha256_file, write_json
from ml.packaging.signing import Signer
from ml.pipeline import removal
from ml.pipeline.erase import Order, erase
from ml.pipeline.ledger_audit import audit
from ml.privacy.key_ring import KeyRing
from ml.privacy.pseudonym import pseudonym, read_key
from ml.private import UMASK
from ml.registry import ledger
from ml.registry.collect import Kept, collect
from ml.registry.entry import Move
from ml.registry.erasure_mark import in_force
from ml.registry.ledger import Ledger
from ml.stack import objectstore
from ml.stack.backup import back_up
from ml.stack.process import Children, free_port
from ml.stack.restore import restore, verified
from ml.stack.sealed_keys import opened, read_passphrase, sealed
from ml.stack.up import Stack
from ml.store import Bucket
from tests.conftest import ObjectStore, running_store
from tests.promotable_run import packaged_run, use_case, walk_in

NAME, ADA, BOB = "toy", "ada-of-the-till", "bob-of-the-till"
WORD = "correct horse battery staple"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with running_store(tmp_path_factory.mktemp("home")) as running:
        (running.home / "airflow").mkdir()
        with closing(sqlite3.connect(running.home / "airflow" / "airflow.db")) as database:
            database.execute("create table runs (name text)")
            database.execute("insert into runs values ('run-1')")
            database.commit()
        ports = {name: free_port() for name in ("airflow_port", "server_port", "health_port")}
        s3_port = int(running.endpoint.rpartition(":")[2])
        told = {**ports, "s3_port": s3_port, "prefix": "tradewind"}
        (running.home / "stack.json").write_text(json.dumps(told))
        yield running


def stack_of(store):
    told = json.loads((store.home / "stack.json").read_text())
    return Stack(home=store.home, secrets=store.secrets, **told)


@pytest.fixture(scope="module")
def live(store, tmp_path_factory):
    """Two versions were promoted, and Ada and Bob have keys."""
    promoter, made = store.settings("promote"), [None]
    for seed in range(2):
        root, digest = packaged_run(tmp_path_factory.mktemp("run"), promoter, NAME, seed, made[-1])
        walk_in(promoter, NAME, root)
        made.append(digest)
    KeyRing.open(store.settings("ingest"), NAME).of_customers([ADA, BOB])
    Bucket.open(store.settings("retention"), "runs").put(f"{removal.PREFIX}1.json", removal.UNDER_WAY)
    Bucket.open(store.settings("serve"), "requests").put(f"answers/{NAME}/2026-11-01/a.jsonl", b'{"unit":"u"}\n')
    return made[1:]


@pytest.fixture(scope="module")
def copy(store, live, tmp_path_factory):
    """A backup of before anybody was erased."""
    folder = tmp_path_factory.mktemp("backups") / "first"
    back_up(stack_of(store), folder, WORD)
    return folder


def put_back(folder, home, newer=None):
    return restore(verified(folder, WORD), home, {NAME: use_case(NAME)}, newer)


class Started:
    """The store of a restored home, running."""

    def __init__(self, home):
        self._children, self.home, port = Children(home / "run"), home, free_port()
        known = json.loads((home / "secrets.json").read_text())
        objectstore.start(self._children, home / "store", port, known, "tradewind")
        self.store = ObjectStore(f"http://127.0.0.1:{port}", known, home)

    def __enter__(self):
        return self.store

    def __exit__(self, *_):
        self._children.stop(objectstore.CHILD)


def test_a_restored_installation_is_the_same_and_nobody_else_may_read_either(store, live, copy, tmp_path):
    home, umask = tmp_path / "new", os.umask(UMASK)  # as every entry point sets it
    try:
        (told,) = put_back(copy, home)
    finally:
        os.umask(umask)
    assert (told.use_case, told.entries, told.answered, told.erased_again) == (NAME, 2, {"production": 20}, 0)
    for top in (copy, home):  # SeaweedFS opens files of its own, below a folder that nobody else may enter
        assert top.stat().st_mode & 0o777 == 0o700
        paths = [path for path in top.rglob("*") if top / "store" / "data" not in path.parents]
        assert not [path for path in paths if path.lstat().st_mode & 0o077 and not path.is_symlink()]
    with closing(sqlite3.connect(home / "airflow" / "airflow.db")) as database:
        assert database.execute("select name from runs").fetchall() == [("run-1",)]
    assert json.loads((home / "stack.json").read_text()) == json.loads((store.home / "stack.json").read_text())
    with Started(home) as new:
        assert ledger.history(new.settings("read"), NAME) == ledger.history(store.settings("read"), NAME)
        assert audit(new.settings("read"), NAME) == audit(store.settings("read"), NAME)
        keys = [read_key(one.settings("custodian")) for one in (store, new)]
        assert len({pseudonym(key, "customer_id", ADA) for key in keys}) == 1
        rings = [KeyRing.open(one.settings("ingest"), NAME) for one in (store, new)]
        assert len({ring.id for ring in rings}) == 1
        tokens = [ring.of_customers([ADA])[ADA].token for ring in rings]
        assert tokens[0] == tokens[1]
        assert removal.seen(new.settings("train")) == {}
        assert Bucket.open(new.settings("read"), "requests").get(f"answers/{NAME}/2026-11-01/a.jsonl")


def test_no_secret_and_no_customers_key_lies_in_the_copy_in_plain(store, copy):
    wrapped = json.loads(Bucket.open(store.settings("ingest"), "keys").get(f"{NAME}/ring.json"))["keys"].values()
    secrets = [store.secrets[one] for one in ("master_key", "pseudonym_key", "signing_key", "s3_admin_secret_key")]
    data = b"".join(path.read_bytes() for path in copy.rglob("*") if path.is_file())
    assert len(data) > 10_000
    assert not [one for one in (*wrapped, *secrets) if one.encode() in data]


def test_an_installation_that_holds_something_is_refused_and_stays_as_it_was(copy, tmp_path):
    (tmp_path / "photo").write_text("x")
    with pytest.raises(ConfigInvalid, match="an empty folder"):
        put_back(copy, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["photo"]


def damage_bytes(folder):
    victim = sorted(path for path in (folder / "objects").rglob("*") if path.is_file() and path.stat().st_size)[3]
    victim.write_bytes(bytes([victim.read_bytes()[0] ^ 1]) + victim.read_bytes()[1:])


def cut_bytes(folder):
    victim = max(
        (path for path in (folder / "objects").rglob("*") if path.is_file()), key=lambda one: one.stat().st_size
    )
    victim.write_bytes(victim.read_bytes()[:-1])


def lose_an_object(folder):
    next(path for path in (folder / "objects").rglob("*") if path.is_file()).unlink()


def lose_the_last_lines(folder):
    """As an intruder would: the manifest is made to fit."""
    listed = folder / "objects.jsonl"
    listed.write_bytes(b"".join(listed.read_bytes().splitlines(keepends=True)[:-3]))
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["objects.jsonl"] = sha256_file(listed)
    write_json(folder / "manifest.json", manifest)


def lose_the_manifest(folder):
    (folder / "manifest.json").unlink()


def cut_the_manifest(folder):
    (folder / "manifest.json").write_bytes((folder / "manifest.json").read_bytes()[:40])


def change_airflow(folder):
    with (folder / "airflow.db").open("ab") as file:
        file.write(b"x")


@pytest.mark.parametrize(
    "damage",
    [damage_bytes, cut_bytes, lose_an_object, lose_the_last_lines, lose_the_manifest, cut_the_manifest, change_airflow],
)
def test_a_damaged_backup_is_refused_and_nothing_is_made(copy, tmp_path, damage):
    broken = tmp_path / "broken"
    shutil.copytree(copy, broken)
    damage(broken)
    with pytest.raises(IntegrityBroken):
        put_back(broken, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_another_passphrase_and_altered_keys_open_nothing(copy, tmp_path):
    with pytest.raises(ConfigInvalid, match="another passphrase"):
        verified(copy, "incorrect horse battery staple")
    box = sealed(WORD, {"a": 1})
    assert opened(WORD, box, "box") == {"a": 1}
    for name in ("salt", "nonce", "data"):
        other = {**json.loads(box), name: json.loads(sealed(WORD, {"a": 1}))[name]}
        with pytest.raises(ConfigInvalid, match="altered"):
            opened(WORD, json.dumps(other).encode(), "box")
    for text, mode, told in (("short", 0o600, "16 characters"), (WORD, 0o640, "owner alone")):
        path = tmp_path / "word"
        path.write_text(f"{text}\n")
        path.chmod(mode)
        with pytest.raises(ConfigInvalid, match=told):
            read_passphrase(path)


def test_a_backup_during_promotions_is_whole(store, live, tmp_path):
    name, promoter, stop, made = "busy", store.settings("promote"), threading.Event(), [None]
    runs = tmp_path / "runs"
    runs.mkdir()

    def promote_on():
        while not stop.is_set():
            root, digest = packaged_run(runs, promoter, name, len(made), made[-1])
            walk_in(promoter, name, root)
            made.append(digest)

    worker = threading.Thread(target=promote_on)
    worker.start()
    try:
        for number in range(2):
            back_up(stack_of(store), tmp_path / f"copy-{number}", WORD)
    finally:
        stop.set()
        worker.join()
    assert len(made) > 2
    found = {one.use_case: one for one in restore(verified(tmp_path / "copy-1", WORD), tmp_path / "new", {})}
    assert set(found) == {NAME, name}
    assert found[name].entries <= len(made) - 1


def test_a_copy_that_was_killed_goes_on_where_it_was(store, live, tmp_path):
    folder = tmp_path / "copy"
    whole = back_up(stack_of(store), folder, WORD)
    lines = (folder / "objects.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "manifest.json").unlink()
    (folder / "objects.jsonl").rename(folder / "progress.jsonl")
    half = len(lines) // 2
    (folder / "progress.jsonl").write_bytes(b"".join(lines[:half]) + lines[half][:20])
    kept = {path: path.stat().st_mtime_ns for path in (folder / "objects").rglob("*") if path.is_file()}
    with pytest.raises(IntegrityBroken, match="complete backup"):
        verified(folder, WORD)
    assert back_up(stack_of(store), folder, WORD).objects == whole.objects
    untouched = [path for path, moment in kept.items() if path.stat().st_mtime_ns == moment]
    assert len(untouched) >= len({json.loads(line)["sha256"] for line in lines[:half]}) - 3
    verified(folder, WORD)
    with pytest.raises(ConfigInvalid, match="a whole backup"):
        back_up(stack_of(store), folder, WORD)
    with pytest.raises(ConfigInvalid, match="other files"):
        back_up(stack_of(store), store.home, WORD)


def test_a_copy_waits_for_a_garbage_collection(store, live, tmp_path):
    promoter = store.settings("promote")
    view, signer = Ledger.open(promoter, NAME), Signer.open(promoter)
    view.note(signer, Move(channel="registry", action="collect", digest=None, who="ada", why=""))
    with pytest.raises(StorageUnavailable, match="at rest"):
        back_up(stack_of(store), tmp_path / "copy", WORD)
    view.note(signer, Move(channel="registry", action="collected", digest=None, who="ada", why=""))
    back_up(stack_of(store), tmp_path / "copy", WORD)
    assert collect(promoter, NAME, Kept(), "ada").versions == ()


def test_the_command_copies_and_restores_and_who_was_erased_later_stays_erased(store, copy, tmp_path, capsys):
    custodian, word = store.settings("custodian"), tmp_path / "word"
    word.touch(mode=0o600)
    word.write_text(f"{WORD}\n")
    erase(custodian, NAME, Order(customer=ADA, who="dora", why="asked"))
    words = ["--passphrase-file", str(word), "--home"]
    keys = str(tmp_path / "apart")
    assert call(["backup", str(tmp_path / "newer"), "--keys", keys, *words, str(store.home)]) == 0
    assert not (tmp_path / "newer" / "keys.sealed").exists()
    assert verified(tmp_path / "newer", WORD, tmp_path / "apart").keys["keys"]
    assert call(["restore", str(copy), "--erasures", str(tmp_path / "newer"), *words, str(tmp_path / "two")]) == 0
    assert "1 things of erased customers removed" in capsys.readouterr().out
    unit = pseudonym(read_key(custodian), "customer_id", ADA)
    with Started(tmp_path / "two") as new:
        ring = KeyRing.open(new.settings("ingest"), NAME)
        assert (ring.holds(ring.name(ADA)), ring.holds(ring.name(BOB))) == (False, True)
        assert set(in_force(new.settings("promote"), NAME)) == {unit}
        with pytest.raises(IntegrityBroken, match="erased"):
            ring.of_customers([ADA])
