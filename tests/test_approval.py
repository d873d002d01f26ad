"""A person's yes or no about a version is an entry of the ledger that names its bytes; nothing else is; silence is no."""

from datetime import date

import pytest
import yaml

from ml.errors import GateFailed, IntegrityBroken, PromotionConflict
from ml.files import sha256_file
from ml.pipeline import promote, serve
from ml.pipeline.freeze import RunRequest, run_params
from ml.registry import ledger
from ml.registry.shelf import Shelf
from ml.use_cases import load
from tests.judged_run import signed
from tests.promotable_run import answered, asked, roll_back, use_case, walk_in

NOBODY = {"by": None, "reason": None}


@pytest.fixture
def required(ready, promoter, name):
    """Make a packaged run whose frozen parameters ask for an approval: (workspace, digest)."""

    def made(**options):
        root, digest = ready(**options)
        params = yaml.safe_load((root / "params.yaml").read_text())
        (root / "params.yaml").write_text(yaml.safe_dump({name: {**params[name], "release": {"approval": "required"}}}))
        signed(promoter, name, options.get("run_id", "run-1"), root)
        return root, digest

    return made


def words(held, name):
    return [(one.action, one.who, one.to_digest) for one in ledger.history(held, name)]


def test_an_approval_names_run_version_and_verdict_and_is_kept_with_the_move(required, promoter, name):
    root, digest = required()
    held = promoter.model_copy(update={"approvers": "ada, bob"})
    shown = asked(held, name, root)
    verdict = sha256_file(root / "data" / name / "evaluate" / "verdict.json")
    assert (shown["version"], shown["gate"]) == (digest, verdict)
    answered(held, name, root, "Approve")
    walk_in(held, name, root, who="carl")
    question, answer, move = ledger.history(promoter, name)
    assert (question.action, question.who, question.to_digest) == ("ask", "carl", digest)
    assert (answer.action, answer.who, answer.why) == ("approve", "ada", "figures look right")
    assert (answer.run_id, answer.to_digest, answer.gate) == ("run-1", digest, verdict)
    assert (move.action, move.to_digest, move.who) == ("promote", digest, "carl")
    assert move.approval == {"by": "ada", "at": answer.when, "reason": "figures look right"}


@pytest.mark.parametrize(
    "forged",
    [
        {},
        {"approval": {"choice": "Approve", "by": "ada", "at": "2026-11-24", "reason": "as XCom would say"}},
        {"approval": None, "answer": {"choice": "Approve", "by": "ada", "at": "2026-11-24", "reason": "so"}},
    ],
)
@pytest.mark.parametrize("is_asked", [False, True])
def test_what_a_task_is_told_is_no_approval(required, promoter, name, forged, is_asked):
    root, _ = required()
    if is_asked:
        asked(promoter, name, root)
    with pytest.raises(GateFailed, match="a person's approval"):
        walk_in(promoter, name, root, **forged)
    assert ledger.live(promoter, name, "production") is None


@pytest.mark.parametrize(
    ("choice", "given", "told"),
    [
        (None, {}, "approval. Received none"),
        ("Promote", {}, "approval. Received none"),
        ("Approve", {"by": None}, "approval. Received none"),
        ("Approve", {"by": "eve"}, "one of ada, bob. Received one by eve"),
        ("Approve", {"reason": " "}, "with a reason"),
    ],
)
def test_without_a_whole_approval_by_somebody_who_may_nothing_is_kept(required, promoter, name, choice, given, told):
    root, _ = required()
    held = promoter.model_copy(update={"approvers": "ada,bob"})
    asked(held, name, root)
    with pytest.raises(GateFailed, match=told):
        answered(held, name, root, choice, **given)
    assert [action for action, _, _ in words(promoter, name)] == ["ask"]


def test_who_may_no_longer_approve_has_not_approved(required, promoter, name):
    root, _ = required()
    asked(promoter, name, root)
    answered(promoter, name, root, "Approve", by="eve")
    with pytest.raises(GateFailed, match=r"one of ada\. Received one by eve"):
        walk_in(promoter.model_copy(update={"approvers": "ada"}), name, root)


def test_an_answer_without_a_question_is_none(required, promoter, name):
    root, _ = required()
    with pytest.raises(GateFailed, match="no question"):
        answered(promoter, name, root, "Approve")
    asked(promoter, name, root)
    for _ in range(2):  # a step that is killed and goes on
        answered(promoter, name, root, "Approve")
    with pytest.raises(GateFailed, match="no question"):
        answered(promoter, name, root, "Reject", at="later")
    assert [action for action, _, _ in words(promoter, name)] == ["ask", "approve"]


def test_an_approval_of_one_run_is_none_of_another(required, promoter, name):
    first, _ = required()
    second, _ = required(run_id="run-2")
    asked(promoter, name, first)
    answered(promoter, name, first, "Approve")
    with pytest.raises(GateFailed, match="Received none"):
        walk_in(promoter, name, second)
    with pytest.raises(IntegrityBroken, match="inputs of run run-1"):
        walk_in(promoter, name, second, run_id="run-1")


@pytest.mark.parametrize("moment", ["before the answer", "after the answer"])
def test_bytes_that_change_after_the_question_do_not_go_live(required, promoter, name, moment):
    root, _ = required(seed=1)
    other, _ = required(seed=2)
    asked(promoter, name, root)
    if moment == "before the answer":
        with pytest.raises(IntegrityBroken, match="changed after a person was asked"):
            answered(promoter, name, other, "Approve")
        return
    answered(promoter, name, root, "Approve")
    for again in (walk_in, asked):  # a page that is still open may show the first question
        with pytest.raises(IntegrityBroken, match="changed after a person was asked"):
            again(promoter, name, other)
    assert ledger.live(promoter, name, "production") is None


