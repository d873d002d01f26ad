"""What the tests of the assistant share: a small real model of the shipped corpus, and a state around it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from ml.config import require_secret
from ml.contract import Data, Judgement, Metric, Model, UseCase
from ml.files import write_json
from ml.packaging import golden
from ml.packaging.signing import generate_key
from ml.packaging.version import VERSION_SCHEMA
from ml.pages import PAGES
from ml.privacy.pseudonym import fingerprint
from ml.registry.live import Live
from ml.serving.app import create_app
from ml.serving.customer import sign
from ml.shop import DELIVERIES, PURCHASES
from ml.shop import PRODUCTS as PRODUCT_TABLE
from ml.store import Bucket
from ml.use_cases.service.corpus import Corpus, read_corpus
from ml.use_cases.service.encode import encode_texts
from ml.use_cases.service.examples import fit_state
from ml.use_cases.service.knowledge import read_knowledge
from ml.use_cases.service.params import ServiceFeatures
from ml.use_cases.service.service import SERVICE
from tests.conftest import ObjectStore
from tests.served_shop import listening, wait
from tests.unused import ANY_PARAMS, unused

PRODUCTS = [
    {"product_id": "77", "name": "Kettle, 1.7 l", "category": "Kitchen", "brand": "Northwind"},
    {"product_id": "78", "name": "Oat Milk, 1 l", "category": "Dairy", "brand": "Store"},
    {"product_id": "79", "name": "Oat Milk, 0.5 l", "category": "Dairy", "brand": "Store"},
    {"product_id": "80", "name": "水壶, 1.7 升", "category": "厨房", "brand": "北风"},
]

KEY = "07" * 32
SMOOTHING = 0.1  # added to each token's count
SHARPNESS = 1.0  # of the probabilities; tokens are not independent


class TokenModel:
    """Naive Bayes on the tokens of the shipped training utterances; stands for any model of its shape."""

    def __init__(self, corpus: Corpus, state: dict[str, Any]) -> None:
        rows = [one for one in corpus.utterances if one.split != "test"]
        inputs = encode_texts([one.text for one in rows], state)
        labels = np.array([state["classes"].index(one.intent) for one in rows])
        is_of = csr_matrix((np.ones(len(rows)), (labels, np.arange(len(rows)))))
        width = 1 + max(int(values.max()) for values in inputs.values())
        counts = (is_of @ bags(inputs, width)).toarray() + SMOOTHING
        self.log = np.log(counts / counts.sum(axis=1, keepdims=True))

    def __call__(self, inputs: Any) -> np.ndarray:
        return scores(self.log, inputs)


def scores(log: np.ndarray, inputs: Any) -> np.ndarray:
    """Return probabilities `(n_rows, n_classes)`."""
    heights = SHARPNESS * (bags(inputs, log.shape[1]) @ log.T)
    powers = np.exp(heights - heights.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), dtype=np.float32)


def bags(inputs: Any, width: int) -> csr_matrix:
    """Return how often each token occurs `(n_rows, width)`."""
    ids = np.concatenate([values.reshape(len(values), -1) for values in inputs.values()], axis=1).astype(int)
    at, place = np.nonzero((ids > 0) & (ids < width))
    return csr_matrix((np.ones(len(at)), (at, ids[at, place])), shape=(len(ids), width))


def state_of(corpus: Corpus) -> dict[str, Any]:
    """Return the fitted state of the shipped corpus and pages, with a few products."""
    rows = [{"text": one.text, "intent": one.intent} for one in corpus.utterances if one.split == "train"]
    pages = read_knowledge(corpus.intents)
    fitted = fit_state(pd.DataFrame(rows), list(corpus.intents), pages, ServiceFeatures())
    state: dict[str, Any] = json.loads(json.dumps({**fitted, "as_of": "2026-06-30", "products": PRODUCTS}))
    return state


@lru_cache(maxsize=1)
def small_model() -> tuple[TokenModel, dict[str, Any]]:
    """Return a fitted model and its state."""
    corpus = read_corpus()
    state = state_of(corpus)
    return TokenModel(corpus, state), state


class SavedModel:
    """The small model, opened from a version's folder."""

    def __init__(self, folder: Path) -> None:
        self._log = np.load(folder / "log.npy")

    def __call__(self, inputs: Any) -> np.ndarray:
        return scores(self._log, inputs)


