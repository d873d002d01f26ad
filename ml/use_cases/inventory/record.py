"""The whole record of the use case."""

from __future__ import annotations

from collections.abc import Mapping

from ml.contract import JsonObject, Judgement, Listing, Metric, Predictor, Service, UseCase
from ml.evaluation.statistic import ratio
from ml.use_cases.inventory import baseline, judgement, service
from ml.use_cases.inventory.about import ABOUT
from ml.use_cases.inventory.data import DATA
from ml.use_cases.inventory.demand_score import WQL
from ml.use_cases.inventory.golden import golden
from ml.use_cases.inventory.known import FIELD
from ml.use_cases.inventory.model import MODEL


def _proposals(predictor: Predictor, state: JsonObject, histories: Mapping[str, JsonObject]) -> list[JsonObject]:
    from ml.use_cases.inventory.proposal import proposals

    return proposals(predictor, state, histories)


USE_CASE: UseCase = ABOUT(
    data=DATA,
    model=MODEL,
    judgement=Judgement(
        metrics=(
            Metric(
                name="stock_cost",
                higher_is_better=False,
                unit="money",
                description="simulated holding, shortage and ordering of a series in a week, when orders follow the forecast",
            ),
            WQL,
            Metric(
                name="fill_rate",
                description="share of simulated demand that was served at once",
                parts=("filled", "asked"),
                statistic=ratio("filled", "asked"),
            ),
        ),
        primary="stock_cost",
        measure=judgement.measure,
        summarise=judgement.summarise,
        baselines={
            "seasonal_naive": baseline.seasonal_naive,
            "moving_average": baseline.moving_average,
            "own_history": baseline.own_history,
            "sba": baseline.sba,
            "negative_binomial": baseline.negative_binomial,
        },
        naive="seasonal_naive",
        slices=("demand_class", "department", "store_group"),
        units="series",
    ),
    service=Service(
        request=service.InventoryRequest,
        response=service.InventoryResponse,
        identity=None,
        answer=service.answer,
        limits=service.limits,
        digested=frozenset({"name", "product_id", "store_group", "unknown"}),
        explain=service.explain,
        observe=service.observe,
        golden=golden,
        from_examples=service.from_examples,
        features=service.features,
        outcome=service.outcome,
        related={FIELD: service.observe},
        listing=Listing(
            title="Purchase-order proposals",
            make=_proposals,
            shown=(
                *("name", "store_group", "order_quantity", "order_value", "reason", "on_hand", "on_order"),
                *("expected_demand", "safety_stock", "reorder_point", "service_after", "department", "product_id"),
            ),
            total="order_value",
            unit="currency of the shop",
            note="Where the source is Complete Journey, stock and supplier terms are simulated: no such order was ever due.",
        ),
    ),
)
