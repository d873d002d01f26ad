"""The whole record of the use case."""

from __future__ import annotations

from ml.contract import Judgement, Metric, Service, UseCase
from ml.use_cases.recommend import baseline, history, judgement, plot, service
from ml.use_cases.recommend.about import ABOUT
from ml.use_cases.recommend.data import DATA
from ml.use_cases.recommend.explore import drawn_places
from ml.use_cases.recommend.golden import golden
from ml.use_cases.recommend.model import MODEL

USE_CASE: UseCase = ABOUT(
    data=DATA,
    model=MODEL,
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