class FolderVersions:
    """Versions in a folder of this machine, in the place of the registry."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._live = Live(
            use_case=name,
            channel="production",
            digest="sha256:" + "1" * 64,
            seq=1,
            entry="sha256:" + "2" * 64,
            since="2026-06-30T00:00:00+00:00",
            action="promote",
            who="ada",
            why="first",
            run_id=None,
            gate=None,
            record=None,
        )

    def live(self, use_case: Any) -> Any:
        return self._live

    def ensure_accepted(self, live: Any) -> Any:
        return None

    def fetch(self, use_case: Any, digest: str, folder: Path) -> Any:
        return Path(shutil.copytree(self._folder, folder / "version"))

    def record(self, use_case: Any, digest: str) -> Any:
        return {"pseudonym_key": fingerprint(bytes.fromhex(KEY))}


def record(name: str) -> UseCase:
    """Return a use case whose service is the assistant's and whose model is the small one."""
    data = Data(tables=(PURCHASES, PRODUCT_TABLE, DELIVERIES), sample=unused, build=unused, encode=unused)
    judgement = Judgement(
        metrics=(Metric(name="hit"),), primary="hit", measure=unused, summarise=unused, baselines={}, naive="none"
    )
    return UseCase(
        name=name,
        title="Customer service",
        description="",
        intended_use="",
        limits=(),
        params=ANY_PARAMS,
        data=data,
        model=Model(train=unused, export=unused, open=SavedModel, reference=SavedModel),
        judgement=judgement,
        service=SERVICE,
    )


def write_version(folder: Path, name: str) -> None:
    """Write a version of the small model as packaging lays it out."""
    model, state = small_model()
    (folder / "model").mkdir(parents=True)
    np.save(folder / "model" / "log.npy", model.log)
    write_json(folder / "state.json", state)
    questions = [{"message": "where is my order"}, {"message": "怎么退货"}]
    write_json(folder / "golden.json", golden.record(record(name), model, state, questions))
    write_json(folder / "version.json", {"schema": VERSION_SCHEMA, "use_case": name, "variant": "small"})
    write_json(folder / "profile.json", {})


class Desk:
    """A running assistant, and what it wrote."""

    def __init__(self, object_store: ObjectStore, folder: Path) -> None:
        self.keys, self.folder = generate_key(), folder
        self.name = "service"
        self.settings = object_store.settings(
            "serve",
            home=folder / "home",
            poll_seconds=0.05,
            pseudonym_key=KEY,
            customer_verify_key=self.keys.public,
        )
        self.reader = object_store.settings("read")
        self.token = require_secret(self.settings.server_token, "server_token")
        write_version(folder / "version", self.name)

    def app(self, **changes: Any) -> Any:
        settings = self.settings.model_copy(update=changes)
        versions: Any = FolderVersions(self.folder / "version", self.name)
        return create_app(settings, {self.name: record(self.name)}, versions, PAGES)

    @contextmanager
    def open(self, **changes: Any) -> Iterator[Any]:
        headers = {"Authorization": f"Bearer {self.token}"}
        with listening(self.app(**changes)) as url, httpx.Client(base_url=url, headers=headers, timeout=30) as client:
            wait(lambda: client.get(f"/v1/{self.name}/version").status_code == 200)
            yield client

    def customer(self, name: str, minutes: float = 5) -> str:
        return sign(self.keys.private, name, timedelta(minutes=minutes))

    def order(self, client: Any, customer: str, number: str, *products: tuple[str, str], **steps: str) -> None:
        named = [{"product_id": product, "name": title} for product, title in products]
        for step, at in {"placed": "2026-06-20", **steps}.items():
            event = {"order_number": number, "step": step, "at": at, "products": named if step == "placed" else []}
            sent = client.post(f"/v1/{self.name}/events", json={"customer_id": customer, "event": event})
            assert sent.status_code == 200, sent.text

    def say(self, client: Any, message: str, token: str | None = None, **more: Any) -> dict[str, Any]:
        headers = {"Tradewind-Customer": token} if token else {}
        answered = client.post(f"/v1/{self.name}/predict", json={"message": message, **more}, headers=headers)
        assert answered.status_code == 200, answered.text
        return {**answered.json(), "proof": answered.headers["Tradewind-Proof"]}

    def written(self) -> bytes:
        """Return everything the server wrote: its disk and what it sent to the store."""
        bucket = Bucket.open(self.reader, "requests")
        home = self.settings.home
        disk = b"".join(
            path.read_bytes() for path in home.rglob("*") if path.is_file() and "versions" not in path.parts
        )
        return disk + b"".join(bucket.get(key) for key in bucket.keys("") if f"/{self.name}/" in key)
