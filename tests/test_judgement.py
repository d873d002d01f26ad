"""Between the gate's verdict and production no byte changes: whoever holds the S3 user `train` gets a refusal at every step."""

import json
import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
import yaml
from pydantic import SecretStr

from ml.errors import ConfigInvalid, GateFailed, IntegrityBroken
from ml.files import VERDICT_SCHEMA, canonical, read_json, sha256_file, write_json, write_verdict
from ml.packaging import artifact, version
from ml.packaging.image import assemble
from ml.packaging.judgement import ENVELOPE, HISTORIES
from ml.packaging.oci import Layout
from ml.packaging.record import RECORD_TYPE, Run, compose_record
from ml.packaging.seal import check_evidence
from ml.packaging.signing import Signer, generate_key
from ml.pipeline import frozen, package, promote
from ml.pipeline.candidate import judgement_of, package_of
from ml.pipeline.handover import find, leave
from ml.pipeline.judge import sign
from ml.pipeline.workspace import run_stage, single
from ml.registry import ledger
from ml.registry.entry import Move
from ml.registry.fetch import fetch_document, fetch_version
from ml.registry.publish import publish
from tests.judged_run import judged, signed
from tests.promotable_run import asked, lay_out_run, roll_back, use_case, verdict, walk_in


@pytest.fixture
def run(tmp_path, promoter, name):
    """Lay out a run that was judged and is not packaged yet."""
    return lay_out_run(tmp_path / "run", promoter, name=name)


def other_weights(data):
    np.save(data / "compress" / "int8" / "weights.npy", np.ones(4, dtype=np.float32))


def kinder_answers(data):
    golden = read_json(data / "evaluate" / "golden.json")
    golden["cases"] = golden["cases"][:1]
    write_json(data / "evaluate" / "golden.json", golden)


def better_figures(data):
    path = data / "evaluate" / "metrics.json"
    path.write_text(path.read_text().replace("0.1", "0.01"))


SUBSTITUTIONS = {
    "model": other_weights,
    "state": lambda data: write_json(data / "features" / "state.json", {"scale": 3.0}),
    "golden answers": kinder_answers,
    "metrics": better_figures,
    "verdict": lambda data: write_verdict(
        data / "evaluate" / "verdict.json", replace(verdict(), summary="Better than ever.")
    ),
    "drift profile": lambda data: shutil.copy(
        data / "features" / "test.parquet", data / "features" / "profile.parquet"
    ),
    "file added to the model": lambda data: (data / "compress" / "int8" / "hook.py").write_text("import os"),
    "file moved in the model": lambda data: (data / "compress" / "int8" / "weights.npy").rename(
        data / "compress" / "int8" / "weights2.npy"
    ),
}


@pytest.mark.parametrize("what", SUBSTITUTIONS)
def test_what_changes_between_evaluate_and_package_is_neither_asked_about_nor_promoted(run, promoter, name, what):
    SUBSTITUTIONS[what](run.data("evaluate").parent)
    package.run(run)
    for step in (asked, walk_in):
        with pytest.raises(IntegrityBroken, match="changed after they were judged"):
            step(promoter, name, run.root)
    assert ledger.history(promoter, name) == ()


@pytest.mark.parametrize("what", SUBSTITUTIONS)
def test_a_package_exchanged_for_another_whole_one_is_not_promoted(run, promoter, name, what):
    package.run(run)
    mine = run.root.parent / "mine"
    shutil.copytree(run.root, mine)
    SUBSTITUTIONS[what](mine / "data" / name)
    package.run(replace(run, root=mine))
    shutil.rmtree(run.data("package"))
    shutil.copytree(mine / "data" / name / "package", run.data("package"))
    with pytest.raises(IntegrityBroken, match="changed after they were judged"):
        walk_in(promoter, name, run.root)
    assert ledger.live(promoter, name, "production") is None


def test_a_candidate_that_the_gate_refused_does_not_pass_with_the_verdict_of_another(tmp_path, promoter, name):
    refused = lay_out_run(tmp_path / "refused", promoter, name=name, accepted=False)
    fine = lay_out_run(tmp_path / "fine", promoter, seed=2, name=name)
    shutil.copytree(fine.data("evaluate"), refused.data("evaluate"), dirs_exist_ok=True)
    package.run(refused)
    with pytest.raises(IntegrityBroken, match="one that refuses"):
        walk_in(promoter, name, refused.root)


