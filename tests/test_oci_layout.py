"""Layers and layouts follow the OCI specification, depend on contents alone, and unpack only into their folder."""

import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.errors import IntegrityBroken, ModelNotFound
from ml.files import canonical, sha256
from ml.packaging.archive import manifest, pack, unpack
from ml.packaging.artifact import CARD
from ml.packaging.image import assemble
from ml.packaging.oci import CONFIG, LAYER, MANIFEST, Layout, hexadecimal
from ml.packaging.version import build, read

DESCRIPTION = {"use_case": "toy", "variant": "int8"}


@pytest.fixture
def contents(tmp_path):
    folder = tmp_path / "contents"
    (folder / "model" / "inner").mkdir(parents=True)
    (folder / "model" / "weights.bin").write_bytes(bytes(range(256)) * 40)
    (folder / "model" / "inner" / "ä.txt").write_text("x" * 300)
    (folder / "state.json").write_text("{}")
    return folder


@pytest.fixture
def layout(tmp_path):
    return Layout.create(tmp_path / "oci")


def test_layer_depends_on_names_and_contents_alone(contents, tmp_path):
    other = tmp_path / "elsewhere"
    shutil.copytree(contents, other)
    for path in other.rglob("*"):
        path.chmod(0o700)
        os.utime(path, (1, 1))
    assert pack(contents, "models") == pack(other, "models")


def test_layer_changes_with_a_byte_and_with_a_name(contents):
    before = pack(contents, "models")
    (contents / "state.json").write_text("[]")
    changed = pack(contents, "models")
    (contents / "state.json").rename(contents / "stale.json")
    assert len({before.data, changed.data, pack(contents, "models").data}) == 3


