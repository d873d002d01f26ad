"""Next-basket recommendation: what a customer will buy on the next visit, habits and discoveries in one list."""

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
    Service,
    UseCase,
    Variant,
)
from ml.shop import CUSTOMERS, PRODUCTS, PURCHASES
from ml.use_cases.recommend import baseline, history, judgement, plot, service
from ml.use_cases.recommend.encode import encode
from ml.use_cases.recommend.explore import drawn_places
from ml.use_cases.recommend.golden import golden
from ml.use_cases.recommend.params import RecommendParams

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from pydantic import BaseModel


def _sample(rng: np.random.Generator, n_customers: int) -> dict[str, pd.DataFrame]:
    from ml.use_cases.recommend.sample import sample

    return sample(rng, n_customers)


def _build(tables: Expressions, params: BaseModel) -> Features:
    from ml.use_cases.recommend.examples import build

    return build(tables, params)


def _train(splits: Frames, state: JsonObject, params: BaseModel, out: Path) -> JsonObject:
    from ml.use_cases.recommend.fit import train

    return train(splits, state, params, out)


def _export(trained: Path, out: Path, splits: Frames, state: JsonObject) -> tuple[Variant, ...]:
    from ml.use_cases.recommend.export import export

    return export(trained, out, splits, state)


def _reference(trained: Path) -> Predictor:
    from ml.use_cases.recommend.export import reference

    return reference(trained)


USE_CASE = UseCase(
    name="recommend",
    title="Next-basket recommendation",
    description="Ranks the shop's products by how likely a customer puts them into the next basket.",
    intended_use="Reminders of habits and suggestions on the shop's pages and in its newsletters.",
    limits=(
        "Not for prices, credit or any decision about a person other than which products are shown.",
        "Products sold for long, but in few baskets, are never recommended; new ones only by category, in few lists.",
        "A customer without purchases gets what sells now to people of the same age group or income, if that is told.",
        "Trained on one shop: figures do not carry over to another.",
    ),
    params=RecommendParams,
    data=Data(tables=(PURCHASES, PRODUCTS, CUSTOMERS), sample=_sample, build=_build, encode=encode),
    model=Model(train=_train, export=_export, open=open_litert, reference=_reference),
    judgement=Judgement(
        metrics=(
            Metric(name="recall@10", description="share of the next basket that is among the first ten"),
            Metric(name="ndcg@10", description="the same, where a hit counts more the higher it stands"),
        ),
        primary="recall@10",
        measure=judgement.measure,
        summarise=judgement.summarise,
        baselines={
            "popularity": baseline.popularity,
            "personal": baseline.personal,
            "personal_decay": baseline.personal_decay,
            "item_knn_decay": baseline.item_knn_decay,
        },
        naive="popularity",
        slices=("activity", "age_group", "income_group"),
        plots=(plot.popularity_bias,),
        notes=judgement.NOTES,
    ),
    service=Service(
        request=service.RecommendRequest,
        events={"purchase": history.PurchaseEvent},
        response=service.RecommendResponse,
        heeds_stock=True,
        drawn=drawn_places,
        catalogue=service.catalogue,
        identity="customer_id",
        answer=service.answer,
        explain=service.explain,
        observe=history.observe,
        golden=golden,
        from_examples=service.from_examples,
        features=service.features,
        outcome=service.outcome,
    ),
)
