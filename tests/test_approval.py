"""A person's yes or no stands at the door, by whom and why, in the ledger; silence is no."""

from datetime import date

import pytest
import yaml

from ml.errors import GateFailed, PromotionConflict
from ml.pipeline import promote
from ml.pipeline.freeze import RunRequest, run_params
from ml.registry import ledger
from ml.registry.shelf import Shelf
from ml.use_cases import load
from tests.promotable_run import use_case, walk_in

AT = "2026-11-24T09:00:00+00:00"


def said(choice, by="ada", reason="figures look right"):
    return {"choice": choice, "by": by, "at": AT, "reason": reason}


def test_an_approval_is_kept_with_the_move_it_allowed(ready, promoter, name):
    root, digest = ready()
    held = promoter.model_copy(update={"approvers": "ada, bob"})
    walk_in(held, name, root, who="carl", approval=said("Approve"))
    (entry,) = ledger.history(promoter, name)
    assert (entry.action, entry.to_digest, entry.who) == ("promote", digest, "carl")
    assert entry.approval == {"by": "ada", "at": AT, "reason": "figures look right"}


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ({}, "approval. Received none"),
        (said(None), "approval. Received none"),
        (said("Approve", by=None), "approval. Received none"),
        (said("Approve", by="eve"), "one of ada, bob. Received one by eve"),
        (said("Approve", reason=" "), "with a reason"),
    ],
)
def test_without_a_whole_approval_by_somebody_who_may_nothing_moves(ready, promoter, name, answer, told):
    root, _ = ready()
    with pytest.raises(GateFailed, match=told):
        walk_in(promoter.model_copy(update={"approvers": "ada,bob"}), name, root, approval=answer)
    assert ledger.history(promoter, name) == ()


def required(root, name):
    """Let the parameters that a run was frozen with ask for an approval."""
    params = yaml.safe_load((root / "params.yaml").read_text())
    (root / "params.yaml").write_text(yaml.safe_dump({name: {**params[name], "release": {"approval": "required"}}}))


def test_where_the_parameters_ask_for_a_person_no_form_can_do_without(ready, promoter, name):
    root, digest = ready()
    required(root, name)
    for way_around in ({}, {"approval": None}):
        with pytest.raises(GateFailed, match="Received none"):
            walk_in(promoter, name, root, who="eve", **way_around)
    assert ledger.history(promoter, name) == ()
    walk_in(promoter, name, root, who="eve", approval=said("Approve"))
    assert ledger.live(promoter, name, "production").digest == digest


def test_a_form_can_ask_for_a_person_where_the_parameters_do_not():
    asked = [
        run_params(load("rating"), RunRequest(run_id="run-1", as_of=date(2026, 11, 25), asks_person=asks))["release"]
        for asks in (False, True)
    ]
    assert asked == [{"approval": "auto"}, {"approval": "required"}]


def test_a_rejection_is_kept_once_and_moves_nothing(ready, promoter, name):
    first, old = ready(seed=1)
    walk_in(promoter, name, first)
    second, new = ready(seed=2, production=old)
    for _ in range(2):  # a task that is run again
        done = walk_in(promoter, name, second, approval=said("Reject", by="bob", reason="too many teas"))
    assert done["is_new"] is False
    assert f"{new} was rejected by bob: too many teas" in done["sentence"]
    entries = ledger.history(promoter, name)
    assert [(entry.action, entry.who, entry.why) for entry in entries][1:] == [("reject", "bob", "too many teas")]
    assert ledger.live(promoter, name, "production").digest == old
    assert ledger.repair(promoter, name) == ()


def test_no_answer_in_time_is_a_rejection_by_nobody(ready, promoter, name):
    root, _ = ready()
    walk_in(promoter, name, root, approval=said("Reject", by=None, reason=""))
    (entry,) = ledger.history(promoter, name)
    assert (entry.action, entry.who) == ("reject", "nobody in time")
    assert ledger.live(promoter, name, "production") is None


def test_a_rejected_version_does_not_return_by_timetable_but_by_hand(ready, promoter, name):
    root, digest = ready()
    walk_in(promoter, name, root, approval=said("Reject", by="bob", reason="too many teas"))
    with pytest.raises(GateFailed, match="bob rejected: too many teas"):
        walk_in(promoter, name, root)
    order = promote.Order(digest=digest, who="ada", reason="teas sell after all")
    assert promote.promote_again(promoter, use_case(name), order).is_new
    assert ledger.live(promoter, name, "production").why == "teas sell after all"
    assert walk_in(promoter, name, root)["is_new"] is False


def test_a_version_promoted_by_hand_was_compared_with_what_is_live(ready, promoter, name):
    first, old = ready(seed=1)
    walk_in(promoter, name, first)
    _, third = rejected(ready, promoter, name, seed=3, production=None)
    with pytest.raises(PromotionConflict, match="as when the gate compared"):
        promote.promote_again(promoter, use_case(name), promote.Order(digest=third, who="ada", reason="I like it"))
    order = promote.Order(digest=third, who="ada", reason="to try it", channel="candidate")
    assert promote.promote_again(promoter, use_case(name), order).channel == "candidate"
    assert ledger.live(promoter, name, "production").digest == old
    assert Shelf.open(promoter, name).holds(third)


def rejected(ready, promoter, name, **made):
    root, digest = ready(**made)
    walk_in(promoter, name, root, approval=said("Reject"))
    return root, digest