def test_a_step_that_asks_again_takes_the_earlier_answer_back(required, promoter, name):
    root, _ = required()
    asked(promoter, name, root)
    answered(promoter, name, root, "Approve")
    asked(promoter, name, root)
    with pytest.raises(GateFailed, match="Received none"):
        walk_in(promoter, name, root)


def test_a_run_that_asked_needs_the_answer_whatever_its_parameters_say_later(ready, promoter, name):
    root, _ = ready()
    asked(promoter, name, root)
    with pytest.raises(GateFailed, match="Received none"):
        walk_in(promoter, name, root)


def test_a_form_can_ask_for_a_person_where_the_parameters_do_not():
    wanted = [
        run_params(load("rating"), RunRequest(run_id="run-1", as_of=date(2026, 11, 25), asks_person=asks))["release"]
        for asks in (False, True)
    ]
    assert wanted == [{"approval": "auto"}, {"approval": "required"}]


def test_a_rejection_is_kept_once_and_moves_nothing(required, ready, promoter, name):
    first, old = ready(seed=1)
    walk_in(promoter, name, first)
    second, new = required(seed=2, production=old, run_id="run-2")
    asked(promoter, name, second, "run-2")
    for _ in range(2):  # a task that is run again
        answered(promoter, name, second, "Reject", by="bob", reason="too many teas", run_id="run-2")
        done = walk_in(promoter, name, second)
    assert done["is_new"] is False
    assert f"{new} was rejected by bob: too many teas" in done["sentence"]
    assert words(promoter, name)[1:] == [("ask", "carl", new), ("reject", "bob", new)]
    assert ledger.live(promoter, name, "production").digest == old
    assert ledger.repair(promoter, name) == ()


def test_no_answer_in_time_is_a_rejection_by_nobody(required, promoter, name):
    root, digest = required()
    asked(promoter, name, root)
    answered(promoter, name, root, "Reject", **NOBODY)
    walk_in(promoter, name, root)
    assert words(promoter, name)[-1] == ("reject", "nobody in time", digest)
    assert ledger.live(promoter, name, "production") is None


def test_a_rejected_version_does_not_return_by_timetable_but_by_hand(required, ready, promoter, name):
    _, digest = rejected(required, promoter, name)
    second, same = ready(run_id="run-2")
    assert same == digest
    with pytest.raises(GateFailed, match="bob rejected: too many teas"):
        walk_in(promoter, name, second)
    order = promote.Order(digest=digest, who="ada", reason="teas sell after all")
    assert promote.promote_again(promoter, use_case(name), order).is_new
    assert ledger.live(promoter, name, "production").why == "teas sell after all"
    assert walk_in(promoter, name, second)["is_new"] is False


def test_an_approval_from_before_a_rollback_does_not_bring_the_version_back(required, ready, promoter, name):
    """Anybody who may clear a task can run `promote` of an old run again."""
    first, old = ready(seed=1)
    walk_in(promoter, name, first)
    second, new = required(seed=2, production=old, run_id="run-2")
    asked(promoter, name, second, "run-2")
    answered(promoter, name, second, "Approve", run_id="run-2")
    walk_in(promoter, name, second)
    roll_back(promoter, name, old)
    with pytest.raises(GateFailed, match="bob rolled back: complaints"):
        walk_in(promoter, name, second)
    assert ledger.live(promoter, name, "production").digest == old
    asked(promoter, name, second, "run-2")
    answered(promoter, name, second, "Approve", run_id="run-2", reason="mended", at="later")
    assert walk_in(promoter, name, second)["digest"] == new
    assert ledger.live(promoter, name, "production").digest == new


def test_a_version_promoted_by_hand_was_compared_with_what_is_live(required, ready, promoter, name):
    first, old = ready(seed=1)
    walk_in(promoter, name, first)
    _, third = rejected(required, promoter, name, seed=3, run_id="run-3")
    with pytest.raises(PromotionConflict, match="as when the gate compared"):
        promote.promote_again(promoter, use_case(name), promote.Order(digest=third, who="ada", reason="I like it"))
    order = promote.Order(digest=third, who="ada", reason="to try it", channel="candidate")
    assert promote.promote_again(promoter, use_case(name), order).channel == "candidate"
    assert ledger.live(promoter, name, "production").digest == old
    assert Shelf.open(promoter, name).holds(third)


def rejected(required, promoter, name, run_id="run-1", **made):
    root, digest = required(run_id=run_id, **made)
    asked(promoter, name, root, run_id)
    answered(promoter, name, root, "Reject", by="bob", reason="too many teas", run_id=run_id)
    walk_in(promoter, name, root)
    return root, digest


def test_only_the_run_whose_version_is_live_and_was_not_rejected_has_something_to_serve(
    required, ready, promoter, name
):
    root, digest = ready()
    assert not serve.is_due(promoter, name, "run-1", digest)
    walk_in(promoter, name, root)
    assert serve.is_due(promoter, name, "run-1", digest)
    rejected(required, promoter, name, run_id="run-2")
    assert not serve.is_due(promoter, name, "run-2", digest)
    _, other = ready(seed=2, run_id="run-3")
    assert not serve.is_due(promoter, name, "run-3", other)