def packaged(run):
    package.run(run)
    return run.root


def by_another_key(run, promoter, name):
    thief = promoter.model_copy(update={"judge_key": SecretStr(generate_key().private)})
    return sign(thief, name, "run-1", run.root)


def by_promotion(run, promoter, name):
    return sign(promoter.model_copy(update={"judge_key": promoter.signing_key}), name, "run-1", run.root)


def unsigned(run, promoter, name):
    envelope = json.loads(by_another_key(run, promoter, name))
    return canonical({**envelope, "signatures": []})


def of_another_run(run, promoter, name):
    signed(promoter, name, "run-2", run.root)
    return (run.root / ENVELOPE).read_bytes()


def of_another_use_case(run, promoter, name):
    other = lay_out_run(run.root.parent / "other", promoter, name=f"{name}-other")
    return (other.root / ENVELOPE).read_bytes()


@pytest.mark.parametrize("forged", [by_another_key, by_promotion, unsigned, of_another_run, of_another_use_case])
def test_a_judgement_of_somebody_or_something_else_is_none(run, promoter, name, forged):
    root = packaged(run)
    (root / ENVELOPE).write_bytes(forged(run, promoter, name))
    with pytest.raises(IntegrityBroken):
        walk_in(promoter, name, root)
    (root / ENVELOPE).unlink()
    with pytest.raises(IntegrityBroken, match="judgement"):
        walk_in(promoter, name, root)
    assert ledger.live(promoter, name, "production") is None


@pytest.mark.parametrize("file", ["inputs.json", "params.yaml"])
def test_frozen_files_that_change_after_the_verdict_are_refused(run, promoter, name, file):
    """What production was compared with, and by which thresholds, stands there."""
    root = packaged(run)
    (root / file).write_bytes((root / file).read_bytes() + b"\n")
    with pytest.raises(IntegrityBroken, match=f"{file} as the gate read it"):
        walk_in(promoter, name, root)


def test_without_the_judges_public_key_nothing_is_promoted(run, promoter, name):
    with pytest.raises(ConfigInvalid, match="TRADEWIND_JUDGE_VERIFY_KEY"):
        walk_in(promoter.model_copy(update={"judge_verify_key": None}), name, packaged(run))


def test_histories_that_change_after_the_verdict_are_not_those_that_were_judged(run, promoter, name):
    histories = run.data("features") / "histories.parquet"
    shutil.copy(run.data("features") / "test.parquet", histories)
    judged(run)
    judgement = judgement_of(promoter, name, run.root, "run-1")
    judgement.ensure(HISTORIES, sha256_file(histories))
    shutil.copy(run.data("features") / "profile.parquet", histories)
    with pytest.raises(IntegrityBroken, match="changed after they were judged"):
        judgement.ensure(HISTORIES, sha256_file(histories))


def test_the_signed_judgement_stays_with_the_version(run, promoter, name):
    root = packaged(run)
    digest = walk_in(promoter, name, root)["digest"]
    kept = fetch_document(promoter, name, digest, artifact.JUDGEMENT)
    assert kept == {ENVELOPE: (root / ENVELOPE).read_bytes()}


def published_long_ago(root, held, name):
    """Publish a packaged version as promotion did before anybody signed what was judged; return its digest."""
    layout, signer, run = Layout(package_of(root, use_case(name))), Signer.open(held), Run.read(root, name)
    made, evidence = version.read(layout), check_evidence(layout)
    payload = compose_record(run, made, evidence, assemble(layout, made, None))
    envelope = signer.sign(RECORD_TYPE, canonical(payload))
    layout.attach(made.manifest, artifact.RECORD, {"record.dsse.json": (artifact.ENVELOPE, envelope)})
    publish(held, name, layout)
    return made.digest, evidence.gate


