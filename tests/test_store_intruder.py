"""Whoever writes the object store but holds no key runs no code of theirs, and is believed in nothing."""

import hashlib
import json
import re
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import date

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ml.config import BUCKETS
from ml.desk import document
from ml.errors import ConfigInvalid, IntegrityBroken, ModelNotFound
from ml.files import canonical, sha256
from ml.packaging.record import Run
from ml.packaging.signing import Signer, generate_key
from ml.pipeline import accepted, frozen, handover, released, serve
from ml.pipeline.decision import asking, ensure_fit, judged
from ml.pipeline.freeze import RunRequest, freeze
from ml.pipeline.listing import read_listing
from ml.pipeline.workspace import bring
from ml.store import Bucket
from tests.frozen_run import freeze_run, publish_verdict
from tests.promotable_run import packaged_run, use_case, walk_in
from tests.shell_stages import REFUSAL, VERDICT, Project, stages

RUN, OTHER = "honest", "other"
PAGE = "data/shop/features/page.html"
PLANTED = b"planted by the intruder"


class World:
    """An honest run of three stages and what is in the store of it; an intruder who may write every bucket."""

    def __init__(self, store, folder):
        self.store, self.folder = store, folder
        self.run = Project(store, folder, RUN, stages(json.dumps(VERDICT)))
        self.other = Project(store, folder, OTHER, stages(json.dumps(VERDICT)))
        for stage, role in (("ingest", "ingest"), ("validate", "ingest"), ("features", "train")):
            self.run.run(stage, store.settings(role, home=folder / role))
        self.other.run("ingest", store.settings("ingest", home=folder / "ingest"))
        keys = {f"s3_{part}_key": store.secrets[f"s3_admin_{part}_key"] for part in ("access", "secret")}
        held = store.settings("train", s3_access_key=keys["s3_access_key"], s3_secret_key=keys["s3_secret_key"])
        self.buckets = {name: Bucket.open(held, name) for name in BUCKETS}

    @contextmanager
    def changed(self, bucket, key, data):
        """Have something else in the store meanwhile."""
        before = self.buckets[bucket].find(key)
        self.buckets[bucket].put(key, data)
        try:
            yield
        finally:
            if before is None:
                self.buckets[bucket].delete(key)
            else:
                self.buckets[bucket].put(key, before)

    def get(self, bucket, key):
        return self.buckets[bucket].get(key)

    def signed_by(self, private, kind, statement):
        return Signer(private).sign(kind, canonical(statement))

    def features(self):
        return handover.find(self.store.settings("promote"), "shop", RUN, "features").part.outs[0]

    def look(self, folder, role="promote", path=PAGE):
        """Read what a stage made as a higher role, on an empty disk."""
        return self.run.read(self.store.settings(role, home=folder / "home"), path)


@pytest.fixture(scope="module")
def world(object_store, tmp_path_factory):
    return World(object_store, tmp_path_factory.mktemp("intruder"))


def statement(world, name=RUN, command=None, **changes):
    """Return what a frozen run's statement tells, with another command where one is given."""
    told = {"schema": frozen.SCHEMA, "use_case": "shop", "run_id": name, **changes}
    texts = {file: data.decode() for file, data in world.run.files.items()}
    if command is not None:
        texts["dvc.yaml"] = texts["dvc.yaml"].replace("cp reports/", f"{command}; cp reports/")
        assert command in texts["dvc.yaml"]
    return {**told, "files": texts}


def test_what_nobody_touched_is_read(world, tmp_path):
    assert world.look(tmp_path) == b"seen\n"


