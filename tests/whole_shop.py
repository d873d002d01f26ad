"""One shop with all its applications: trained small on made-up data, packaged, promoted, served together by one server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
from pydantic import BaseModel

from ml.config import Settings
from ml.contract import Features, UseCase
from ml.files import write_json, write_parquet
from ml.packaging.signing import generate_key
from ml.pages import PAGES
from ml.pipeline.context import StageContext
from ml.privacy.pseudonym import pseudonym, read_key
from ml.serving.app import create_app
from ml.serving.versions import Versions
from ml.use_cases import load
from ml.use_cases.inventory.params import InventoryFeatures, InventoryTrain
from ml.use_cases.rating.params import RatingFeatures, RatingTrain
from ml.use_cases.recommend.params import RecommendTrain
from tests import fraud_shop, recommend_shop, service_shop
from tests.conftest import ObjectStore
from tests.served_shop import VARIANT, first_run, listening, promote_first, wait

CUSTOMER = "household-4711"
ORDER = "A1047-220"
AS_OF = date(2026, 6, 30)
SERVICE = service_shop.record("service")
RECORDS = {one.name: one for one in (load("recommend"), load("fraud"), load("inventory"), load("rating"), SERVICE)}


class WholeShop:
    """All applications in production in a store of their own, whose names are the real ones."""

    def __init__(self, store: ObjectStore, folder: Path) -> None:
        self.folder, self.keys = folder, generate_key()
        self.promoter = store.settings("promote", pseudonym_key=store.secrets["pseudonym_key"])
        self.settings = store.settings(
            "serve", home=folder / "home", poll_seconds=0.05, customer_verify_key=self.keys.public
        )
        self.reader = store.settings("read")
        self.token = store.secrets["server_token"]
        self.unit = pseudonym(read_key(self.settings), "customer_id", CUSTOMER)
        recommend_shop.prepare()
        self._raw = load("recommend").data.sample(np.random.default_rng(5), 60)
        for write in (self._recommend, self._fraud, self._inventory, self._rating, self._assistant):
            promote_first(write(), AS_OF)

    def _recommend(self) -> StageContext:
        """Return the workspace of recommendations, to whose shop the customer has often been."""
        context = self._context(load("recommend"))
        purchases = self._raw["purchases"].replace({"customer_id": {"c00003": self.unit}})
        built = built_of(context, {**self._raw, "purchases": purchases}, recommend_shop.PARAMS)
        train(context, built, RecommendTrain(epochs=1))
        return context

    def _fraud(self) -> StageContext:
        """Return the workspace of fraud detection, by whose payments the customer's card is known, never for fraud."""
        context = self._context(load("fraud"))
        tables = load("fraud").data.sample(np.random.default_rng(5), 60)
        payments = tables["payments"].replace({"customer_id": {"k00001": self.unit}})
        built = built_of(context, {**tables, "payments": payments}, fraud_shop.PARAMS)
        fraud_shop.export(fraud_shop.Shop(tables, built), context.data("features").parent)
        return context

    def _inventory(self) -> StageContext:
        """Return the workspace of the forecasts, of the products that are recommended."""
        context = self._context(load("inventory"))
        tables = load("inventory").data.sample(np.random.default_rng(5), 80)
        names = self._raw["products"].set_index("product_id")["name"]
        products = tables["products"]
        products = products.assign(name=products["product_id"].map(names).fillna(products["name"]))
        built = built_of(context, {**tables, "products": products}, InventoryFeatures())
        train(context, built, InventoryTrain(epochs=1, members=1, hidden=8))
        return context

    def _rating(self) -> StageContext:
        """Return the workspace of the textbook's ratings."""
        context = self._context(load("rating"))
        tables = load("rating").data.sample(np.random.default_rng(5), 60)
        train(context, built_of(context, tables, RatingFeatures()), RatingTrain(epochs=1))
        return context

    def _assistant(self) -> StageContext:
        """Return the workspace of the small assistant, which knows the customer's order."""
        context = self._context(SERVICE)
        model, state = service_shop.small_model()
        (context.data("compress") / VARIANT).mkdir(parents=True)
        np.save(context.data("compress") / VARIANT / "log.npy", model.log)
        placed = {"order_number": ORDER, "step": "placed", "at": "2026-06-20"}
        bought = {"products": [{"product_id": "77", "name": "Kettle, 1.7 l"}]}
        history = SERVICE.service.observe(None, {**placed, **bought})
        examples = pd.DataFrame({"text": ["where is my order", "怎么退货"], "language": ["en", "zh"]})
        histories = pd.DataFrame({"unit": [self.unit], "history": [json.dumps(history)]})
        profile = pd.DataFrame({"characters": [10.0]})
        built = Features(splits={"test": examples}, state=state, profile={"reference": profile}, histories=histories)
        write_features(context, built)
        return context

    def _context(self, record: UseCase) -> StageContext:
        context: StageContext = first_run(record, self.promoter, self.folder / record.name, AS_OF)
        return context

    @contextmanager
    def open(self, home: Path, versions: Versions | None = None) -> Iterator[httpx.Client]:
        """Serve all, with their pages, once each knows its histories."""
        settings: Settings = self.settings.model_copy(update={"home": home})
        headers = {"Authorization": f"Bearer {self.token}"}
        app = create_app(settings, RECORDS, versions, PAGES)
        with listening(app) as url, httpx.Client(base_url=url, headers=headers, timeout=30) as client:
            wait(lambda: all(is_ready(client, name) for name in RECORDS), 60)
            yield client


def is_ready(client: httpx.Client, name: str) -> bool:
    found = client.get(f"/v1/{name}/version")
    return found.status_code == 200 and bool(found.json()["histories"])


def built_of(context: StageContext, tables: dict[str, pd.DataFrame], params: BaseModel) -> Features:
    return context.use_case.data.build(recommend_shop.expressions(tables), params)


def train(context: StageContext, built: Features, params: BaseModel) -> None:
    """Write features, model and variants as the stages do."""
    write_features(context, built)
    model, trained = context.use_case.model, context.data("train")
    model.train(built.splits, built.state, params, trained)
    model.export(trained, context.data("compress"), built.splits, built.state)


def write_features(context: StageContext, built: Features) -> None:
    """Write what was built as the features stage does."""
    folder = context.data("features")
    for name, frame in built.splits.items():
        write_parquet(folder / f"{name}.parquet", frame)
    write_parquet(folder / "profile.parquet", built.profile["reference"])
    write_parquet(folder / "histories.parquet", built.histories)
    write_json(folder / "state.json", built.state)
