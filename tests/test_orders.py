"""What a person with a lesser login can write in Airflow moves nothing: run ids, dates, old orders, results of tasks."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.errors import ConfigInvalid, GateFailed
from ml.pipeline import decide, is_run_id, storage_id
from ml.pipeline.task import run_task
from ml.registry import ledger
from ml.registry.entry import Move
from tests.frozen_run import freeze_run
from tests.promotable_run import environment_of

AIRFLOW_S = "abcXYZ019_.~:+-"
"""What Airflow's own pattern lets into a run's id."""
ORDER = {"digest": f"sha256:{'0' * 64}", "reason": "to try it out", "action": "rollback"}


@pytest.fixture
def at_work(promoter, monkeypatch):
    """Give this process the environment of role `promote`."""
    for key, value in environment_of(promoter).items():
        if key.startswith("TRADEWIND_"):
            monkeypatch.setenv(key, value)
    monkeypatch.setenv("TRADEWIND_S3_ROLE", "promote")
    monkeypatch.setenv("TRADEWIND_OPERATORS", "olga")


@given(st.text(AIRFLOW_S, min_size=1, max_size=30))
def test_a_run_id_is_one_plain_name_or_none(run_id):
    name = storage_id(run_id)
    if is_run_id(name):
        assert not name.startswith(".")
        assert not set(name) & {"/", "\\", ":", "+"}
        assert not name.endswith(".json")


@pytest.mark.parametrize(
    "run_id", ["..", ".", "", "../other", "a/b", "accepted.json", "erasures.json", "profiles", "released", "x" * 300]
)
def test_a_run_id_that_leads_elsewhere_is_refused_before_anything_is_read(at_work, run_id):
    with pytest.raises(ConfigInvalid, match="a run id"):
        run_task("promote", "rating", {"run_id": run_id, "as_of": "2026-11-24", "who": "olga", "why": "x"})


@pytest.mark.parametrize("day", ["../../recommend", "2026-11-24/../..", "tomorrow", ""])
def test_a_day_that_is_none_is_refused(at_work, day):
    with pytest.raises(ConfigInvalid, match="as-of date"):
        run_task("monitor", "rating", {"run_id": "manual", "as_of": day})


@pytest.mark.parametrize(
    "stage", ["validate", "promote", "serve", "pending_rules", "approval_required", "ask_approver", "record_answer"]
)
def test_an_id_that_stands_for_the_folder_of_another_run_does_not_continue_it(at_work, object_store, stage):
    """`2026-06-30T00:00` and `2026-06-30T0000` are two runs of Airflow, and one folder."""
    run_id = storage_id("manual__2026-06-30T00:00")
    freeze_run(object_store, "rating", run_id, {"request": "retrain_rating manual__2026-06-30T00:00"}, {})
    asked = {"run_id": run_id, "as_of": "2026-06-30", "request": "retrain_rating manual__2026-06-30T0000"}
    asked |= {"who": "olga", "why": "x"}
    with pytest.raises(ConfigInvalid, match="T00:00"):
        run_task(stage, "rating", asked)


@pytest.mark.parametrize("stage", ["release", "decide"])
def test_an_order_that_was_refused_is_not_carried_out_days_later_by_who_clears_its_task(at_work, stage):
    then = (datetime.now(UTC) - timedelta(hours=25)).isoformat()
    target = {**ORDER, "kind": "accept", "run": "run-1", "verdict": ORDER["digest"]}
    with pytest.raises(GateFailed, match="order of the last 24 hours"):
        run_task(stage, "rating", {"run_id": "x", "who": "olga", "asked_at": then, "target": target, "request": "r"})


def test_a_move_is_by_one_of_the_operators_whom_airflow_names(at_work):
    now = datetime.now(UTC).isoformat()
    with pytest.raises(GateFailed, match="one by owner"):
        run_task("release", "rating", {"run_id": "x", "who": "owner", "asked_at": now, "target": ORDER})


def decided(promoter, name, kind, request, who="olga"):
    told = {"kind": kind, "verdict": "sha256:1", "rule": None, "until": None}
    move = Move(
        channel="data", action="decide", digest=None, who=who, why="so", run_id="run-1", decision=told, request=request
    )
    return ledger.tell(promoter, name, move)


def test_what_runs_again_is_told_by_the_ledger_alone(object_store, promoter, name):
    spec = {"kind": "files", "location": "/shop", "mapping": None}
    inputs = {"as_of": {"requested": "2026-11-20"}, "source": {"spec": spec}, "decisions": []}
    freeze_run(object_store, name, "run-1", inputs, {"train": {"epochs": 3}})
    section = {"train": {"epochs": 5}}
    assert decide.rerun(promoter, name, section, "retrain a") is None
    entry = decided(promoter, name, "release", "retrain a 2026-11-24")
    decided(promoter, name, "accept", "retrain b 2026-11-24")
    decided(promoter, name, "release", "retrain ab")
    form = {"as_of": "2026-11-20", "source": "files", "source_location": "/shop", "train_epochs": 3}
    assert decide.rerun(promoter, name, section, "retrain a") == {"conf": form, "number": entry.id}
    assert decide.rerun(promoter, name, section, "retrain b") is None
    assert decide.rerun(promoter, name, section, "retrain c") is None
    decided(promoter, name, "reject", "retrain a 2026-11-25")
    assert decide.rerun(promoter, name, section, "retrain a") is None