@pytest.mark.parametrize(
    "signed", ["by nobody", "by a stranger", "by train", "for another run", "no envelope", "as long as a disk"]
)
def test_a_run_that_the_freezing_role_did_not_sign_runs_no_command(world, tmp_path, signed):
    marker = tmp_path / "marker"
    told, secrets = statement(world, command=f"touch {marker}"), world.store.secrets
    envelope = {
        "by nobody": canonical(told),
        "by a stranger": world.signed_by(generate_key().private, frozen.KIND, told),
        "by train": world.signed_by(secrets["train_key"], frozen.KIND, told),
        "for another run": world.get("runs", f"shop/{OTHER}/frozen.json"),
        "no envelope": b"[" * 200_000,
        "as long as a disk": b"0" * (64 * 1024**2 + 1),
    }[signed]
    with world.changed("runs", f"shop/{RUN}/frozen.json", envelope), pytest.raises(IntegrityBroken) as refused:
        world.run.run("features", world.store.settings("train", home=tmp_path / "home"))
    assert "shop/honest/frozen.json" in str(refused.value)
    assert not marker.exists()


def test_plain_files_beside_the_signed_ones_are_not_read(world, tmp_path):
    marker = tmp_path / "marker"
    evil = statement(world, command=f"touch {marker}")["files"]["dvc.yaml"]
    planted = (("dvc.yaml", evil), ("dvc.lock", "stages: {}"), ("inputs.json", "{}"), (".dvc/config", "[core]"))
    with ExitStack() as meanwhile:
        for name, text in planted:
            meanwhile.enter_context(world.changed("runs", f"shop/{RUN}/{name}", text.encode()))
        world.run.run("features", world.store.settings("train", home=tmp_path / "train"))
    assert not marker.exists()
    assert world.look(tmp_path) == b"seen\n"


def test_stages_other_than_the_installed_ones_are_not_run_even_if_they_were_signed(world, tmp_path):
    marker = tmp_path / "marker"
    told = statement(world, command=f"touch {marker}")
    envelope = world.signed_by(world.store.secrets["freeze_key"], frozen.KIND, told)
    with (
        world.changed("runs", f"shop/{RUN}/frozen.json", envelope),
        pytest.raises(IntegrityBroken, match=r"installed dvc\.yaml"),
    ):
        world.run.run("features", world.store.settings("train", home=tmp_path / "home"))
    assert not marker.exists()


def test_who_takes_a_future_runs_place_keeps_that_run_from_starting_and_no_other(world, name):
    keeper, request = (
        world.store.settings("ingest"),
        RunRequest(run_id="scheduled__2026-12-02", as_of=date(2026, 12, 2)),
    )
    planted = {**statement(world), "use_case": name, "run_id": request.run_id}
    world.buckets["runs"].put(
        f"{name}/{request.run_id}/frozen.json", world.signed_by(generate_key().private, frozen.KIND, planted)
    )
    with pytest.raises(IntegrityBroken, match="Start a new run"):
        freeze(keeper, use_case(name), request)
    with pytest.raises(IntegrityBroken, match="Start a new run"):
        frozen.keep(keeper, name, request.run_id, world.run.files)
    assert frozen.keep(keeper, name, "manual__2026-12-02", world.run.files).inputs == {"source": {"digest": RUN}}


def test_what_was_frozen_once_stays_whatever_a_later_try_finds(world, name):
    keeper = world.store.settings("ingest")
    first = frozen.keep(keeper, name, RUN, world.run.files)
    later = frozen.keep(keeper, name, RUN, {**world.run.files, "inputs.json": b'{"source": {"digest": "newer"}}'})
    assert later.files == first.files == frozen.read(keeper, name, RUN).files


@pytest.mark.parametrize("run_id", ["..", "../shop", "a/b", "", ".hidden", "a..b", "a\nb", "a" * 201, "²"])
def test_a_run_id_is_no_way_out_of_its_folder(object_store, run_id):
    with pytest.raises(ConfigInvalid, match="run id"):
        frozen.read(object_store.settings("ingest"), "shop", run_id)


HONEST = {"cmd": "x", "outs": [{"path": "data/shop/features", "hash": "md5", "md5": "0" * 32 + ".dir", "size": 1}]}
CROOKED = {
    "a path that leads out": {"path": "data/shop/features/../../../../escaped"},
    "an absolute path": {"path": "/etc/cron.d/escaped"},
    "an output of another stage": {"path": "data/shop/ingest"},
    "a hash that is a path": {"md5": "../../../../escaped"},
    "a hash with a line break": {"md5": "0" * 32 + "\n"},
    "another hash": {"hash": "etag"},
    "a version of a cloud": {"cloud": {"evil": {"version_id": "1"}}},
    "another remote": {"remote": "evil"},
    "files of its own": {"files": [{"relpath": "../escaped", "md5": "0" * 32}]},
    "a size below nothing": {"size": -1},
}


