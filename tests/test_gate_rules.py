"""The gate as a pure function: who passes, who does not, and exactly where the line is."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.contract import Metric
from ml.evaluation.bootstrap import NOTHING, Estimate
from ml.evaluation.gate import Candidate, Evidence, judge
from ml.parameter import GateParams

PARAMS = GateParams(margin=0.02, compression_loss=0.02, min_units=100)
LIVE = "sha256:" + "1" * 64


def around(value, half=0.005):
    return Estimate(value=value, low=value - half, high=value + half)


def candidate(**changes):
    good = Candidate(
        name="int8",
        size_bytes=100,
        figures={"recall": around(0.2), "ndcg": around(0.1)},
        over_naive=around(0.05),
        over_production=around(0.01),
        over_reference=around(0.0),
    )
    return replace(good, **changes)


def evidence(*candidates, **changes):
    known = Evidence(
        units=1000,
        metrics=(Metric(name="recall"), Metric(name="ndcg")),
        primary="recall",
        naive="popularity",
        production=LIVE,
        candidates=candidates or (candidate(),),
    )
    return replace(known, **changes)


def failed(report):
    return {rule.name for rule in report.verdict.rules if not rule.passed}


def test_good_candidate_is_accepted():
    verdict = judge(evidence(), PARAMS).verdict
    assert verdict.accepted
    assert verdict.chosen == "int8"
    assert verdict.blocking() == ()


def test_worse_candidate_is_refused_and_says_why():
    report = judge(evidence(candidate(over_production=around(-0.10))), PARAMS)
    assert not report.verdict.accepted
    assert report.verdict.chosen is None
    assert failed(report) == {"non_inferiority"}
    assert "-10.0%" in report.verdict.summary


def test_equal_candidate_is_accepted_under_non_inferiority():
    equal = candidate(over_production=Estimate(value=0, low=0, high=0))
    assert judge(evidence(equal), PARAMS).verdict.accepted


def test_equal_candidate_is_refused_under_superiority():
    equal = candidate(over_production=Estimate(value=0, low=0, high=0))
    report = judge(evidence(equal), PARAMS.model_copy(update={"policy": "superiority"}))
    assert failed(report) == {"superiority"}


@pytest.mark.parametrize(
    "figures",
    [
        {"recall": around(0.2)},
        {"recall": around(0.2), "ndcg": NOTHING},
        {"recall": around(0.2), "ndcg": Estimate(value=0.1, low=0.0, high=math.inf)},
        {},
    ],
    ids=["metric missing", "not a number", "endless interval", "nothing at all"],
)
def test_missing_figure_refuses(figures):
    report = judge(evidence(candidate(figures=figures)), PARAMS)
    assert failed(report) == {"figures_complete"}
    assert "ndcg" in report.verdict.summary


@pytest.mark.parametrize("name", ["over_naive", "over_production", "over_reference"])
def test_unknown_comparison_refuses(name):
    assert not judge(evidence(candidate(**{name: NOTHING})), PARAMS).verdict.accepted


def test_unmeasured_candidate_refuses():
    report = judge(evidence(candidate(fault="OSError while it was measured")), PARAMS)
    assert failed(report) == {"readable"}


def test_unmeasured_production_refuses():
    report = judge(evidence(production_fault="its vocabulary is gone"), PARAMS)
    assert failed(report) == {"non_inferiority"}
    assert "its vocabulary is gone" in report.verdict.summary


def test_no_variant_refuses():
    assert not judge(replace(evidence(), candidates=()), PARAMS).verdict.accepted


def test_first_version_needs_no_production_but_must_beat_the_naive_baseline():
    first = evidence(candidate(over_production=NOTHING), production=None)
    assert judge(first, PARAMS).verdict.accepted
    poor = evidence(candidate(over_production=NOTHING, over_naive=around(0.001)), production=None)
    assert failed(judge(poor, PARAMS)) == {"beats_naive"}


@pytest.mark.parametrize(("low", "passes"), [(-0.02, False), (-0.0199999, True)])
def test_margin_itself_is_too_much(low, passes):
    change = Estimate(value=0.0, low=low, high=0.1)
    assert judge(evidence(candidate(over_production=change)), PARAMS).verdict.accepted is passes


@pytest.mark.parametrize(("low", "passes"), [(0.0, False), (1e-9, True)])
@pytest.mark.parametrize("policy", ["superiority"])
def test_superiority_wants_more_than_nothing(low, passes, policy):
    params = PARAMS.model_copy(update={"policy": policy})
    change = Estimate(value=0.01, low=low, high=0.1)
    assert judge(evidence(candidate(over_production=change)), params).verdict.accepted is passes


@pytest.mark.parametrize(("low", "passes"), [(0.0, False), (1e-9, True)])
def test_naive_baseline_must_be_beaten_beyond_chance(low, passes):
    gain = Estimate(value=0.01, low=low, high=0.1)
    assert judge(evidence(candidate(over_naive=gain)), PARAMS).verdict.accepted is passes


@pytest.mark.parametrize(("low", "passes"), [(-0.02, True), (-0.0200001, False)])
def test_compression_may_cost_what_is_allowed_and_no_more(low, passes):
    change = Estimate(value=0.0, low=low, high=0.0)
    assert judge(evidence(candidate(over_reference=change)), PARAMS).verdict.accepted is passes


@pytest.mark.parametrize(("units", "passes"), [(99, False), (100, True)])
def test_fewest_units(units, passes):
    assert judge(evidence(units=units), PARAMS).verdict.accepted is passes


def test_smallest_variant_that_passes_is_chosen():
    full = candidate(name="float32", size_bytes=400, over_reference=None)
    half = candidate(name="float16", size_bytes=200)
    broken = candidate(name="int8", size_bytes=100, over_reference=around(-0.3))
    report = judge(evidence(full, half, broken), PARAMS)
    assert report.verdict.chosen == "float16"
    assert {rule.name for rule in report.rules["int8"] if not rule.passed} == {"compression_loss"}


def test_what_is_live_already_is_accepted_even_where_superiority_is_wanted():
    live = candidate(name="float32", size_bytes=400, is_live=True, over_production=Estimate(value=0, low=0, high=0))
    verdict = judge(evidence(live, candidate()), PARAMS.model_copy(update={"policy": "superiority"})).verdict
    assert verdict.accepted
    assert verdict.chosen == "float32"
    assert verdict.rules[0].name == "already_live"
    assert verdict.blocking() == ()


def test_part_of_the_customers_that_loses_is_noted_and_does_not_refuse():
    verdict = judge(evidence(candidate(fallen=("group: old",))), PARAMS).verdict
    assert verdict.accepted
    (noted,) = (rule for rule in verdict.rules if not rule.passed)
    assert (noted.name, noted.severity) == ("no_part_falls", "warn")
    assert "group: old" in noted.sentence


@settings(deadline=None)
@given(st.floats(-1, 1), st.floats(0, 0.5), st.floats(0, 0.5), st.floats(0, 0.2))
def test_a_worse_lower_bound_never_opens_the_door(low, worse, margin, loss):
    """Monotone: what a lower bound cannot open, a still lower one cannot."""
    params = GateParams(margin=margin, compression_loss=loss)

    def accepted(bound):
        change = Estimate(value=bound, low=bound, high=bound)
        return judge(evidence(candidate(over_production=change, over_reference=change)), params).verdict.accepted

    assert accepted(low) or not accepted(low - worse)
