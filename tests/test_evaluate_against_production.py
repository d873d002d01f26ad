"""A candidate against the version that is really live: packaged, signed, promoted and fetched back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from ml.files import read_json, read_verdict, write_json, write_parquet
from ml.packaging.oci import hexadecimal
from ml.pipeline import evaluate
from tests.promoted_toy import PARAMS, make_live, prepare, with_model
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


def gains(metrics, column):
    """Return int8's gain over production over all rows, and (rows, gain) of each part by a column."""
    named = {"of": "int8", "against": "production", "metric": "hit"}.items()
    whole, *_ = [one["gain"] for one in metrics["differences"] if one.items() >= named]
    parts = [part for part in metrics["slices"] if part["column"] == column]
    return whole, [(part["rows"], one["gain"]) for part in parts for one in part["gains"] if one.items() >= named]


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
    assert [rule.name for rule in verdict.blocking()] == ["non_inferiority", "no_part_lost"]


def test_nothing_of_production_stays_on_disk(run, live, tmp_path):
    digest = live(TRUE_WEIGHTS)
    context = run("again", TRUE_WEIGHTS, digest)
    evaluate.run(context)
    assert not list(context.root.rglob(f"*{hexadecimal(digest)}*"))


def spoiled(context, is_spoiled):
    """Return the context where the candidate, and nobody else, is wrong in a part of the rows."""
    judgement = context.use_case.judgement

    def measure(scores, frame, state):
        table = judgement.measure(scores, frame, state)
        own = frame[["age", "visits", "spend"]].to_numpy() @ TRUE_WEIGHTS[:, 0]
        is_candidate = np.allclose(scores[:, 0], own, atol=0.1)
        return table.mask(is_spoiled(frame) & is_candidate, 0.0)

    return replace(context, use_case=replace(context.use_case, judgement=replace(judgement, measure=measure)))


def test_part_that_loses_is_named_and_refused_though_the_whole_gains(run, live):
    """The candidate never guesses right for one in twelve customers, who come in one colour and one size."""
    poorer = TRUE_WEIGHTS + np.random.default_rng(1).normal(0, 1.5, TRUE_WEIGHTS.shape)
    digest = live(poorer)
    context = run("split", TRUE_WEIGHTS, digest)
    test = pd.read_parquet(context.data("features") / "test.parquet")
    number = test["unit"].map(lambda unit: int(unit, 16))
    test = test.assign(colour=number.mod(3).map(str), size=number.floordiv(3).mod(4).map(str))
    write_parquet(context.data("features") / "test.parquet", test)
    planted = spoiled(context, lambda frame: (frame["colour"] == "1") & (frame["size"] == "2"))
    judgement = replace(planted.use_case.judgement, slices=("colour", "size"))
    params = planted.params.model_copy(update={"gate": PARAMS.gate.model_copy(update={"part_units": 10})})
    verdict, metrics = judged(replace(planted, params=params, use_case=replace(planted.use_case, judgement=judgement)))
    assert [rule.name for rule in verdict.blocking()] == ["no_part_lost"]
    told = verdict.blocking()[0].sentence
    assert "worst first: colour × size: 1 × 2 -100.0%" in told
    assert "colour: 0" not in told
    whole, parts = gains(metrics, "colour")
    assert all(gain["low"] < gain["value"] < gain["high"] for _, gain in parts)
    assert sum(rows * gain["value"] for rows, gain in parts) / len(test) == pytest.approx(whole["value"], abs=1e-6)


def test_version_that_learned_from_the_test_rows_is_no_yardstick(run, live):
    digest = live(TRUE_WEIGHTS)
    context = run("older", TRUE_WEIGHTS, digest, {**STATE, "note": 1})
    test = pd.read_parquet(context.data("features") / "test.parquet")
    write_parquet(context.data("features") / "test.parquet", test.assign(time=test["time"] - pd.Timedelta(days=7)))
    verdict, _ = judged(context)
    assert [rule.name for rule in verdict.blocking()] == ["non_inferiority"]
    assert "it learned from rows up to 2026-01-21" in verdict.summary


def test_best_version_of_the_last_90_days_is_measured_on_the_same_rows(run, live, tmp_path, object_store, name):
    """As good as production, which was let through too leniently: no longer good enough beside the best of 90 days."""
    poorer = TRUE_WEIGHTS + np.random.default_rng(1).normal(0, 1.0, TRUE_WEIGHTS.shape)
    best = live(TRUE_WEIGHTS)
    lenient = PARAMS.gate.model_copy(update={"margin": 0.5, "part_loss": 1.0})
    production = make_live(
        prepare(tmp_path / "second", object_store.settings("train"), name, best),
        object_store.settings("promote"),
        poorer,
        params=PARAMS.model_copy(update={"gate": lenient}),
    )
    context = run("third", poorer * 1.001, production)
    context = replace(context, inputs={**context.inputs, "best": {"digest": best, "days": 90}})
    verdict, metrics = judged(context)
    assert {one["name"] for one in metrics["contenders"] if one["kind"] == "production"} == {
        "production",
        "best_90_days",
    }
    assert "best_of_90_days" in {rule.name for rule in verdict.blocking()}
    assert "non_inferiority" not in {rule.name for rule in verdict.blocking()}