@pytest.mark.parametrize("trick", CROOKED)
def test_a_lock_names_hashes_of_declared_outputs_and_nothing_else_whoever_signed_it(world, tmp_path, trick):
    part = {**HONEST, "outs": [{**HONEST["outs"][0], **CROOKED[trick]}]}
    told = {
        "schema": handover.SCHEMA,
        "use_case": "shop",
        "run_id": RUN,
        "stage": "features",
        "part": part,
        "judged": None,
    }
    envelope = world.signed_by(world.store.secrets["train_key"], handover.KIND, told)
    with world.changed("work", f"shop/{RUN}/handover/features.json", envelope), pytest.raises(IntegrityBroken):
        world.look(tmp_path)
    assert not list(tmp_path.rglob("escaped"))


@pytest.mark.parametrize("trick", ["unsigned", "by a stranger", "by train", "of another stage", "of another run"])
def test_outputs_that_their_role_did_not_sign_are_not_brought(world, tmp_path, trick):
    key, runs = f"shop/{RUN}/handover/ingest.json", "runs"
    told = {"schema": handover.SCHEMA, "use_case": "shop", "run_id": RUN, "stage": "ingest", "judged": None}
    told["part"] = world.run.locked()["ingest@shop"]
    envelope = {
        "unsigned": canonical(told),
        "by a stranger": world.signed_by(generate_key().private, handover.KIND, told),
        "by train": world.signed_by(world.store.secrets["train_key"], handover.KIND, told),
        "of another stage": world.get(runs, f"shop/{RUN}/handover/validate.json"),
        "of another run": world.get(runs, f"shop/{OTHER}/handover/ingest.json"),
    }[trick]
    with world.changed(runs, key, envelope), pytest.raises(IntegrityBroken, match=r"handover/ingest\.json"):
        world.run.run("validate", world.store.settings("ingest", home=tmp_path / "home"))


def test_other_bytes_under_a_right_name_are_not_brought(world, tmp_path):
    listing = world.features().md5
    (file,) = json.loads(world.get("work", place(listing)))
    for number, (md5, data) in enumerate(
        [
            (file["md5"], PLANTED),
            (file["md5"], b"0" * 5_000_000),
            (listing, canonical([{"md5": file["md5"], "relpath": "../../escaped"}])),
            (listing, b"[" * 100_000),
        ]
    ):
        with world.changed("work", place(md5), data), pytest.raises(IntegrityBroken):
            world.look(tmp_path / str(number))
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.read_bytes() == PLANTED]


def place(md5):
    return f"dvc/files/md5/{md5[:2]}/{md5[2:]}"


PLANTED_MD5 = hashlib.md5(PLANTED).hexdigest()


def named(relpath, md5=PLANTED_MD5):
    return {"md5": md5, "relpath": relpath}


ESCAPES = {
    "up": [named("../../../../escaped")],
    "absolute": [named("/tmp/escaped")],
    "within": [named("a/../../escaped")],
    "backslash": [named("..\\escaped")],
    "nothing": [named("")],
    "a zero byte": [named("escaped\0")],
    "a surrogate": [named("escaped\ud800")],
    "too long": [named("e" * 256)],
    "too deep": [named("/".join("e" * 40))],
    "twice": [named("escaped"), named("escaped")],
    "a file as a folder": [named("escaped"), named("escaped/below")],
    "a hash that is a path": [named("escaped", "../../../../../escaped")],
    "a hash as a number": [named("escaped", 7)],
    "more fields": [{**named("escaped"), "path": "s3://elsewhere"}],
    "no list": {"escaped": 1},
}


