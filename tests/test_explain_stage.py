"""The explain stage: explanations that add up, what the model leans on, and nothing personal in what it writes."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.contract import Explanation, Reason
from ml.errors import IntegrityBroken
from ml.explanation.collect import check, reason_importance
from ml.files import read_json, read_verdict, sha256_file
from ml.pipeline import evaluate, explain
from tests.toy_use_case import TOY, TRUE_WEIGHTS, lay_out

terms = st.floats(-1e3, 1e3, allow_nan=False)


@pytest.fixture
def context(tmp_path, rng):
    ready = lay_out(tmp_path, rng)
    evaluate.run(ready)
    return ready


def explained(context):
    explain.run(context)
    return read_json(context.data("explain") / "explanations.json")


def explanation(contributions, gap=0.0, residual=0.0):
    reasons = tuple(Reason(text=f"reason {at}", contribution=value) for at, value in enumerate(contributions))
    score = sum(contributions) + residual + gap
    return Explanation(subject="tea", score=score, base=0.0, reasons=reasons, residual=residual)


def test_explanations_of_what_ships_add_up(context):
    written = explained(context)
    assert written["variant"] == read_verdict(context.data("evaluate") / "verdict.json").chosen
    assert written["completeness"]["explanations"] == 100
    assert written["completeness"]["largest_gap"] < 1e-4


def test_explanation_that_does_not_add_up_stops_the_run(context):
    def wrong(predictor, state, request, history):
        return [replace(one, score=one.score * 1.01) for one in TOY.service.explain(predictor, state, request, history)]

    service = replace(TOY.service, explain=wrong)
    with pytest.raises(IntegrityBroken, match="do not add up"):
        explain.run(replace(context, use_case=replace(TOY, service=service)))


def test_input_the_truth_leans_on_matters_and_an_input_without_weight_does_not(tmp_path, rng):
    weights = TRUE_WEIGHTS.copy()
    weights[0] = 0
    ready = lay_out(tmp_path, rng, weights=weights)
    evaluate.run(ready)
    found = {one["input"]: one["loss"] for one in explained(ready)["importance"]["inputs"]}
    assert found["history"]["low"] > 0
    assert found["person"] == {"value": 0.0, "low": 0.0, "high": 0.0}


def test_refused_model_is_explained_too(tmp_path, rng):
    ready = lay_out(tmp_path, rng, weights=-TRUE_WEIGHTS)
    evaluate.run(ready)
    assert explained(ready)["variant"] == "float32"


def test_no_pseudonym_is_written(context):
    explain.run(context)
    written = (context.data("explain") / "explanations.json").read_text()
    card = (context.reports("explain") / "card.html").read_text()
    assert '"unit"' not in written
    assert "customer" not in written
    assert "customer_id" not in card


def test_equal_inputs_give_equal_bytes(context):
    def digests():
        explain.run(context)
        return [
            sha256_file(context.data("explain") / "explanations.json"),
            sha256_file(context.data("explain") / "card.html"),
        ]

    first = digests()
    shutil.rmtree(context.data("explain"))
    assert digests() == first


def test_mean_contribution_by_hand():
    """An explanation without a reason counts as nothing for it: (1 + 3) / 2 and (2 + 0) / 2."""
    found = reason_importance([[explanation([1.0, -2.0])], [explanation([3.0])]])
    assert [(one["reason"], one["mean"], one["share"]) for one in found] == [
        ("reason 0", 2.0, 1.0),
        ("reason 1", 1.0, 0.5),
    ]


def test_reasons_of_one_kind_are_added_up():
    reasons = (
        Reason(text="tea", contribution=1.0, kind="history"),
        Reason(text="milk", contribution=2.0, kind="history"),
    )
    one = Explanation(subject="tea", score=3.0, base=0.0, reasons=reasons, residual=0.0)
    assert reason_importance([[one]]) == [{"reason": "history", "mean": 3.0, "share": 1.0}]


def test_reason_of_one_customer_is_not_told_by_name():
    many = [explanation([1.0]) for _ in range(99)]
    lone = (Reason(text="because you bought insulin", contribution=50.0),)
    rare = Explanation(subject="tea", score=50.0, base=0.0, reasons=lone, residual=0.0)
    assert {one["reason"] for one in reason_importance([[*many, rare]])} == {"reason 0", "(other)"}


def test_residual_share_by_hand():
    assert check([[explanation([3.0], residual=1.0)]]).residual_share == pytest.approx(0.25)


def test_nothing_to_explain_is_refused():
    with pytest.raises(IntegrityBroken, match="none"):
        check([[]])


@settings(deadline=None)
@given(st.lists(terms, min_size=1, max_size=20), terms)
def test_what_adds_up_passes(contributions, residual):
    assert check([[explanation(contributions, residual=residual)]]).largest_gap <= 1e-4


@settings(deadline=None)
@given(st.lists(st.floats(0.1, 10), min_size=1, max_size=10), st.floats(0.01, 1.0))
def test_what_does_not_add_up_never_passes(contributions, share):
    with pytest.raises(IntegrityBroken):
        check([[explanation(contributions, gap=share * sum(contributions))]])


@pytest.mark.parametrize(
    "history",
    [
        {"epochs": [{"epoch": 1, "loss": 2.0, "seconds": 3.0}, {"epoch": 2, "loss": 1.0, "seconds": 3.0}]},
        {"loss": [2.0, 1.0]},
    ],
    ids=["a record an epoch", "a list a figure"],
)
def test_training_curve_is_read_whichever_way_it_is_listed(history):
    points = [(one["epoch"], one["series"], one["value"]) for one in explain.curves(history)]
    assert points == [(1, "loss", 2.0), (2, "loss", 1.0)]
