"""Rating prediction: the textbook's linear regression, taken through the whole platform."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    Service,
    UseCase,
    Variant,
)
from ml.evaluation.statistic import root_mean
from ml.use_cases.rating import judgement, service
from ml.use_cases.rating.golden import golden
from ml.use_cases.rating.params import RatingParams
from ml.use_cases.rating.table import RATINGS

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from pydantic import BaseModel


def _sample(rng: np.random.Generator, n_customers: int) -> dict[str, pd.DataFrame]:
    from ml.use_cases.rating.sample import sample

    return sample(rng, n_customers)


def _build(tables: Expressions, params: BaseModel) -> Features:
    from ml.use_cases.rating.examples import build

    return build(tables, params)


def _encode(examples: pd.DataFrame, state: JsonObject) -> dict[str, Any]:
    from ml.use_cases.rating.examples import encode

    return encode(examples, state)


def _train(splits: Frames, state: JsonObject, params: BaseModel, out: Path) -> JsonObject:
    from ml.use_cases.rating.fit import train

    return train(splits, state, params, out)


def _export(trained: Path, out: Path, splits: Frames, state: JsonObject) -> tuple[Variant, ...]:
    from ml.use_cases.rating.fit import export

    return export(trained, out, splits, state)


def _reference(trained: Path) -> Predictor:
    from ml.use_cases.rating.fit import reference

    return reference(trained)


USE_CASE = UseCase(
    name="rating",
    title="Rating prediction",
    description="Predicts the rating a customer will give from age, gender, purchases and earlier ratings.",
    intended_use="A worked example of a use case: small, exact, and complete.",
    limits=(
        "An example on made-up rows: not for decisions about people.",
        "Age and gender enter the formula; look at the slices before such a model is put to use.",
        "Outside the range of its rows a straight line goes on where ratings end.",
    ),
    params=RatingParams,
    data=Data(tables=(RATINGS,), sample=_sample, split="unit", build=_build, encode=_encode),
    model=Model(train=_train, export=_export, open=open_litert, reference=_reference),
    judgement=Judgement(
        metrics=(
            Metric(
                name="rmse",
                higher_is_better=False,
                description="root of the mean squared error",
                parts=("squared",),
                statistic=root_mean("squared"),
            ),
            Metric(name="mae", higher_is_better=False, description="mean absolute error"),
        ),
        primary="rmse",
        measure=judgement.measure,
        summarise=judgement.summarise,
        baselines={"mean": judgement.mean, "own_average": judgement.by_own_average},
        naive="mean",
        slices=("age_band", "sex"),
        plots=(),
        units="rows",
    ),
    service=Service(
        request=service.RatingRequest,
        response=service.RatingResponse,
        identity=None,
        answer=service.answer,
        explain=service.explain,
        observe=service.observe,
        golden=golden,
        from_examples=service.from_examples,
        features=service.features,
        outcome=service.outcome,
    ),
)
