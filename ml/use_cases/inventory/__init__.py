"""Inventory: how much will be asked for, and how much to order."""

from __future__ import annotations

from collections.abc import Mapping
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
    Listing,
    Metric,
    Model,
    Predictor,
    Service,
    UseCase,
    Variant,
)
from ml.evaluation.statistic import ratio
from ml.shop import PRODUCTS, PROMOTIONS, PURCHASES, STOCK, STORES, SUPPLIER_TERMS
from ml.use_cases.inventory import baseline, judgement, service
from ml.use_cases.inventory.demand_score import WQL
from ml.use_cases.inventory.forecast_encode import encode
from ml.use_cases.inventory.golden import golden
from ml.use_cases.inventory.known import FIELD
from ml.use_cases.inventory.params import InventoryParams

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from pydantic import BaseModel


def _sample(rng: np.random.Generator, n_customers: int) -> dict[str, pd.DataFrame]:
    from ml.use_cases.inventory.sample import sample

    return sample(rng, n_customers)


def _build(tables: Expressions, params: BaseModel) -> Features:
    from ml.use_cases.inventory.examples import build

    return build(tables, params)


def _train(splits: Frames, state: JsonObject, params: BaseModel, out: Path) -> JsonObject:
    from ml.use_cases.inventory.fit import train

    return train(splits, state, params, out)


def _export(trained: Path, out: Path, splits: Frames, state: JsonObject) -> tuple[Variant, ...]:
    from ml.use_cases.inventory.fit import export

    return export(trained, out, splits, state)


def _reference(trained: Path) -> Predictor:
    from ml.use_cases.inventory.fit import reference

    return reference(trained)


def _proposals(predictor: Predictor, state: JsonObject, histories: Mapping[str, JsonObject]) -> list[JsonObject]:
    from ml.use_cases.inventory.proposal import proposals

    return proposals(predictor, state, histories)


USE_CASE = UseCase(
    name="inventory",
    title="Demand forecast and replenishment",
    description="Forecasts weekly demand of each product in each group of stores, and proposes what to order.",
    intended_use="Purchase-order proposals that a buyer confirms; a forecast with its uncertainty for planning.",
    limits=(
        "A proposal is not an order: somebody confirms it.",
        "Supplier terms and stock of the default source are simulated: its costs show how forecasts compare, not what a shop pays.",
        "Demand is what was sold; what empty shelves kept from being sold is not seen.",
        "Seasons of the year are learned from two years of data on.",
    ),
    params=InventoryParams,
    data=Data(
        tables=(PURCHASES, PRODUCTS, STORES, PROMOTIONS, SUPPLIER_TERMS, STOCK),
        sample=_sample,
        build=_build,
        encode=encode,
    ),
    model=Model(train=_train, export=_export, open=open_litert, reference=_reference),
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