@pytest.mark.parametrize("trick", ESCAPES)
def test_a_folders_list_names_no_place_outside_it_even_if_a_stage_of_train_signed_for_it(world, tmp_path, trick):
    """The worst case: the stage itself went bad, and holds the key of its role."""
    data = json.dumps(ESCAPES[trick]).encode()
    md5 = f"{hashlib.md5(data).hexdigest()}.dir"
    part = {"cmd": "x", "outs": [{"path": "data/shop/features", "hash": "md5", "md5": md5, "size": len(PLANTED)}]}
    told = {
        "schema": handover.SCHEMA,
        "use_case": "shop",
        "run_id": RUN,
        "stage": "features",
        "part": part,
        "judged": None,
    }
    envelope = world.signed_by(world.store.secrets["train_key"], handover.KIND, told)
    world.buckets["work"].put(place(PLANTED_MD5), PLANTED)
    world.buckets["work"].put(place(md5), data)
    with (
        world.changed("work", f"shop/{RUN}/handover/features.json", envelope),
        pytest.raises(IntegrityBroken, match="a list of files inside their folder"),
    ):
        world.look(tmp_path, path="data/shop/features")
    assert not list(tmp_path.rglob("*escaped*"))


NAMES = st.lists(
    st.sampled_from(["a", "b", "..", ".", "", "\\", "\0", "é", "a b", "~", "x" * 300]), min_size=1, max_size=40
)


@given(
    st.lists(
        st.tuples(NAMES.map("/".join) | st.text(max_size=20), st.text("0f./g", min_size=30, max_size=34)), max_size=6
    )
)
def test_any_list_is_refused_or_stays_inside_its_folder(tmp_path_factory, entries):
    base = tmp_path_factory.getbasetemp() / "folder"
    try:
        files = read_listing(json.dumps([named(path, md5) for path, md5 in entries]).encode(), "here")
    except IntegrityBroken:
        return
    assert len(files) == len(entries)
    for path, md5 in files.items():
        assert base in (base / path).resolve().parents
        assert re.fullmatch("[0-9a-f]{32}", md5)


def test_profiles_and_marks_that_were_written_over_are_refused(world, name):
    keeper, runs = world.store.settings("ingest"), world.buckets["runs"]
    accepted.accept(keeper, name, "run-1", b'{"rows": 5}')
    (kept,) = accepted.accepted_runs(keeper, name)
    assert accepted.fetch_profile(runs, name, kept["digest"]) == b'{"rows": 5}'
    marks = released.keep(runs, name, ["a" * 32])
    for key, fetch, digest in (
        (accepted.profile_key(name, kept["digest"]), accepted.fetch_profile, kept["digest"]),
        (released.rows_key(name, marks), released.fetch_rows, marks),
    ):
        runs.put(key, b"[]")
        with pytest.raises(IntegrityBroken):
            fetch(runs, name, digest)


def test_a_list_of_accepted_runs_counts_with_the_signature_of_who_validates_alone(world, name):
    keeper, runs, key = world.store.settings("ingest"), world.buckets["runs"], f"{name}/accepted.json"
    accepted.accept(keeper, name, "run-1", b"{}")
    listed = {"schema": accepted.SCHEMA, "use_case": name, "runs": [{"run_id": "x", "digest": sha256(b"planted")}]}
    other = {**listed, "use_case": "another"}
    for envelope in (
        world.signed_by(generate_key().private, accepted.KIND, listed),
        world.signed_by(world.store.secrets["train_key"], accepted.KIND, listed),
        world.signed_by(world.store.secrets["freeze_key"], accepted.KIND, other),
        canonical(listed),
    ):
        runs.put(key, envelope)
        with pytest.raises(IntegrityBroken, match=r"accepted\.json"):
            accepted.accepted_runs(keeper, name)
    runs.put(key, canonical(listed["runs"]))  # as earlier versions left it
    assert accepted.accepted_runs(keeper, name) == []


