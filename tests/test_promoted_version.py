"""What was promoted comes back verified, with its documents, and not at all if anything was changed."""

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from ml.desk.version_view import version_page
from ml.errors import IntegrityBroken, ModelNotFound
from ml.files import read_json, sha256_file, write_json
from ml.packaging import artifact
from ml.packaging.golden import replay
from ml.packaging.oci import Layout
from ml.packaging.record import STATEMENT_TYPE
from ml.packaging.signing import Verifier, generate_key
from ml.registry import ledger
from ml.registry.fetch import fetch_document, fetch_image, fetch_record, fetch_version
from ml.registry.shelf import Shelf
from ml.store import Bucket
from tests.judged_run import signed
from tests.promotable_run import (
    FIGURES,
    use_case,
    walk_in,
)


def test_changed_weights_are_found_by_the_golden_requests(ready, promoter, name, tmp_path):
    root, digest = ready()
    walk_in(promoter, name, root)
    folder = fetch_version(promoter, name, digest, tmp_path / "kept")
    assert replay(use_case(name), folder) == 20
    weights = folder / "model" / "weights.npy"
    np.save(weights, np.load(weights) * 1.001)
    with pytest.raises(IntegrityBroken, match="golden request 0"):
        replay(use_case(name), folder)


def test_bytes_changed_in_the_store_are_not_unpacked(ready, promoter, name, tmp_path):
    root, digest = ready()
    walk_in(promoter, name, root)
    layer = Shelf.open(promoter, name).manifest(digest)["layers"][0]["digest"]
    Bucket.open(promoter, "models").put(f"{name}/blobs/sha256/{layer[7:]}", b"something else")
    with pytest.raises(IntegrityBroken, match=layer):
        fetch_version(promoter, name, digest, tmp_path / "kept")
    assert not (tmp_path / "kept").exists()


def test_version_nobody_trusted_signed_is_not_unpacked(ready, object_store, promoter, name, tmp_path):
    root, digest = ready()
    walk_in(promoter, name, root)
    stranger = object_store.settings("serve", verify_key=generate_key().public)
    with pytest.raises(IntegrityBroken, match="trusted key"):
        fetch_version(stranger, name, digest, tmp_path / "kept")
    assert not (tmp_path / "kept").exists()


def test_version_without_its_record_is_not_unpacked(ready, promoter, name, tmp_path):
    root, digest = ready()
    walk_in(promoter, name, root)
    models = Bucket.open(promoter, "models")
    for key in list(models.keys(f"{name}/referrers/")):
        models.delete(key)
    with pytest.raises(IntegrityBroken, match="trusted key"):
        fetch_version(promoter, name, digest, tmp_path / "kept")


def test_signed_record_of_one_version_does_not_vouch_for_another(ready, promoter, name, tmp_path):
    first, digest = ready(seed=1)
    walk_in(promoter, name, first)
    second, other = ready(seed=2)
    shelf = Shelf.open(promoter, name)
    layout = Layout(second / "data" / name / "package" / "oci")
    shelf.add(layout, layout.named("version"))
    models = Bucket.open(promoter, "models")
    for key in list(models.keys(f"{name}/referrers/sha256/{digest[7:]}/")):
        models.put(key.replace(digest[7:], other[7:]), models.get(key))
    with pytest.raises(IntegrityBroken, match="trusted key"):
        fetch_version(promoter, name, other, tmp_path / "kept")


def test_unknown_version_is_not_found(promoter, name, tmp_path):
    with pytest.raises(ModelNotFound, match="published version"):
        fetch_version(promoter, name, "sha256:" + "0" * 64, tmp_path)