def test_equal_folders_have_equal_digests_in_two_processes(contents, layout):
    script = (
        "import sys, pathlib, tempfile\n"
        "from ml.packaging.oci import Layout\n"
        "from ml.packaging.version import build\n"
        "layout = Layout.create(pathlib.Path(tempfile.mkdtemp()) / 'oci')\n"
        f"print(build(layout, pathlib.Path(sys.argv[1]), {DESCRIPTION!r}).digest)"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo"}
    command = [sys.executable, "-c", script, str(contents)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout.strip()
    assert printed == build(layout, contents, DESCRIPTION).digest


def test_diff_id_is_the_digest_of_the_uncompressed_archive(contents):
    layer = pack(contents, "models")
    assert layer.diff_id == f"sha256:{hashlib.sha256(gzip.decompress(layer.data)).hexdigest()}"


def test_layer_holds_plain_owners_modes_and_times(contents):
    with tarfile.open(fileobj=io.BytesIO(pack(contents, "models").data)) as archive:
        members = archive.getmembers()
    assert members[0].name == "models"
    assert [member.name for member in members[1:]] == sorted(member.name for member in members[1:])
    assert {(m.uid, m.gid, m.uname, m.gname, m.mtime) for m in members} == {(0, 0, "", "", 0)}
    assert {m.mode for m in members if m.isfile()} == {0o644}
    assert {m.mode for m in members if m.isdir()} == {0o755}


def test_unpacked_layer_is_the_folder_again(contents, tmp_path):
    unpack(pack(contents, "models").data, tmp_path / "again", "models")
    found = {p.relative_to(tmp_path / "again"): p.read_bytes() for p in (tmp_path / "again").rglob("*") if p.is_file()}
    assert found == {p.relative_to(contents): p.read_bytes() for p in contents.rglob("*") if p.is_file()}


def test_layer_manifest_names_each_file_with_its_digest(contents):
    assert manifest(pack(contents, "models").data)["models/state.json"] == sha256(b"{}")


@given(files=st.dictionaries(st.from_regex(r"[a-z]{1,8}", fullmatch=True), st.binary(max_size=64), max_size=5))
def test_any_folder_comes_back_from_its_layer(tmp_path_factory, files):
    source, target = tmp_path_factory.mktemp("in"), tmp_path_factory.mktemp("out")
    for name, data in files.items():
        (source / name).write_bytes(data)
    unpack(pack(source, "models").data, target, "models")
    assert {path.name: path.read_bytes() for path in target.iterdir()} == files


def test_link_in_the_model_is_refused(contents):
    (contents / "model" / "secret").symlink_to("/etc/passwd")
    with pytest.raises(IntegrityBroken, match="link"):
        pack(contents, "models")


def hostile(member, data=b""):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def member(name, kind=tarfile.REGTYPE, link=""):
    header = tarfile.TarInfo(name)
    header.type, header.linkname = kind, link
    return header


@pytest.mark.parametrize(
    "header",
    [
        member("models/../../escape"),
        member("/models/absolute"),
        member("other/file"),
        member("models/link", tarfile.SYMTYPE, "/etc/passwd"),
        member("models/hard", tarfile.LNKTYPE, "models/x"),
        member("models/device", tarfile.CHRTYPE),
    ],
    ids=lambda header: header.name,
)
def test_hostile_layer_is_refused_and_writes_nothing_outside(tmp_path, header):
    target = tmp_path / "deep" / "target"
    target.mkdir(parents=True)
    with pytest.raises(IntegrityBroken, match="plain files"):
        unpack(hostile(header, b"x" if header.isfile() else b""), target, "models")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("data", [b"", b"no archive", gzip.compress(b"no tar", mtime=0), b"\x1f\x8b\x08broken"])
def test_what_is_no_layer_is_called_that(tmp_path, data):
    with pytest.raises(IntegrityBroken, match="plain files"):
        unpack(data, tmp_path, "models")


def test_layout_is_the_one_of_the_specification(layout, contents):
    version = build(layout, contents, DESCRIPTION)
    assert json.loads((layout.folder / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    index = json.loads((layout.folder / "index.json").read_text())
    assert [entry["digest"] for entry in index["manifests"]] == [version.digest]
    document = json.loads(layout.path(version.digest).read_bytes())
    assert (document["schemaVersion"], document["mediaType"]) == (2, MANIFEST)
    assert document["config"]["mediaType"] == CONFIG
    (named,) = document["layers"]
    assert named["mediaType"] == LAYER
    assert named["size"] == layout.path(named["digest"]).stat().st_size
    for blob in layout.folder.glob("blobs/sha256/*"):
        assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name


def test_version_read_again_is_the_version_that_was_built(layout, contents):
    built = build(layout, contents, DESCRIPTION)
    assert read(layout) == built


def test_artefact_refers_to_its_subject_and_leaves_the_version_alone(layout, contents):
    version = build(layout, contents, DESCRIPTION)
    card = layout.attach(version.manifest, CARD, {"card.html": ("text/html", b"<p>")})
    document = layout.manifest(card.digest)
    assert document["subject"] == {"mediaType": MANIFEST, "digest": version.digest, "size": version.manifest.size}
    assert document["artifactType"] == CARD
    assert document["config"]["mediaType"] == "application/vnd.oci.empty.v1+json"
    assert layout.file(card.digest, "card.html") == b"<p>"
    assert layout.referrers(version.digest) == {CARD: card}
    assert read(layout).digest == version.digest


def test_changed_blob_is_noticed(layout):
    blob = layout.add_blob(b"right", "text/plain")
    layout.path(blob.digest).write_bytes(b"wrong")
    with pytest.raises(IntegrityBroken, match=blob.digest):
        layout.blob(blob.digest)


def test_missing_blob_is_named(layout):
    with pytest.raises(ModelNotFound, match="sha256:0000"):
        layout.blob("sha256:" + "0" * 64)


@pytest.mark.parametrize("digest", ["", "sha256:", "md5:" + "0" * 64, "sha256:" + "0" * 63 + "G", "sha256:../../etc"])
def test_what_is_no_digest_never_becomes_a_path(digest):
    with pytest.raises(IntegrityBroken, match="digest"):
        hexadecimal(digest)


def runtime_base(folder):
    """A base image of one layer, as a builder would leave it."""
    base = Layout.create(folder)
    data = gzip.compress(b"\0" * 1024, mtime=0)
    layer = base.add_blob(data, LAYER)
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Cmd": ["python", "-m", "ml", "serve"], "Labels": {"kept": "yes"}},
        "rootfs": {"type": "layers", "diff_ids": [sha256(b"\0" * 1024)]},
        "history": [{"created_by": "builder"}],
    }
    blob = base.add_blob(canonical(config), CONFIG)
    document = {"schemaVersion": 2, "mediaType": MANIFEST, "config": blob.to_json(), "layers": [layer.to_json()]}
    return base, base.add_manifest(document)


def test_runnable_image_is_the_base_and_the_very_layer_of_the_version(layout, contents, tmp_path):
    base, entry = runtime_base(tmp_path / "base")
    version = build(layout, contents, DESCRIPTION)
    image = assemble(layout, version, base.folder)
    document = layout.manifest(image.digest)
    assert image.base == entry.digest
    assert [layer["digest"] for layer in document["layers"]] == [
        base.manifest(entry.digest)["layers"][0]["digest"],
        version.layer.digest,
    ]
    config = json.loads(layout.blob(document["config"]["digest"]))
    assert config["rootfs"]["diff_ids"] == [sha256(b"\0" * 1024), version.diff_id]
    assert len(config["history"]) == 2
    assert config["config"]["Cmd"] == ["python", "-m", "ml", "serve"]
    assert config["config"]["Labels"] == {"kept": "yes", "dev.tradewind.version": version.digest}
    assert all(layout.blob(layer["digest"]) for layer in document["layers"])


def test_runnable_image_has_the_same_digest_again_and_leaves_the_version_alone(layout, contents, tmp_path):
    base, _ = runtime_base(tmp_path / "base")
    version = build(layout, contents, DESCRIPTION)
    first = assemble(layout, version, base.folder)
    again = Layout.create(tmp_path / "again")
    assert assemble(again, build(again, contents, DESCRIPTION), base.folder) == first
    assert read(layout).digest == version.digest


def test_without_a_base_there_is_no_image_and_a_reason(layout, contents):
    image = assemble(layout, build(layout, contents, DESCRIPTION), None)
    assert image.digest is None
    assert "TRADEWIND_RUNTIME_BASE" in image.reason


def test_base_with_two_images_is_refused(layout, contents, tmp_path):
    base, _ = runtime_base(tmp_path / "base")
    build(base, contents, DESCRIPTION)
    with pytest.raises(IntegrityBroken, match="2 images"):
        assemble(layout, build(layout, contents, DESCRIPTION), base.folder)


@pytest.mark.skipif(shutil.which("skopeo") is None, reason="skopeo is not installed")
def test_skopeo_reads_the_version(layout, contents):
    version = build(layout, contents, DESCRIPTION)
    layout.attach(version.manifest, CARD, {"card.html": ("text/html", b"<p>")})
    command = ["skopeo", "inspect", f"oci:{layout.folder}:version"]
    told = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert told["Digest"] == version.digest
    assert told["Layers"] == [version.layer.digest]
    assert told["Labels"]["dev.tradewind.use-case"] == "toy"
