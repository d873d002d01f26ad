"""What nobody needs any more goes, what the ledger may still lead to stays, and no promotion loses bytes meanwhile."""

import pytest

from ml.errors import ModelNotFound, StorageUnavailable
from ml.packaging.signing import Signer
from ml.pipeline.rebuild import rebuild
from ml.registry import ledger
from ml.registry.collect import Kept, collect
from ml.registry.entry import Move
from ml.registry.fetch import fetch_document, fetch_record, fetch_version
from ml.registry.ledger import Ledger
from ml.registry.shelf import Shelf
from tests.promotable_run import roll_back, use_case, walk_in


@pytest.fixture
def versions(ready, promoter, name):
    """Five versions, each live after the one before."""
    made = [None]
    for seed in range(5):
        root, digest = ready(seed=seed, production=made[-1])
        walk_in(promoter, name, root)
        made.append(digest)
    return made[1:]


def test_a_stated_number_and_what_is_live_stay_whole_and_the_ledger_tells_what_went(promoter, name, versions, tmp_path):
    roll_back(promoter, name, versions[0])
    trial = collect(promoter, name, Kept(newest=2, horizon_days=0), "ada", is_trial=True)
    assert Shelf.open(promoter, name).versions() == set(versions)
    done = collect(promoter, name, Kept(newest=2, horizon_days=0), "ada")
    assert done == trial
    assert set(done.versions) == {versions[1], versions[2]}
    shelf = Shelf.open(promoter, name)
    stored = set(shelf.sizes())
    named = {digest for kind, digest in stored if kind == "manifests"}
    parts = {
        part["digest"] for one in named for part in (shelf.manifest(one)["config"], *shelf.manifest(one)["layers"])
    }
    assert {digest for kind, digest in stored if kind == "blobs"} == parts
    for digest in (versions[0], versions[3], versions[4]):
        fetch_version(promoter, name, digest, tmp_path)
        for kind in fetch_record(promoter, name, digest).payload["documents"]:
            assert fetch_document(promoter, name, digest, kind)
    with pytest.raises(ModelNotFound):
        fetch_version(promoter, name, versions[1], tmp_path)
    with pytest.raises(ModelNotFound):
        roll_back(promoter, name, versions[2])
    entries = ledger.history(promoter, name)
    assert [entry.action for entry in entries] == ["promote"] * 5 + ["rollback", "collect", "collected"]
    assert versions[1] in entries[6].why
    assert ledger.live(promoter, name, "production").digest == versions[0]
    assert ledger.repair(promoter, name) == ()


def test_what_moves_within_the_horizon_name_stays(promoter, name, versions):
    done = collect(promoter, name, Kept(newest=1, horizon_days=1), "ada")
    assert (done.versions, done.blobs) == ((), 0)
    assert len(ledger.history(promoter, name)) == 5


def test_a_promotion_waits_while_a_collection_is_under_way(ready, promoter, name):
    root, _ = ready()
    view, signer = Ledger.open(promoter, name), Signer.open(promoter)
    begun = Move(channel="registry", action="collect", digest=None, who="ada", why="")
    view.note(signer, begun)
    with pytest.raises(StorageUnavailable, match="collection"):
        walk_in(promoter, name, root)
    collect(promoter, name, Kept(), "ada")  # after one that was killed
    view.refresh()
    view.note(signer, Move(channel="registry", action="collected", digest=None, who="ada", why=""))
    assert walk_in(promoter, name, root)["is_new"]


def test_a_version_whose_yardstick_was_collected_is_not_rebuildable_rather_than_another(promoter, name, versions):
    collect(promoter, name, Kept(newest=2, horizon_days=0), "ada")
    told = rebuild(promoter, lambda stage: {}, use_case(name), versions[3])
    assert (told.verdict, told.run_id) == ("not rebuildable", None)
    assert f"it was compared with {versions[2]}, which" in told.sentence
