"""What is started by itself has limits: a cool-down, a budget, and no retraining on data that were learned already."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.monitoring.trigger import refusal
from ml.parameter import MonitorParams
from ml.pipeline import learned
from ml.pipeline.freeze import RunRequest, freeze
from ml.pipeline.frozen import Frozen
from ml.store import Bucket
from ml.use_cases import load

START = datetime(2026, 3, 1, tzinfo=UTC)


def requested(hours: list[float], params: MonitorParams) -> list[datetime]:
    """Return which of the moments at which drift was seen led to a request."""
    made: list[datetime] = []
    for moment in (START + timedelta(hours=hour) for hour in hours):
        if refusal(made, moment, params) is None:
            made.append(moment)
    return made


def test_hourly_drift_on_unchanged_data_requests_one_retraining_a_day_and_three_a_week():
    made = requested([float(hour) for hour in range(24 * 14)], MonitorParams())
    days = [(moment - START) / timedelta(days=1) for moment in made]
    assert days == [0, 1, 2, 7, 8, 9]


def test_refusal_names_the_setting_and_the_last_request():
    said = refusal([START], START + timedelta(hours=1), MonitorParams())
    assert said is not None
    assert "monitor.cooldown_hours is 24" in said
    assert "2026-03-01 00:00 UTC" in said


def test_a_task_tried_again_makes_the_same_request():
    assert refusal([START], START, MonitorParams(max_retrains=1)) is None


def test_a_budget_of_none_requests_none():
    assert "max_retrains is 0" in str(refusal([], START, MonitorParams(max_retrains=0)))


@given(
    st.sets(st.integers(0, 2000), max_size=60).map(sorted),
    st.floats(0, 100),
    st.integers(0, 5),
    st.integers(1, 30),
)
def test_no_two_requests_are_closer_than_the_cool_down_and_no_window_holds_more_than_the_budget(
    hours, cooldown, most, days
):
    params = MonitorParams(cooldown_hours=cooldown, max_retrains=most, retrain_days=days)
    made = requested(hours, params)
    assert all(later - sooner >= timedelta(hours=cooldown) for sooner, later in pairwise(made))
    window = timedelta(days=days)
    assert all(sum(last - window < one <= last for one in made) <= most for last in made)


DAY = date(2026, 11, 20)


@pytest.fixture
def begin(object_store):
    """Freeze a run of the textbook's use case; returns whether it has anything to learn."""
    settings = object_store.settings("ingest")
    for bucket in map(partial(Bucket.open, settings), ("runs", "reports")):
        for key in [*bucket.keys("learned/rating/"), *bucket.keys("rating/limits")]:
            bucket.delete(key)

    def frozen(name: str, day: date = DAY, *, is_automatic: bool = True) -> bool:
        request = RunRequest(run_id=f"limits-{name}", as_of=day, is_automatic=is_automatic)
        return freeze(settings, load("rating"), request) is not None

    return frozen


@pytest.fixture
def judge(object_store):
    """Keep the verdict of a stage as its task does."""
    reports = Bucket.open(object_store.settings("ingest"), "reports")

    def keep(name: str, stage: str, *, accepted: bool) -> None:
        reports.put(f"rating/limits-{name}/{stage}/verdict.json", json.dumps({"accepted": accepted}).encode())

    return keep


@pytest.mark.parametrize("accepted", [True, False])
def test_equal_inputs_are_learned_from_once_by_timetable_and_again_by_hand(begin, judge, accepted):
    assert begin("first")
    judge("first", "evaluate", accepted=accepted)
    assert not begin("second", DAY + timedelta(days=1)), "the newest row is the same"
    assert not begin("third")
    assert begin("by-hand", is_automatic=False)


def test_a_run_that_died_before_a_verdict_is_no_reason_to_wait(begin, judge):
    assert begin("killed")
    judge("killed", "validate", accepted=True)
    assert begin("next")


def test_refused_data_are_not_learned_again_until_they_change(begin, judge):
    assert begin("refused")
    judge("refused", "validate", accepted=False)
    assert not begin("next")


def test_a_task_tried_again_goes_on_with_its_run(begin, judge):
    assert begin("first")
    judge("first", "evaluate", accepted=True)
    assert begin("first")


def drawn(as_of: str, **changes: object) -> Frozen:
    inputs = {
        "as_of": {"data": as_of},
        "source": {"spec": {}, "digest": "sha256:1", "last_day": "2026-11-20"},
        "code": {"digest": "sha256:2"},
        **changes,
    }
    files = {"inputs.json": inputs, "params.yaml": {"shop": {"checks": {"freshness_days": 7}}}, "dvc.yaml": {}}
    return Frozen(
        use_case="shop", run_id="one", files={name: json.dumps(value).encode() for name, value in files.items()}
    )


def test_data_that_grow_too_old_reach_the_check_that_tells_so_once():
    fresh, old, older = (learned.digest(drawn(day)) for day in ("2026-11-27", "2026-11-28", "2026-12-24"))
    assert fresh == learned.digest(drawn("2026-11-20"))
    assert fresh != old == older


@pytest.mark.parametrize(
    "change",
    [
        {"decisions": [{"kind": "waive"}]},
        {"erasures": ["a"]},
        {"code": {"digest": "sha256:3"}},
        {"source": {"spec": {}, "digest": "sha256:4", "last_day": "2026-11-20"}},
    ],
)
def test_what_changes_a_model_is_something_new(change):
    assert learned.digest(drawn("2026-11-20", **change)) != learned.digest(drawn("2026-11-20"))


def test_another_version_in_production_is_nothing_new():
    assert learned.digest(drawn("2026-11-20", production={"digest": "x"})) == learned.digest(drawn("2026-11-20"))
