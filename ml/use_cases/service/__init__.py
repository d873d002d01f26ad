"""Service: customers write to the shop; what they want is recognised, and the shop's own pages answer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ml.compression.predictor import open_litert
from ml.contract import (
    Data,
    Expressions,
    Features,
    Frames,
    JsonObject,
    Judgement,
    Metric,
    Model,
    Predictor,
    UseCase,
    Variant,
)
from ml.evaluation.statistic import calibration_error, ratio
from ml.use_cases.service import judgement, plot
from ml.use_cases.service.encode import encode
from ml.use_cases.service.params import ServiceParams
from ml.use_cases.service.service import SERVICE
from ml.use_cases.service.table import INTENTS, ORDERS, PAGES, UTTERANCES

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from pydantic import BaseModel


def _sample(rng: np.random.Generator, n_customers: int) -> dict[str, pd.DataFrame]:
    from ml.use_cases.service.sample import sample

    return sample(rng, n_customers)


def _build(tables: Expressions, params: BaseModel) -> Features:
    from ml.use_cases.service.examples import build

    return build(tables, params)


def _train(splits: Frames, state: JsonObject, params: BaseModel, out: Path) -> JsonObject:
    from ml.use_cases.service.fit import train

    return train(splits, state, params, out)


def _export(trained: Path, out: Path, splits: Frames, state: JsonObject) -> tuple[Variant, ...]:
    from ml.use_cases.service.fit import export

    return export(trained, out, splits, state)


def _reference(trained: Path) -> Predictor:
    from ml.use_cases.service.fit import reference

    return reference(trained)


USE_CASE = UseCase(
    name="service",
    title="Customer service",
    description="Recognises what a customer who writes wants, in English or Chinese, or that it is none of the shop's matters.",
    intended_use="To answer from the shop's own pages and tools what it recognises surely, and to ask or hand over the rest.",
    limits=(
        "Of a model that learnt from the shipped corpus: few authors wrote it, and the test utterances come from the same "
        "hands as the training ones. Figures show that intents are told apart, not how it does on a shop's own customers.",
        "Chinese words begin where their dictionary translations are; Chinese has its own figure and is weaker than English.",
        "It reads one message at a time, at most its first 64 tokens.",
        "It recognises; it decides on no refund, complaint or account.",
    ),
    params=ServiceParams,
    data=Data(tables=(UTTERANCES, INTENTS, PAGES, *ORDERS), sample=_sample, split="unit", build=_build, encode=encode),
    model=Model(train=_train, export=_export, open=open_litert, reference=_reference),
    judgement=Judgement(
        metrics=(
            Metric(
                name="accuracy",
                description="share of the utterances in scope that are recognised, each intent counting the same",
                parts=("hit", "share"),
                statistic=ratio("hit", "share"),
            ),
            Metric(
                name="out_of_scope_recall",
                description="share of the utterances out of scope that are recognised as such",
                parts=("declined", "outside"),
                statistic=ratio("declined", "outside"),
            ),
            Metric(
                name="log_loss",
                higher_is_better=False,
                description="mean of −log of the probability given to what was wanted",
            ),
            Metric(
                name="calibration_error",
                higher_is_better=False,
                description="distance of probability and share of right answers, mean over ten equal bins",
                parts=("confidence", "right"),
                statistic=calibration_error("confidence", "right"),
            ),
        ),
        primary="accuracy",
        measure=judgement.measure,
        summarise=judgement.summarise,
        baselines={"most_frequent": judgement.most_frequent, "tfidf_linear": judgement.tfidf_linear},
        naive="most_frequent",
        slices=("language",),
        plots=(plot.reliability, plot.confused),
        units="utterances",
    ),
    service=SERVICE,
)
