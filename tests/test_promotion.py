"""A version passes one door, forward and back: signed, fetched back, asked its golden requests."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from ml.errors import ConfigInvalid, GateFailed, IntegrityBroken, ModelNotFound, PromotionConflict
from ml.files import canonical, sha256_file, write_verdict
from ml.packaging import artifact
from ml.packaging.oci import Layout
from ml.pipeline import package, promote
from ml.registry import ledger
from ml.registry.fetch import fetch_version
from ml.registry.shelf import Shelf
from ml.serving.versions import RegistryVersions
from ml.store import Bucket
from tests.judged_run import judged
from tests.promotable_run import (
    METRICS,
    answer,
    files_of,
    lay_out_run,
    roll_back,
    use_case,
    verdict,
    walk_in,
)


def test_promoted_version_is_live_and_serves_every_reader(ready, object_store, promoter, name, tmp_path):
    root, digest = ready()
    done = walk_in(promoter, name, root)
    assert (done["digest"], done["seq"], done["is_new"], done["golden"]) == (digest, 1, True, 20)
    serve = object_store.settings("serve")
    live = ledger.live(serve, name, "production")
    assert (live.digest, live.who, live.run_id) == (digest, "ada", "run-1")
    assert live.gate == sha256_file(root / "data" / name / "evaluate" / "verdict.json")
    folder = fetch_version(serve, name, digest, tmp_path / "kept")
    assert {path.name for path in folder.iterdir()} == {"model", "state.json", "golden.json", "version.json"}
    exported = root / "data" / name / "compress" / "int8" / "weights.npy"
    assert (folder / "model" / "weights.npy").read_bytes() == exported.read_bytes()


def test_equal_version_is_already_live_and_writes_no_entry(ready, promoter, name):
    root, digest = ready()
    walk_in(promoter, name, root)
    again, same = ready(production=digest)
    done = walk_in(promoter, name, again)
    assert same == digest
    assert (done["is_new"], done["seq"]) == (False, 1)
    assert "already live" in done["sentence"]
    assert len(ledger.history(promoter, name)) == 1


def test_a_live_version_that_another_run_makes_again_stays_loadable_on_the_first_runs_evidence(
    ready, object_store, promoter, name, tmp_path
):
    first, digest = ready()
    walk_in(promoter, name, first)
    second = lay_out_run(tmp_path / "second", promoter, name=name, production=digest)
    write_verdict(second.data("evaluate") / "verdict.json", replace(verdict(), summary="As good as production."))
    judged(second)
    package.run(second)
    assert walk_in(promoter, name, second.root)["is_new"] is False
    served = RegistryVersions(object_store.settings("serve", home=tmp_path / "server"))
    served.ensure_accepted(served.live(name))


def test_promotion_that_was_killed_after_its_entry_ends_well_when_tried_again(ready, promoter, name):
    root, digest = ready()
    walk_in(promoter, name, root)
    bucket = Bucket.open(promoter, "ledger")
    bucket.delete(f"channels/{name}/production.json")
    assert walk_in(promoter, name, root)["is_new"] is False
    assert digest.encode() in bucket.get(f"channels/{name}/production.json")


def test_gate_that_compared_with_another_production_does_not_count(ready, promoter, name):
    first, digest = ready(seed=1)
    second, _ = ready(seed=2, production=None)
    walk_in(promoter, name, first)
    with pytest.raises(PromotionConflict, match="new run"):
        walk_in(promoter, name, second)
    assert ledger.live(promoter, name, "production").digest == digest


def test_two_promotions_at_once_have_one_winner(ready, promoter, name):
    roots = [ready(seed=seed)[0] for seed in range(4)]

    def go(root):
        try:
            return walk_in(promoter, name, root)
        except PromotionConflict as conflict:
            return conflict

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(go, roots))
    winners = [result for result in results if isinstance(result, dict)]
    assert len(winners) == 1
    assert ledger.live(promoter, name, "production").digest == winners[0]["digest"]
    assert len(ledger.history(promoter, name)) == 1


def test_candidate_channel_leaves_production_alone(ready, promoter, name):
    root, digest = ready()
    walk_in(promoter, name, root, channel="candidate")
    assert ledger.live(promoter, name, "candidate").digest == digest
    assert ledger.live(promoter, name, "production") is None


def test_only_the_promoter_can_promote(ready, object_store, name):
    root, _ = ready()
    with pytest.raises(ConfigInvalid):
        walk_in(object_store.settings("train"), name, root)
    signing = object_store.settings("promote").signing_key
    with pytest.raises(ConfigInvalid, match="grants"):
        walk_in(object_store.settings("train", signing_key=signing), name, root)


def test_promotion_leaves_the_packaged_output_as_it_was(ready, promoter, name):
    root, _ = ready()
    before = files_of(root / "data")
    walk_in(promoter, name, root)
    assert files_of(root / "data") == before


@pytest.mark.parametrize("kind", artifact.REQUIRED)
def test_version_without_a_document_is_refused(ready, promoter, name, kind):
    root, _ = ready()
    index = root / "data" / name / "package" / "oci" / "index.json"
    document = json.loads(index.read_text())
    document["manifests"] = [entry for entry in document["manifests"] if entry.get("artifactType") != kind]
    index.write_bytes(canonical(document))
    with pytest.raises(IntegrityBroken, match="every document"):
        walk_in(promoter, name, root)
    assert ledger.live(promoter, name, "production") is None


def test_refusing_gate_report_is_heeded_at_the_door_too(ready, promoter, name, tmp_path):
    root, _ = ready()
    layout = Layout(root / "data" / name / "package" / "oci")
    write_verdict(tmp_path / "no.json", verdict(accepted=False))
    files = {
        "verdict.json": ("application/json", (tmp_path / "no.json").read_bytes()),
        "metrics.json": ("x/y", canonical(METRICS)),
    }
    layout.attach(layout.named("version"), artifact.GATE, files)
    with pytest.raises(GateFailed):
        walk_in(promoter, name, root)


def test_tampered_layer_is_refused(ready, promoter, name):
    root, digest = ready()
    layout = Layout(root / "data" / name / "package" / "oci")
    path = layout.path(layout.manifest(digest)["layers"][0]["digest"])
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(IntegrityBroken):
        walk_in(promoter, name, root)
    assert list(Shelf.open(promoter, name).digests()) == []


def test_code_that_answers_otherwise_does_not_promote(ready, promoter, name):
    root, _ = ready()
    case = use_case(name)

    def another(predictor, state, request, history):
        return answer(predictor, state, request, history).model_copy(update={"strongest": -1})

    changed = replace(case, service=replace(case.service, answer=another))
    with pytest.raises(IntegrityBroken, match="strongest"):
        promote.run(promoter, changed, root, {"who": "ada", "why": "nightly"})
    assert ledger.live(promoter, name, "production") is None


def test_rolled_back_version_is_live_again_by_a_new_entry(ready, promoter, name):
    first, old = ready(seed=1)
    walk_in(promoter, name, first)
    second, new = ready(seed=2, production=old)
    walk_in(promoter, name, second)
    done = roll_back(promoter, name, old, "complaints about the new one")
    live = ledger.live(promoter, name, "production")
    assert (done.digest, done.seq, done.is_new) == (old, 3, True)
    assert (live.digest, live.action, live.who, live.why) == (old, "rollback", "bob", "complaints about the new one")
    assert [entry.from_digest for entry in ledger.history(promoter, name)] == [None, old, new]


def test_rolling_back_to_what_is_live_writes_no_entry(ready, promoter, name):
    root, digest = ready()
    walk_in(promoter, name, root)
    assert roll_back(promoter, name, digest, "just to be sure").is_new is False
    assert len(ledger.history(promoter, name)) == 1


def test_rollback_needs_a_reason_and_a_version_that_exists(promoter, name):
    with pytest.raises(ValueError, match="reason"):
        roll_back(promoter, name, "sha256:" + "0" * 64, " ")
    with pytest.raises(ModelNotFound):
        roll_back(promoter, name, "sha256:" + "0" * 64, "undo")


def test_broken_version_is_not_rolled_back_to(ready, promoter, name):
    first, old = ready(seed=1)
    walk_in(promoter, name, first)
    second, new = ready(seed=2, production=old)
    walk_in(promoter, name, second)
    layer = Shelf.open(promoter, name).manifest(old)["layers"][0]["digest"]
    Bucket.open(promoter, "models").put(f"{name}/blobs/sha256/{layer[7:]}", b"rotten")
    with pytest.raises(IntegrityBroken):
        roll_back(promoter, name, old, "undo")
    assert ledger.live(promoter, name, "production").digest == new


def test_version_that_was_rolled_back_does_not_return_by_timetable(ready, promoter, name):
    first, old = ready(seed=1)
    walk_in(promoter, name, first)
    second, _ = ready(seed=2, production=old)
    walk_in(promoter, name, second)
    roll_back(promoter, name, old, "complaints")
    with pytest.raises(GateFailed, match="bob rolled back: complaints"):
        walk_in(promoter, name, second)
    third, newest = ready(seed=3, production=old)
    assert walk_in(promoter, name, third)["digest"] == newest


def test_version_that_was_rolled_back_returns_by_a_deliberate_move(ready, promoter, name):
    first, old = ready(seed=1)
    walk_in(promoter, name, first)
    second, new = ready(seed=2, production=old)
    walk_in(promoter, name, second)
    roll_back(promoter, name, old, "complaints")
    assert roll_back(promoter, name, new, "they were about something else").digest == new
    assert walk_in(promoter, name, second)["is_new"] is False