def test_a_version_of_before_serves_and_returns_and_one_that_was_never_live_does_not(ready, promoter, name, tmp_path):
    digest, gate = published_long_ago(ready(seed=1)[0], promoter, name)
    move = Move(channel="production", action="promote", digest=digest, who="ada", why="before", gate=gate)
    ledger.tell(promoter, name, move)
    assert fetch_version(promoter, name, digest, tmp_path / "server").is_dir()
    root, newer = ready(seed=2, production=digest)
    walk_in(promoter, name, root)
    assert roll_back(promoter, name, digest).digest == digest
    assert promote.promote_again(promoter, use_case(name), order(digest, channel="candidate")).is_new
    waiting, _ = published_long_ago(ready(seed=3, production=digest)[0], promoter, name)
    with pytest.raises(GateFailed, match="before judgements were signed"):
        promote.promote_again(promoter, use_case(name), order(waiting))
    assert ledger.live(promoter, name, "production").digest == digest
    assert newer != digest


def order(digest, **changes):
    return promote.Order(digest=digest, who="ada", reason="it did well", **changes)


def judging_stages(count):
    """Real DVC stages: one leaves a model, one judges it and counts how often it did."""
    told = {"schema": VERDICT_SCHEMA, "stage": "evaluate", "accepted": True, "rules": [], "summary": "Measured."}
    verdict_text = json.dumps({**told, "chosen": "int8", "details": {}})
    out = "data/${item}/"
    stages = {
        "compress": {"cmd": f"mkdir -p {out}compress && echo model > {out}compress/m"},
        "evaluate": {
            "cmd": f"mkdir -p {out}evaluate && echo '{verdict_text}' > {out}evaluate/verdict.json && "
            f"echo 1 >> {count} && env >> {count}.environment",
            "deps": ["data/${item}/compress"],
        },
    }
    made = {
        stage: {"foreach": "${use_cases}", "do": {**do, "outs": [f"data/${{item}}/{stage}"]}}
        for stage, do in stages.items()
    }
    return yaml.safe_dump({"vars": [{"use_cases": ["shop"]}], "stages": made})


def run_twice(object_store, tmp_path, name):
    """Judge two runs with equal files, on one machine; return how often the command ran."""
    train, judge = (object_store.settings(role, home=tmp_path / "home") for role in ("train", "judge"))
    count = tmp_path / "count"
    (tmp_path / "dvc.yaml").write_text(judging_stages(count))
    for run_id in (f"first-{name}", f"second-{name}"):
        files = {"inputs.json": b"{}", "params.yaml": b"shop: {}\n", "dvc.yaml": single("shop", tmp_path)}
        frozen.keep(object_store.settings("ingest"), "shop", run_id, files)
        run_stage(train, "shop", run_id, "compress", tmp_path)
        run_stage(judge, "shop", run_id, "evaluate", tmp_path)
    return count.read_text().count("1")


def test_the_judge_signs_what_it_measured_itself_and_no_output_kept_from_another_time(object_store, tmp_path, name):
    """DVC would take a stage's outputs from its cache where command and inputs are equal."""
    assert run_twice(object_store, tmp_path, name) == 2


def test_the_stage_that_opens_the_model_does_not_hold_the_key(object_store, tmp_path, monkeypatch, name):
    monkeypatch.setenv("TRADEWIND_JUDGE_KEY", "of the judge")
    monkeypatch.setenv("TRADEWIND_JUDGE_VERIFY_KEY", "of everybody")
    run_twice(object_store, tmp_path, name)
    seen = (tmp_path / "count.environment").read_text()
    assert "TRADEWIND_JUDGE_VERIFY_KEY=of everybody" in seen
    assert "TRADEWIND_JUDGE_KEY" not in seen
    assert os.environ["TRADEWIND_JUDGE_KEY"] == "of the judge"


def test_a_hand_over_of_the_verdict_by_who_trains_is_none(object_store, name):
    train = object_store.settings("train")
    forged = train.model_copy(update={"judge_key": train.train_key})
    leave(forged, (name, "run-1", "evaluate"), {"cmd": "true"}, None)
    with pytest.raises(IntegrityBroken, match="as `judge` signed it"):
        find(train, name, "run-1", "evaluate")
