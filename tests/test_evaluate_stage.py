"""The evaluate stage on a small real use case: what it writes, what it refuses, and that it repeats itself."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from ml.contract import Metric
from ml.errors import IntegrityBroken, ModelNotFound
from ml.files import read_json, read_verdict, sha256_file
from ml.pipeline import evaluate
from tests.toy_use_case import TOY, TRUE_WEIGHTS, lay_out, write_variants


@pytest.fixture
def context(tmp_path, rng):
    return lay_out(tmp_path, rng)


def judged(context):
    evaluate.run(context)
    out = context.data("evaluate")
    return read_verdict(out / "verdict.json"), read_json(out / "metrics.json")


def with_judgement(context, **changes):
    judgement = replace(TOY.judgement, **changes)
    return replace(context, use_case=replace(TOY, judgement=judgement))


def figure(metrics, name, metric="hit"):
    return next(one for one in metrics["contenders"] if one["name"] == name)["figures"][metric]


def test_good_model_is_accepted_in_its_smallest_form(context):
    verdict, metrics = judged(context)
    assert verdict.accepted
    assert verdict.chosen == "int8"
    assert figure(metrics, "int8")["low"] > figure(metrics, "majority")["high"]


def test_figures_are_the_plain_means_of_the_test_rows(context):
    _, metrics = judged(context)
    test = pd.read_parquet(context.data("features") / "test.parquet")
    x = test[["age", "visits", "spend"]].to_numpy()
    aisles = np.array(["bread", "dairy", "fruit", "tea"])
    by_hand = (aisles[(x @ TRUE_WEIGHTS).argmax(axis=1)] == test["aisle"]).mean()
    assert figure(metrics, "float32")["value"] == pytest.approx(by_hand, abs=1e-6)
    assert metrics["test"] == {
        "rows": 400,
        "units": 200,
        "first": "2026-01-22",
        "unit": "customers",
        "last": "2026-01-28",
    }


def test_slices_add_up(context):
    _, metrics = judged(context)
    assert sum(part["rows"] for part in metrics["slices"]) == 400
    assert {part["value"] for part in metrics["slices"]} == {"old", "young"}
    weighted = sum(part["rows"] * part["figures"]["variant:int8"]["hit"]["value"] for part in metrics["slices"])
    assert weighted / 400 == pytest.approx(figure(metrics, "int8")["value"], abs=1e-6)


def test_poor_model_is_refused_and_the_stage_ends_well(tmp_path, rng):
    verdict, _ = judged(lay_out(tmp_path, rng, weights=-TRUE_WEIGHTS))
    assert not verdict.accepted
    assert "beats_naive" in {rule.name for rule in verdict.blocking()}


def test_metric_that_is_not_measured_refuses(context):
    declared = (*TOY.judgement.metrics, Metric(name="calibration"))
    verdict, _ = judged(with_judgement(context, metrics=declared))
    assert [rule.name for rule in verdict.blocking()] == ["figures_complete"]
    assert "calibration" in verdict.summary


def test_model_that_leaves_out_its_hard_rows_is_refused(context):
    def measure(scores, frame, state):
        table = TOY.judgement.measure(scores, frame, state)
        is_baseline = np.ptp(scores, axis=0).max() == 0
        return table if is_baseline else table.where(table["hit"] == 1)

    verdict, metrics = judged(with_judgement(context, measure=measure))
    assert not verdict.accepted
    assert "left out other rows" in figure_fault(metrics, "float32")


def figure_fault(metrics, name):
    return next(one for one in metrics["contenders"] if one["name"] == name)["fault"]


def test_missing_variant_refuses_that_variant_alone(context):
    shutil.rmtree(context.data("compress") / "int8")
    verdict, metrics = judged(context)
    assert verdict.chosen == "float16"
    assert "FileNotFoundError" in figure_fault(metrics, "int8")


def test_model_whose_scores_are_not_numbers_is_refused(context):
    write_variants(context, TRUE_WEIGHTS * np.nan, names=("float32",))
    verdict, metrics = judged(context)
    assert not verdict.accepted
    assert figure_fault(metrics, "float32")


def test_missing_list_of_variants_leaves_no_verdict(context):
    (context.data("compress") / "variants.json").unlink()
    with pytest.raises(IntegrityBroken):
        evaluate.run(context)
    assert not (context.data("evaluate") / "verdict.json").exists()


def test_equal_inputs_give_equal_bytes(context):
    judged(context)
    out = context.data("evaluate")
    first = {path.name: sha256_file(path) for path in out.iterdir()}
    shutil.rmtree(out)
    judged(context)
    assert first == {path.name: sha256_file(path) for path in out.iterdir()}


def test_production_that_the_store_does_not_know_leaves_no_verdict(context, object_store):
    settings = object_store.settings("train")
    digest = f"sha256:{'0' * 64}"
    asked = replace(context, settings=settings, inputs={**context.inputs, "production": {"digest": digest, "seq": 1}})
    with pytest.raises(ModelNotFound):
        evaluate.run(asked)
    assert not (context.data("evaluate") / "verdict.json").exists()


def test_lower_is_better_is_heeded(context):
    """By log loss the true weights beat a constant guess; a gain is positive where the loss falls."""
    verdict, metrics = judged(with_judgement(context, primary="log_loss"))
    assert verdict.accepted
    gain = next(
        one["gain"]
        for one in metrics["differences"]
        if (one["of"], one["against"], one["metric"]) == ("int8", "majority", "log_loss")
    )
    assert gain["low"] > 0
    assert figure(metrics, "int8", "log_loss")["value"] < figure(metrics, "majority", "log_loss")["value"]


def test_one_variant_is_its_own_reference(context):
    write_variants(context, TRUE_WEIGHTS, names=("int8",))
    verdict, _ = judged(context)
    assert verdict.chosen == "int8"
