"""The whole record of the use case."""

from __future__ import annotations

from ml.contract import Judgement, Metric, Service, UseCase
from ml.evaluation.statistic import average_precision, calibration_error, ratio, roc_auc
from ml.use_cases.fraud import history, judgement, plot, service
from ml.use_cases.fraud.about import ABOUT
from ml.use_cases.fraud.data import DATA
from ml.use_cases.fraud.golden import golden
from ml.use_cases.fraud.message import ChargebackEvent, FraudRequest, FraudResponse, PaymentEvent
from ml.use_cases.fraud.model import MODEL
from ml.use_cases.fraud.outcome import outcome

USE_CASE: UseCase = ABOUT(
    data=DATA,
    model=MODEL,
    judgement=Judgement(
        metrics=(
            Metric(
                name="average_precision",
                description="mean precision over the ranks at which frauds are found",
                parts=("score", "label"),
                statistic=average_precision("score", "label"),
            ),
            Metric(
                name="roc_auc",
                description="chance that a fraud is ranked above a genuine payment",
                parts=("score", "label"),
                statistic=roc_auc("score", "label"),
            ),
            Metric(
                name="card_precision@100",
                description="share of fraudulent cards among the 100 riskiest of a day",
                parts=("caught", "places"),
                statistic=ratio("caught", "places"),
            ),
            Metric(
                name="log_loss",
                higher_is_better=False,
                description="mean of −log of the probability given to what happened",
            ),
            Metric(
                name="calibration_error",
                higher_is_better=False,
                description="distance of probability and share of fraud, mean over ten equal bins by rising probability",
                parts=("probability", "label"),
                statistic=calibration_error("probability", "label"),
            ),
            Metric(
                name="cost",
                higher_is_better=False,
                unit="per payment",
                description="what the decisions cost: approved frauds, reviews, declined genuine payments",
            ),
        ),
        primary="average_precision",
        measure=judgement.measure,
        summarise=judgement.summarise,
        baselines={
            "amount": judgement.by_amount,
            "velocity_rule": judgement.by_velocity,
            "lightgbm": judgement.by_trees,
        },
        naive="amount",
        slices=("channel", "hour_band", "amount_band"),
        plots=(plot.reliability, plot.cost),
        units="customer-days",
    ),
    service=Service(
        request=FraudRequest,
        events={"payment": PaymentEvent, "chargeback": ChargebackEvent},
        response=FraudResponse,
        identity="customer_id",
        answer=service.answer,
        explain=service.explain,
        observe=history.observe_card,
        golden=golden,
        from_examples=service.from_examples,
        features=service.features,
        outcome=outcome,
        related={"terminal_id": history.observe_terminal},
    ),
)
