"""What a data owner decides stands in the ledger once, about the data that were seen, and ends by itself."""

from datetime import date, timedelta

import pytest

from ml.contract import Rule, Verdict
from ml.errors import ConfigInvalid, DataRejected, GateFailed, IntegrityBroken, PromotionConflict
from ml.files import sha256, write_verdict
from ml.pipeline import decide as act
from ml.pipeline.decision import Decision, asking, decide, ensure_fit, in_force, rejected, settled
from ml.registry import ledger
from tests.frozen_run import freeze_run, publish_verdict

TODAY = date(2026, 11, 25)
RUN = "run-1"
WHY = "the till was down"


@pytest.fixture
def judge(object_store, name, tmp_path):
    """Publish what a run's validation said; return the digest of the verdict."""

    def published(run=RUN, *, refused=True, approve=(), decisions=()):
        severity = "block" if refused else "warn"
        rules = (
            Rule(
                name="purchases.fresh", observed=9, limit=7, passed=False, severity=severity, sentence="Nine days old."
            ),
            Rule(name="purchases.price", observed=0, limit=0, passed=True, sentence="All have a price."),
        )
        write_verdict(
            tmp_path / "verdict.json", Verdict(stage="validate", accepted=not refused, rules=rules, summary=run)
        )
        asked = {"checks": {"approve": list(approve)}, "release": {"approval": "required"}}
        params = {**asked, "train": {"epochs": 3, "seed": 1}}
        spec = {"kind": "files", "location": "/shop", "mapping": None}
        inputs = {"as_of": {"requested": "2026-11-20"}, "source": {"spec": spec}, "decisions": list(decisions)}
        freeze_run(object_store, name, run, inputs, params)
        return publish_verdict(object_store, name, run, (tmp_path / "verdict.json").read_bytes())

    return published


def decision(verdict, kind="waive", **changes):
    standing = {"rule": "purchases.fresh", "until": TODAY + timedelta(days=7)} if kind in ("waive", "release") else {}
    made = {"kind": kind, "run_id": RUN, "verdict": verdict, "request": "form 1", "who": "olga", "why": WHY}
    return Decision(**{**made, **standing, **changes})


def test_a_waiver_counts_until_its_day_and_is_kept_once(promoter, name, judge):
    made = decision(judge())
    entry = decide(promoter, name, made, TODAY)
    assert decide(promoter, name, made, TODAY) == entry
    (kept,) = ledger.history(promoter, name)
    assert (kept.action, kept.who, kept.why, kept.run_id) == ("decide", "olga", WHY, RUN)
    told = {"stage": "validate", "kind": "waive", "rule": "purchases.fresh", "reason": WHY, "by": "olga"}
    assert in_force([kept], TODAY + timedelta(days=7)) == [{**told, "until": "2026-12-02", "entry": 1}]
    assert in_force([kept], TODAY + timedelta(days=8)) == []
    assert ledger.verify_ledger(promoter, name) == 1


def test_the_newest_word_on_a_rule_counts_and_a_waiver_can_be_ended(promoter, name, judge):
    verdict = judge()
    decide(promoter, name, decision(verdict), TODAY)
    decide(promoter, name, decision(verdict, request="form 2", until=TODAY), TODAY)
    assert [one["until"] for one in in_force(ledger.history(promoter, name), TODAY)] == ["2026-11-25"]
    decide(promoter, name, decision(verdict, "end", rule="purchases.fresh", request="form 3"), TODAY)
    assert in_force(ledger.history(promoter, name), TODAY) == []


@pytest.mark.parametrize(
    ("changes", "error", "told"),
    [
        ({"who": "eve"}, GateFailed, "one of olga. Received one by eve"),
        ({"verdict": sha256(b"forged")}, IntegrityBroken, "a decision about verdict"),
        ({"why": " no "}, ConfigInvalid, "a reason"),
        ({"rule": "purchases.price"}, ConfigInvalid, "a rule that failed"),
        ({"rule": None}, ConfigInvalid, "a rule that failed"),
        ({"until": None}, ConfigInvalid, "a last day"),
        ({"until": TODAY - timedelta(days=1)}, ConfigInvalid, "a last day"),
        ({"until": TODAY + timedelta(days=91)}, ConfigInvalid, "a last day"),
    ],
)
def test_a_decision_that_is_forged_or_not_whole_leaves_no_trace(promoter, name, judge, changes, error, told):
    made = decision(**{"verdict": judge(), **changes})
    with pytest.raises(error, match=told):
        decide(promoter.model_copy(update={"data_owners": "olga"}), name, made, TODAY)
    assert ledger.history(promoter, name) == ()


