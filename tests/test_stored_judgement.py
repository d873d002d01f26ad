"""`verify` compares a stored version with what was judged and approved: whoever holds promotion's key alone is found out."""

import pytest

from ml.errors import ConfigInvalid, IntegrityBroken
from ml.files import sha256
from ml.packaging import version
from ml.packaging.image import assemble
from ml.packaging.judgement import ENVELOPE
from ml.packaging.oci import Layout
from ml.packaging.record import Run
from ml.packaging.seal import check_evidence, seal
from ml.packaging.signing import Signer, generate_key
from ml.pipeline import package
from ml.pipeline.candidate import package_of
from ml.pipeline.judge import sign
from ml.pipeline.stored_judgement import compare
from ml.registry import ledger
from ml.registry.entry import Move
from ml.registry.publish import publish
from tests.promotable_run import answered, asked, lay_out_run, use_case, walk_in
from tests.test_judgement import SUBSTITUTIONS, published_long_ago


@pytest.fixture
def reader(object_store):
    return object_store.settings("read")


@pytest.fixture
def run(tmp_path, promoter, name):
    """A run that was judged and is not packaged yet."""
    return lay_out_run(tmp_path / "run", promoter, name=name)


def published_by_a_thief(root, held, name):
    """Sign and publish a packaged version with promotion's key, past promotion's comparisons; return its digest."""
    layout = Layout(package_of(root, use_case(name)))
    made, evidence = version.read(layout), check_evidence(layout)
    seal(layout, Run.read(root, name), evidence, assemble(layout, made, None), Signer.open(held))
    publish(held, name, layout)
    return made.digest


def test_an_honest_version_equals_what_was_judged_and_approved(run, promoter, reader, name):
    package.run(run)
    asked(promoter, name, run.root)
    answered(promoter, name, run.root, "Approve")
    digest = walk_in(promoter, name, run.root)["digest"]
    held = compare(reader, name, digest)
    assert (held.run_id, held.approvals) == ("run-1", 1)
    assert held.files == 6  # weights, state, profile, golden requests, verdict, metrics


@pytest.mark.parametrize("what", SUBSTITUTIONS)
def test_a_version_that_promotions_key_signed_and_nobody_judged_is_found(run, promoter, reader, name, what):
    SUBSTITUTIONS[what](run.data("evaluate").parent)
    package.run(run)
    digest = published_by_a_thief(run.root, promoter, name)
    with pytest.raises(IntegrityBroken):
        compare(reader, name, digest)


@pytest.mark.parametrize("forged", ["by promotion", "of another run", "none"])
def test_a_judgement_that_the_judge_did_not_sign_about_this_run_is_found(run, promoter, reader, name, forged):
    package.run(run)
    root = run.root
    thief = promoter.model_copy(update={"judge_key": promoter.signing_key})
    other = lay_out_run(root.parent / "other", promoter, name=name, run_id="run-2").root
    envelope = {
        "by promotion": sign(thief, name, "run-1", root),
        "of another run": (other / ENVELOPE).read_bytes(),
        "none": b"",
    }
    (root / ENVELOPE).write_bytes(envelope[forged])
    with pytest.raises(IntegrityBroken):
        compare(reader, name, published_by_a_thief(root, promoter, name))


@pytest.mark.parametrize("file", ["inputs.json", "params.yaml"])
def test_thresholds_and_inputs_that_the_gate_did_not_read_are_found(run, promoter, reader, name, file):
    package.run(run)
    (run.root / file).write_bytes((run.root / file).read_bytes() + b"\n")
    with pytest.raises(IntegrityBroken, match=f"{file} as the gate read it"):
        compare(reader, name, published_by_a_thief(run.root, promoter, name))


@pytest.mark.parametrize("approval", ["nobody's", "of another verdict", "of another person"])
def test_an_approval_that_nobody_gave_to_this_version_is_found(run, promoter, reader, name, approval):
    package.run(run)
    digest = published_by_a_thief(run.root, promoter, name)
    gate, about = (
        sha256((run.data("evaluate") / "verdict.json").read_bytes()),
        {"channel": "production", "run_id": "run-1"},
    )
    if approval != "nobody's":
        word = sha256(b"another") if approval == "of another verdict" else gate
        ledger.tell(promoter, name, Move(action="approve", digest=digest, who="ada", why="good", gate=word, **about))
    by = "eve" if approval == "of another person" else "ada"
    given = {"by": by, "at": "2026-12-01T00:00:00+00:00", "reason": "good"}
    move = Move(action="promote", digest=digest, who="eve", why="now", gate=gate, approval=given, **about)
    ledger.tell(promoter, name, move)
    with pytest.raises(IntegrityBroken, match=r"as in ledger entry|as ledger entry"):
        compare(reader, name, digest)


def test_a_version_of_before_is_told_as_one(ready, promoter, reader, name):
    digest, _ = published_long_ago(ready()[0], promoter, name)
    assert compare(reader, name, digest).run_id is None


def test_a_retired_key_of_the_judge_counts_while_it_is_trusted(run, promoter, reader, name):
    package.run(run)
    digest = walk_in(promoter, name, run.root)["digest"]
    new = generate_key().public
    assert compare(reader.model_copy(update={"judge_verify_key": new + reader.judge_verify_key}), name, digest).files
    with pytest.raises(IntegrityBroken, match="signature"):
        compare(reader.model_copy(update={"judge_verify_key": new}), name, digest)
    with pytest.raises(ConfigInvalid, match="TRADEWIND_JUDGE_VERIFY_KEY"):
        compare(reader.model_copy(update={"judge_verify_key": None}), name, digest)
