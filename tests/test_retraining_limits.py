"""What is started by itself has limits: a cool-down, a budget, and no retraining on data that were learned already."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ml.monitoring.trigger import refusal
from ml.parameter import MonitorParams

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