def test_a_request_is_not_used_for_another_decision(promoter, name, judge):
    verdict = judge()
    decide(promoter, name, decision(verdict, "accept"), TODAY)
    with pytest.raises(PromotionConflict, match="a request that is new"):
        decide(promoter, name, decision(verdict, "reject"), TODAY)
    assert len(ledger.history(promoter, name)) == 1


def test_only_a_rule_that_asks_and_is_not_waived_holds_a_run(promoter, name, judge):
    judge(refused=False)
    assert asking(promoter, name, RUN) == ()
    judge(refused=False, approve=["purchases.*"])
    assert [rule.name for rule in asking(promoter, name, RUN)] == ["purchases.fresh"]
    judge(refused=False, approve=["*"], decisions=[{"kind": "waive", "rule": "purchases.fresh"}])
    assert asking(promoter, name, RUN) == ()


def test_nothing_goes_live_from_data_that_were_rejected_or_await_a_word(promoter, name, judge):
    verdict = judge(refused=False, approve=["purchases.fresh"])
    with pytest.raises(DataRejected, match=r"a data owner's word on purchases\.fresh"):
        ensure_fit(promoter, name, RUN)
    decide(promoter, name, decision(verdict, "accept"), TODAY)
    ensure_fit(promoter, name, RUN)
    silence = decision(verdict, "reject", who="nobody in time", why="no answer in time", request="form 2")
    decide(promoter.model_copy(update={"data_owners": "olga"}), name, silence, TODAY)
    with pytest.raises(DataRejected, match="nobody in time rejected"):
        ensure_fit(promoter, name, RUN)
    assert rejected(ledger.history(promoter, name)) == {RUN}
    assert rejected(ledger.history(promoter, name)[:1]) == set()


def test_a_persons_word_about_what_was_seen_ends_a_runs_waiting_and_silence_does_not(promoter, name, judge):
    verdict = judge(refused=False, approve=["*"])
    silence = decision(verdict, "reject", who="nobody in time", why="no answer in time")
    decide(promoter, name, silence, TODAY)
    assert settled(promoter, name, RUN) is None
    word = decide(promoter, name, decision(verdict, "accept", request="form 2"), TODAY)
    decide(promoter, name, decision(verdict, "waive", request="form 3"), TODAY)
    assert settled(promoter, name, RUN) == word
    judge(refused=True)
    assert settled(promoter, name, RUN) is None


def carried_out(settings, name, verdict, kind, request="form 1", **more):
    until = (date.today() + timedelta(days=7)).isoformat()
    target = {
        "kind": kind,
        "run": RUN,
        "verdict": verdict,
        "rule": "purchases.fresh",
        "until": until,
        "reason": WHY,
        **more,
    }
    asked = {"who": "olga", "request": request, "target": target}
    return act.run(settings, name, {"train": {"epochs": 9, "seed": 1}}, asked)["again"]


def test_a_waiver_of_a_refusal_asks_for_the_same_run_again_and_a_rejection_for_none(promoter, name, judge):
    verdict = judge()
    form = {"as_of": "2026-11-20", "source": "files", "source_location": "/shop", "train_epochs": 3}
    form |= {"approval": "required"}
    assert carried_out(promoter, name, verdict, "waive") == form
    assert carried_out(promoter, name, verdict, "release", "form 2") == form
    assert carried_out(promoter, name, verdict, "reject", "form 3") is None


def test_a_waiver_that_answers_a_waiting_run_also_accepts_its_data(promoter, name, judge):
    verdict = judge(refused=False, approve=["*"])
    assert carried_out(promoter, name, verdict, "waive", is_answer=True) is None
    assert [entry.decision["kind"] for entry in ledger.history(promoter, name)] == ["waive", "accept"]
    ensure_fit(promoter, name, RUN)
