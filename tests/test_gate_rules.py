"""The gate as a pure function: who passes, who does not, exactly where the line is, and what it says."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ml.evaluation.gate import judge
from ml.parameter import GateParams
from tests.gate_table import CASES, FULL, GOOD, KNOWN, LIVE, PARAMS, at_least, lost, over


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_only_what_is_shown_to_hold_passes(case):
    assert case.outcome(judge) == case.expected


def verdict_of(*candidates, params=PARAMS, **changes):
    return judge(replace(KNOWN, candidates=candidates, **changes), params).verdict


def test_smallest_variant_that_passes_is_chosen():
    half = replace(GOOD, name="float16", size_bytes=200)
    broken = replace(GOOD, name="int8", size_bytes=100, over_reference=at_least(-0.3))
    report = judge(replace(KNOWN, candidates=(FULL, half, broken)), PARAMS)
    assert report.verdict.chosen == "float16"
    assert {rule.name for rule in report.rules["int8"] if not rule.passed} == {"compression_loss"}


def test_what_is_live_is_chosen_before_a_smaller_one():
    verdict = verdict_of(replace(FULL, is_live=True), replace(GOOD, size_bytes=1))
    assert (verdict.chosen, verdict.rules[0].name) == ("float32", "already_live")
    assert verdict.blocking() == ()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"over_production": over(-0.1)}, "recall is -9.0% against production (-10.0% to +100.0%): no more than 2.0% worse is not"),
        ({"over_best": over(-0.1)}, "against the best version of the last 90 days"),
        ({"search": lost(-0.4, -0.2)}, "worst first: group: 0 -40.0% (60 customers, corrected p = 0.001); group: 1 -20.0%"),
        ({"figures": {}}, "No finite figure with an interval for recall, error: missing evidence refuses"),
        ({"size_bytes": 2_000_000}, "int8 is 2.00 MB"),
        ({"parity": None}, "How far int8 is from the trained network is not known"),
    ],
)  # fmt: skip
def test_refusal_says_what_was_seen(changes, said):
    assert said in verdict_of(replace(GOOD, **changes)).summary


def test_data_that_end_before_those_of_production_are_judged_and_noted():
    known = replace(LIVE, last_day=date(2017, 12, 31))
    for own, held in ((date(2017, 12, 30), False), (date(2017, 12, 31), True), (date(2018, 1, 1), True)):
        verdict = verdict_of(GOOD, production=known, last_day=own)
        (rule,) = (rule for rule in verdict.rules if rule.name == "data_not_older")
        assert (verdict.accepted, rule.passed, rule.severity) == (True, held, "warn")
        assert (rule.observed, rule.limit) == (str(own), "2017-12-31")
        assert ("only if a person approves" in rule.sentence) == (not held)
    assert "data_not_older" not in {rule.name for rule in verdict_of(GOOD, production=LIVE).rules}


def test_yardstick_that_cannot_be_used_says_why():
    verdict = verdict_of(GOOD, production=replace(LIVE, fault="its vocabulary is gone"))
    assert "Production is no yardstick: its vocabulary is gone." in verdict.summary


def test_every_rule_has_its_limit_and_what_was_seen_with_its_interval():
    params = PARAMS.model_copy(update={"limits": {"recall": 0.1}, "margins": {"error": 0.5}})
    told = {rule.name: rule for rule in verdict_of(GOOD, params=params).rules}
    assert (told["non_inferiority"].observed, told["non_inferiority"].limit) == (pytest.approx(0.02), -0.02)
    assert told["non_inferiority"].interval == (0.01, 1.0)
    assert told["best_of_90_days_error"].limit == -0.5
    assert (told["limit_recall"].observed, told["limit_recall"].limit) == (pytest.approx(0.21), 0.1)
    assert (told["latency"].observed, told["latency"].limit) == ("within", 10.0)


def test_time_and_memory_are_not_in_the_report_so_that_it_repeats_itself():
    quick = replace(GOOD, footprint=replace(GOOD.footprint, latency_ms=0.1, memory_bytes=7))
    assert verdict_of(quick) == verdict_of(GOOD)


@pytest.mark.parametrize(
    "wrong",
    [
        {"margins": {"recall": -0.1}},
        {"limits": {"recall": float("nan")}},
        {"part_units": 9},
        {"parity": 0},
        {"max_latency_ms": 0},
        {"policy": "hope"},
        {"marginal": 0.1},
    ],
)
def test_parameters_out_of_range_are_refused(wrong):
    with pytest.raises(ValidationError):
        GateParams(**wrong)


@settings(deadline=None)
@given(st.floats(-1, 1), st.floats(0, 0.5), st.floats(0, 0.5), st.floats(0, 0.2))
def test_a_worse_lower_bound_never_opens_the_door(low, worse, margin, loss):
    """Monotone: what a lower bound cannot open, a still lower one cannot."""
    params = PARAMS.model_copy(update={"margin": margin, "compression_loss": loss})

    def accepted(bound):
        return verdict_of(
            replace(GOOD, over_production=over(bound), over_reference=at_least(bound)), params=params
        ).accepted

    assert accepted(low) or not accepted(low - worse)
