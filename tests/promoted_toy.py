"""A version of the toy use case, made live for real: evaluated, explained, packaged, signed, promoted."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from ml.config import Settings
from ml.files import write_json, write_parquet
from ml.parameter import GateParams
from ml.pipeline import evaluate, explain, package, promote
from ml.pipeline.context import StageContext
from ml.training import machine
from tests.judged_run import signed
from tests.promotable_run import PROJECT, inputs
from tests.toy_use_case import STATE, TRUE_WEIGHTS, ToyParams, lay_out, write_variants

PARAMS = ToyParams(gate=GateParams(resamples=1000, min_units=50, margin=0.05))


def prepare(root: Path, settings: Settings, name: str, production: str | None = None) -> StageContext:
    """Lay out a run of its own use case; equal roots or not, the rows are equal."""
    context = lay_out(root, np.random.default_rng(3))
    held = {**inputs(name, production), "source": context.inputs["source"]}
    return replace(context_of(context, root, name), inputs=held, settings=settings, params=PARAMS)


def context_of(context: StageContext, root: Path, name: str) -> StageContext:
    """Move what was laid out to the folders of another name."""
    named = replace(context, use_case=replace(context.use_case, name=name))
    shutil.move(root / "data" / "toy", root / "data" / name)
    return named


def with_model(context: StageContext, weights: np.ndarray, state: Any = STATE) -> StageContext:
    """Replace the model and the state that was fitted with it."""
    write_json(context.data("features") / "state.json", state)
    write_variants(context, weights)
    return context


def make_live(
    context: StageContext,
    promoter: Settings,
    weights: np.ndarray = TRUE_WEIGHTS,
    state: Any = STATE,
    params: ToyParams = PARAMS,
) -> str:
    """Promote the context's model and return its digest."""
    context = replace(context, params=params)
    name, root = context.use_case.name, context.root
    with_model(context, weights, state)
    train = pd.read_parquet(context.data("features") / "train.parquet")
    profile = train[["age", "visits", "aisle"]]
    write_parquet(context.data("features") / "profile.parquet", profile)
    evaluate.run(context)
    explain.run(context)
    write_json(context.data("train") / "machine.json", machine.describe())
    write_json(root / "inputs.json", context.inputs)
    (root / "params.yaml").write_text(yaml.safe_dump({name: {"train": {}}}))
    (root / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": {}}))
    shutil.copy(PROJECT / "uv.lock", root / "uv.lock")
    signed(promoter, name, context.inputs["run_id"], root)
    package.run(context)
    return str(promote.run(promoter, context.use_case, root, {"who": "ada", "why": "first"})["digest"])
