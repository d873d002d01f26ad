"""The whole record of the use case."""

from __future__ import annotations

from ml.contract import Judgement, Metric, UseCase
from ml.evaluation.statistic import calibration_error, ratio
from ml.use_cases.service import judgement, plot
from ml.use_cases.service.about import ABOUT
from ml.use_cases.service.data import DATA
from ml.use_cases.service.model import MODEL
from ml.use_cases.service.service import SERVICE

USE_CASE: UseCase = ABOUT(
    data=DATA,
    model=MODEL,
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
