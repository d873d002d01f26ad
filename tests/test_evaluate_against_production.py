"""A candidate against the version that is really live: packaged, signed, promoted and fetched back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ml.files import read_json, read_verdict, write_json
from ml.packaging.oci import hexadecimal
from ml.pipeline import evaluate
from tests.promoted_toy import make_live, prepare, with_model
from tests.toy_use_case import AISLES, STATE, TRUE_WEIGHTS


@pytest.fixture
def run(tmp_path, object_store, name):
    """Make the context of a run: its model, and the digest it is held against."""

    def make(label: str, weights: np.ndarray, production: str | None, state=STATE):
        return with_model(prepare(tmp_path / label, object_store.settings("train"), name, production), weights, state)

    return make


@pytest.fixture
def live(tmp_path, object_store, name):
    """Promote a model and return its version."""

    def promoted(weights: np.ndarray, state=STATE) -> str:
        context = prepare(tmp_path / "live", object_store.settings("train"), name)
        return make_live(context, object_store.settings("promote"), weights, state)

    return promoted


def judged(context):
    evaluate.run(context)
    out = context.data("evaluate")
    return read_verdict(out / "verdict.json"), read_json(out / "metrics.json")


def production_figure(metrics):
    found = next(one for one in metrics["contenders"] if one["kind"] == "production")
    return found["figures"]["hit"]["value"], found["fault"]


def test_same_bytes_and_state_are_already_live(run, live):
    digest = live(TRUE_WEIGHTS)
    verdict, metrics = judged(run("again", TRUE_WEIGHTS, digest))
    assert verdict.accepted
    assert verdict.chosen == "int8"
    assert verdict.rules[0].name == "already_live"
    assert production_figure(metrics)[0] == next(
        one["figures"]["hit"]["value"] for one in metrics["contenders"] if one["name"] == "int8"
    )


def test_candidate_worse_than_production_is_refused(run, live):
    digest = live(TRUE_WEIGHTS)
    poorer = TRUE_WEIGHTS + np.random.default_rng(1).normal(0, 1.0, TRUE_WEIGHTS.shape)
    verdict, _ = judged(run("poorer", poorer, digest))
    assert not verdict.accepted
    assert "non_inferiority" in {rule.name for rule in verdict.blocking()}
    assert "beats_naive" not in {rule.name for rule in verdict.blocking()}


def test_candidate_better_than_production_is_accepted(run, live):
    poorer = TRUE_WEIGHTS + np.random.default_rng(1).normal(0, 1.0, TRUE_WEIGHTS.shape)
    digest = live(poorer)
    verdict, _ = judged(run("better", TRUE_WEIGHTS, digest))
    assert verdict.accepted
    assert "already_live" not in {rule.name for rule in verdict.rules}


def test_production_is_measured_with_its_own_vocabulary(run, live):
    """Its outputs stand in another order; read with the candidate's state it would look like guessing."""
    order = [2, 0, 3, 1]
    turned = {**STATE, "aisles": [AISLES[at] for at in order]}
    digest = live(TRUE_WEIGHTS[:, order], turned)
    verdict, metrics = judged(run("turned", TRUE_WEIGHTS, digest))
    value, fault = production_figure(metrics)
    assert fault is None
    assert value > 0.6
    assert verdict.accepted


def test_production_this_code_cannot_read_refuses(run, live):
    digest = live(TRUE_WEIGHTS)
    context = run("changed", TRUE_WEIGHTS, digest)

    def encode(frame, state):
        return context.use_case.data.encode(frame, {**state, "mean": state["new_mean"]})

    data = replace(context.use_case.data, encode=encode)
    changed = replace(context, use_case=replace(context.use_case, data=data))
    write_json(changed.data("features") / "state.json", {**STATE, "new_mean": [0.0, 0.0, 0.0]})
    verdict, metrics = judged(changed)
    assert not verdict.accepted
    assert "KeyError" in production_figure(metrics)[1]
    assert [rule.name for rule in verdict.blocking()] == ["non_inferiority"]


def test_nothing_of_production_stays_on_disk(run, live, tmp_path):
    digest = live(TRUE_WEIGHTS)
    context = run("again", TRUE_WEIGHTS, digest)
    evaluate.run(context)
    assert not list(context.root.rglob(f"*{hexadecimal(digest)}*"))


def test_part_that_loses_is_named_though_the_whole_gains(run, live):
    """The candidate is right for the young and never for the old."""
    poorer = TRUE_WEIGHTS + np.random.default_rng(1).normal(0, 1.0, TRUE_WEIGHTS.shape)
    digest = live(poorer)
    context = run("split", TRUE_WEIGHTS, digest)
    judgement = context.use_case.judgement

    def measure(scores, frame, state):
        table = judgement.measure(scores, frame, state)
        is_candidate = np.allclose(
            scores[:, 0], frame[["age", "visits", "spend"]].to_numpy() @ TRUE_WEIGHTS[:, 0], atol=0.1
        )
        return table.where((frame["group"] == "young") | (not is_candidate), 0.0)

    changed = replace(context, use_case=replace(context.use_case, judgement=replace(judgement, measure=measure)))
    verdict, _ = judged(changed)
    noted = next(rule for rule in verdict.rules if rule.name == "no_part_falls")
    assert not noted.passed
    assert "group: old" in noted.sentence
    assert "group: young" not in noted.sentence
