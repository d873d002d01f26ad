"""The whole record of the use case."""

from __future__ import annotations

from ml.contract import Judgement, Metric, Service, UseCase
from ml.evaluation.statistic import root_mean
from ml.use_cases.rating import judgement, service
from ml.use_cases.rating.about import ABOUT
from ml.use_cases.rating.data import DATA
from ml.use_cases.rating.golden import golden
from ml.use_cases.rating.model import MODEL

USE_CASE: UseCase = ABOUT(
    data=DATA,
    model=MODEL,
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
