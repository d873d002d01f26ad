"""Fraud: payments are scored before they are accepted, though what was fraud becomes known only days later."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

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
from ml.evaluation.statistic import average_precision, calibration_error, ratio, roc_auc
from ml.shop import CHARGEBACKS, PAYMENTS
from ml.use_cases.fraud import history, judgement, plot, service
from ml.use_cases.fraud.encode import encode
from ml.use_cases.fraud.golden import golden
from ml.use_cases.fraud.message import ChargebackEvent, FraudRequest, FraudResponse, PaymentEvent
from ml.use_cases.fraud.outcome import outcome
from ml.use_cases.fraud.params import FraudParams
from ml.use_cases.fraud.predictor import open_fraud

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from pydantic import BaseModel


def _sample(rng: np.random.Generator, n_customers: int) -> dict[str, pd.DataFrame]:
    from ml.use_cases.fraud.sample import sample

    return sample(rng, n_customers)


def _build(tables: Expressions, params: BaseModel) -> Features:
    from ml.use_cases.fraud.examples import build

    return build(tables, params)


def _train(splits: Frames, state: JsonObject, params: BaseModel, out: Path) -> JsonObject:
    from ml.use_cases.fraud.fit import train

    return train(splits, state, params, out)


def _export(trained: Path, out: Path, splits: Frames, state: JsonObject) -> tuple[Variant, ...]:
    from ml.use_cases.fraud.fit import export

    return export(trained, out, splits, state)


def _reference(trained: Path) -> Predictor:
    from ml.use_cases.fraud.fit import reference

    return reference(trained)


USE_CASE = UseCase(
    name="fraud",
    title="Payment fraud",
    description="Tells for each payment how likely it will be charged back, and whether to approve, review or decline it.",
    intended_use="To choose which payments people look at before goods leave the shop, and which are not accepted at all.",
    limits=(
        "Of a model that learnt from the default source: all fraud is simulated after five fixed scenarios among recorded "
        "grocery baskets; tills and channels are drawn. Figures show that the pipeline works, not how well it would find "
        "a thief.",
        "It scores payments. It is no evidence against a person, and not for decisions on credit, employment or accounts.",
        "A payment that is charged back only after the labels were taken counts as genuine, in training and in the figures.",
        "A new way of fraud is seen only after its first charge-backs, days later.",
        "Decisions hold for the costs and the review capacity in the parameters; other costs need another training.",
    ),
    params=FraudParams,
    data=Data(tables=(PAYMENTS, CHARGEBACKS), sample=_sample, build=_build, encode=encode),
    model=Model(train=_train, export=_export, open=open_fraud, reference=_reference),
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