def test_record_tells_where_a_version_came_from(ready, promoter, name):
    root, digest = ready()
    walk_in(promoter, name, root)
    record = fetch_record(promoter, name, digest)
    told = record.payload
    assert record.digest == ledger.live(promoter, name, "production").record
    assert told["data"] == {f"data/{name}/train": "abc.dir"}
    assert told["files"]["dvc.lock"] == sha256_file(root / "dvc.lock")
    assert told["params"] == {"train": {"epochs": 3}}
    assert told["gate"]["rules"][0]["observed"] == 0.2
    assert told["figures"] == FIGURES
    assert told["image"]["digest"] is None
    assert set(told["documents"]) == {
        *artifact.REQUIRED,
        *(artifact.LOCK, artifact.PROVENANCE, artifact.JUDGEMENT),
    }
    assert "secret" not in json.dumps(told)


def test_a_version_that_a_later_run_made_again_keeps_the_papers_it_went_live_with(ready, promoter, name):
    root, digest = ready()
    walk_in(promoter, name, root)
    write_json(root / "inputs.json", {**read_json(root / "inputs.json"), "run_id": "run-2"})
    signed(promoter, name, "run-2", root)
    assert not walk_in(promoter, name, root)["is_new"]
    assert fetch_record(promoter, name, digest).payload["run_id"] == "run-2"
    assert fetch_record(promoter, name, digest, "run-1").digest == ledger.live(promoter, name, "production").record
    assert version_page(promoter, name, digest).dossier.record["run_id"] == "run-1"


def test_document_of_a_version_comes_back_as_it_was_attached(ready, promoter, name):
    root, digest = ready()
    walk_in(promoter, name, root)
    profile = fetch_document(promoter, name, digest, artifact.PROFILE)
    assert profile == {"profile.parquet": (root / "data" / name / "features" / "profile.parquet").read_bytes()}
    lock = fetch_document(promoter, name, digest, artifact.LOCK)
    assert lock["dvc.lock"] == (root / "dvc.lock").read_bytes()
    with pytest.raises(ModelNotFound, match="no/such"):
        fetch_document(promoter, name, digest, "no/such")


def test_provenance_is_a_signed_in_toto_statement_about_the_version(ready, promoter, name):
    root, digest = ready()
    walk_in(promoter, name, root)
    files = fetch_document(promoter, name, digest, artifact.PROVENANCE)
    statement = json.loads(Verifier.open(promoter).verify(files["provenance.dsse.json"], STATEMENT_TYPE))
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["subject"][0]["digest"]["sha256"] == digest[7:]
    assert statement["predicate"]["runDetails"]["metadata"]["invocationId"] == "run-1"
    assert "secret" not in json.dumps(statement)


def test_published_version_is_a_layout_again(ready, promoter, name, tmp_path):
    root, digest = ready()
    walk_in(promoter, name, root)
    layout = Layout(fetch_image(promoter, name, digest, tmp_path / "image"))
    assert layout.named("image").digest == digest
    assert layout.blob(layout.manifest(digest)["layers"][0]["digest"])


def test_version_fetched_by_many_at_once_is_whole_for_all(ready, promoter, name, tmp_path):
    root, digest = ready()
    walk_in(promoter, name, root)
    with ThreadPoolExecutor(6) as pool:
        folders = list(pool.map(lambda _: fetch_version(promoter, name, digest, tmp_path / "kept"), range(6)))
    assert len(set(folders)) == 1
    assert replay(use_case(name), folders[0]) == 20
    assert [path.name for path in (tmp_path / "kept").iterdir()] == [digest[7:]]


def test_copy_that_was_changed_on_disk_is_replaced(ready, promoter, name, tmp_path):
    root, digest = ready()
    walk_in(promoter, name, root)
    folder = fetch_version(promoter, name, digest, tmp_path / "kept")
    (folder / "state.json").write_text("{}")
    (folder / "extra").write_text("")
    again = fetch_version(promoter, name, digest, tmp_path / "kept")
    assert read_json(again / "state.json") == {"scale": 2.0}
    assert [path.name for path in (tmp_path / "kept").iterdir()] == [digest[7:]]
    assert not (again / "extra").exists()