def test_a_verdict_that_was_written_over_lets_no_data_pass(world, name):
    """What trains may write `reports`, where verdicts about data are read."""
    promoter = world.store.settings("promote")
    freeze_run(world.store, name, RUN, {"decisions": []}, {"checks": {"approve": ["*"]}})
    publish_verdict(world.store, name, RUN, json.dumps(REFUSAL).encode())
    assert [rule.name for rule in asking(promoter, name, RUN)] == ["fresh"]
    reports = Bucket.open(world.store.settings("train"), "reports")
    reports.put(f"{name}/{RUN}/validate/verdict.json", json.dumps(VERDICT).encode())
    for act in (asking, ensure_fit, judged):
        with pytest.raises(IntegrityBroken, match="the verdict"):
            act(promoter, name, RUN)
    world.buckets["runs"].delete(f"{name}/{RUN}/handover/validate.json")
    with pytest.raises(IntegrityBroken, match="none that `validate` signed"):
        asking(promoter, name, RUN)


def test_no_variable_of_dvc_and_no_configuration_of_another_user_reaches_a_stage(world, tmp_path, monkeypatch):
    """DVC unpickles what lies in its site cache."""
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "config").mkdir(parents=True)
    (elsewhere / "config" / "config").write_text("[cache]\ntype = symlink\n")
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(elsewhere / "site"))
    monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", str(elsewhere / "config"))
    settings = world.store.settings("promote", home=tmp_path / "home")
    with world.run.open(settings) as root:
        bring(settings, root, PAGE)
        assert not (root / PAGE).is_symlink()
    assert not (elsewhere / "site").exists()


def test_who_holds_no_key_cannot_make_a_role_sign(world, tmp_path):
    """A process of `train` has neither the right to write a run's frozen files nor the key to sign them."""
    train = world.store.settings("train", home=tmp_path)
    with pytest.raises(ConfigInvalid, match="FREEZE_KEY"):
        frozen.keep(train, "shop", "new", world.run.files)
    with pytest.raises(ConfigInvalid, match="a right to use"):
        Bucket.open(train, "runs").put("shop/new/frozen.json", b"{}")
    with pytest.raises(ModelNotFound):
        frozen.read(train, "shop", "new")


def test_a_report_about_data_is_shown_as_its_stage_signed_it(world):
    """What trains may write `reports`; a data owner decides by these pages."""
    reader, place = world.store.settings("read"), f"shop/{RUN}/validate/page.html"
    assert document.report(reader, "shop", RUN, "validate/page.html").data == b"seen\n"
    assert json.loads(document.report(reader, "shop", RUN, "validate/verdict.json").data) == VERDICT
    train = Bucket.open(world.store.settings("train"), "reports")
    for key in (place, f"shop/{RUN}/validate/verdict.json", f"shop/{RUN}/validate/quarantine.json"):
        with world.changed("reports", key, PLANTED):
            train.put(key, PLANTED)
            with pytest.raises(IntegrityBroken, match="that `validate` signed"):
                document.report(reader, "shop", RUN, key.removeprefix(f"shop/{RUN}/"))


def test_histories_are_served_as_they_were_promoted(world, promoter, name, tmp_path):
    """A stage of train that goes bad after the approval changes what its run handed over, not what was signed."""

    def with_features(root, md5):
        lock = yaml.safe_load((root / "dvc.lock").read_text())
        lock["stages"][f"features@{name}"] = {"outs": [{"path": f"data/{name}/features", "md5": md5}]}
        (root / "dvc.lock").write_text(yaml.safe_dump(lock))
        return Run.read(root, name)

    root, digest = packaged_run(tmp_path, promoter, name)
    run = with_features(root, "1" * 32 + ".dir")
    with pytest.raises(ModelNotFound):
        serve.ensure_promoted(promoter, digest, run)
    walk_in(promoter, name, root)
    serve.ensure_promoted(promoter, digest, run)
    with pytest.raises(IntegrityBroken, match="as it was promoted"):
        serve.ensure_promoted(promoter, digest, with_features(root, "2" * 32 + ".dir"))
    with pytest.raises(IntegrityBroken, match="as it was promoted"):
        serve.ensure_promoted(promoter, digest, replace(run, run_id="another"))
