"""A small real use case, promoted through the real registry, and the model server that serves it."""

from __future__ import annotations

import json
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
import uvicorn
import yaml
from pydantic import BaseModel, ConfigDict, Field

import ml
from ml.config import Settings, require_secret
from ml.contract import (
    OUT_OF_STOCK,
    Data,
    Explanation,
    Judgement,
    Metric,
    Model,
    Reason,
    Rule,
    Service,
    UseCase,
    Verdict,
)
from ml.field import Article, Moment, Sent
from ml.files import read_json, sha256, write_json, write_parquet, write_verdict
from ml.packaging.signing import Signer
from ml.pipeline import package, promote
from ml.pipeline.context import StageContext
from ml.privacy.pseudonym import fingerprint, pseudonym, read_key
from ml.registry import ledger
from ml.registry.entry import Move
from ml.registry.fetch import fetch_record
from ml.serving import snapshot
from ml.serving.app import create_app
from ml.shop import PURCHASES
from ml.store import Bucket
from ml.training import machine
from tests.conftest import ObjectStore
from tests.judged_run import judged
from tests.unused import ANY_PARAMS, NO_PARAMS, unused

PROJECT = Path(ml.__file__).parent.parent
VOCABULARY = [f"p{i}" for i in range(6)]
AS_OF = date(2017, 12, 31)
PERSON = "household-4711"
FIGURES = {"recall": {"value": 0.1, "low": 0.08, "high": 0.12}}
VARIANT = "float32"
METRICS = {"contenders": [{"name": VARIANT, "kind": "variant", "figures": FIGURES}]}


class Question(BaseModel):
    model_config = ConfigDict(extra="forbid")

    customer_id: str | None = Field(None, max_length=40)
    history: list[str] | None = None
    basket_id: str | None = None
    k: int = Field(3, ge=1, le=5)


class Bought(Sent):
    product_id: Article
    purchased_at: Moment | None = None
    basket_id: str | None = None


class Item(BaseModel):
    product_id: str
    score: float


class Answer(BaseModel):
    customer_id: str | None
    items: list[Item]


class Additive:
    def __init__(self, folder: Path) -> None:
        self._weights = np.load(folder / "weights.npy")

    def __call__(self, inputs: Any) -> Any:
        return (inputs["counts"] @ self._weights[1:] + self._weights[0]).astype(np.float32)


def counts(request: Any, history: Any, state: Any) -> Any:
    bought = request.history if request.history is not None else (history or {}).get("bought", [])
    return np.asarray([[bought.count(product) for product in state["vocabulary"]]], np.float32)


def answer(predictor: Any, state: Any, request: Any, history: Any) -> Answer:
    scores = predictor({"counts": counts(request, history, state)})[0]
    out = (history or {}).get(OUT_OF_STOCK, ())
    best = [i for i in np.argsort(-scores, kind="stable") if state["vocabulary"][i] not in out][: request.k]
    items = [Item(product_id=state["vocabulary"][i], score=float(scores[i])) for i in best]
    return Answer(customer_id=request.customer_id, items=items)


def explain(predictor: Any, state: Any, request: Any, history: Any) -> Any:
    have = counts(request, history, state)
    base, full = predictor({"counts": have * 0})[0], predictor({"counts": have})[0]
    found = []
    for item in answer(predictor, state, request, history).items:
        i = state["vocabulary"].index(item.product_id)
        reasons = []
        for j in np.flatnonzero(have[0]):
            alone = np.zeros_like(have)
            alone[0, j] = have[0, j]
            text = f"because you bought {state['vocabulary'][j]}"
            reasons.append(Reason(text=text, contribution=float(predictor({"counts": alone})[0, i] - base[i])))
        total = sum(reason.contribution for reason in reasons)
        residual = float(full[i] - base[i] - total)
        found.append(
            Explanation(
                subject=item.product_id,
                score=float(full[i]),
                base=float(base[i]),
                reasons=tuple(reasons),
                residual=residual,
            )
        )
    return found


def observe(history: Any, event: Any) -> Any:
    return {"bought": [*(history or {"bought": []})["bought"], event["product_id"]]}


def features(request: Any, response: Any, history: Any) -> dict[str, float | str]:
    return {
        "n_bought": float(len((history or {}).get("bought", []))),
        "score": response.items[0].score if response.items else 0.0,
    }


def golden(examples: Any, state: Any, n: int) -> list[dict[str, Any]]:
    return [{"history": list(bought), "k": 2} for bought in examples.head(n)["bought"]]


def use_case(name: str) -> UseCase:
    return UseCase(
        name=name,
        title="Toy",
        description="",
        intended_use="",
        limits=(),
        params=ANY_PARAMS,
        data=Data(tables=(PURCHASES,), sample=unused, build=unused, encode=unused),
        model=Model(train=unused, export=unused, open=Additive, reference=Additive),
        judgement=Judgement(
            metrics=(Metric(name="recall"),),
            primary="recall",
            measure=unused,
            summarise=unused,
            baselines={},
            naive="popular",
        ),
        service=Service(
            request=Question,
            response=Answer,
            heeds_stock=True,
            identity="customer_id",
            events={"purchase": Bought},
            answer=answer,
            explain=explain,
            observe=observe,
            golden=golden,
            features=features,
            outcome=unused,
        ),
    )


def packaged(
    root: Path, name: str, held: Settings, seed: int, production: Any = None, run_id: str | None = None
) -> tuple[str, np.ndarray]:
    """Package a version, `run-<seed>`'s unless another run is named; return its digest and its weights."""
    rng = np.random.default_rng(seed)
    inputs = {
        "schema": "tradewind/inputs/1",
        "use_case": name,
        "run_id": run_id or f"run-{seed}",
        "as_of": {"requested": "2026-11-23", "data": AS_OF.isoformat(), "clock": "replay"},
        "source": {"spec": {}, "digest": sha256(b"source"), "last_day": AS_OF.isoformat()},
        "production": {"digest": production, "seq": 0},
        "best": {"digest": production, "days": 90},
        "pseudonym_key": fingerprint(read_key(held)),
        "code": {"revision": "abc", "digest": sha256(b"code")},
    }
    context = StageContext(use_case=use_case(name), params=NO_PARAMS, inputs=inputs, settings=held, root=root)
    variant = context.data("compress") / "float32"
    variant.mkdir(parents=True)
    weights = rng.normal(size=(1 + len(VOCABULARY), len(VOCABULARY))).astype(np.float32)
    np.save(variant / "weights.npy", weights)
    bought = [list(rng.choice(VOCABULARY, 2)) for _ in range(20)]
    write_parquet(context.data("features") / "test.parquet", pd.DataFrame({"unit": range(20), "bought": bought}))
    write_parquet(context.data("features") / "profile.parquet", pd.DataFrame({"n_bought": [1.0]}))
    write_json(context.data("features") / "state.json", {"vocabulary": VOCABULARY})
    package_accepted(context)
    return read_json(context.data("package") / "version.json")["digest"], weights


def package_accepted(context: StageContext) -> None:
    """Write what accepting and explaining a trained model leave in its workspace, and package it as a version."""
    record, root = context.use_case, context.root
    rule = Rule(name="naive", observed=0.2, limit=0.0, passed=True, sentence="It beats the naive baseline.")
    verdict = Verdict(stage="evaluate", accepted=True, rules=(rule,), summary="Better.", chosen=VARIANT)
    write_verdict(context.data("evaluate") / "verdict.json", verdict)
    write_json(context.data("evaluate") / "metrics.json", METRICS)
    write_json(context.data("train") / "machine.json", machine.describe())
    write_json(context.data("explain") / "explanations.json", {})
    (context.data("explain") / "card.html").write_text(f"<h1>{record.title}</h1>")
    write_json(root / "inputs.json", context.inputs)
    (root / "params.yaml").write_text(yaml.safe_dump({record.name: {}}))
    (root / "dvc.lock").write_text("stages: {}")
    shutil.copy(PROJECT / "uv.lock", root / "uv.lock")
    judged(context)
    package.run(context)


def first_run(record: Any, promoter: Settings, root: Path, as_of: Any) -> StageContext:
    """Return the workspace of a use case's first run, whose inputs are frozen."""
    inputs = {
        "schema": "tradewind/inputs/1",
        "use_case": record.name,
        "run_id": "run-1",
        "as_of": {"requested": str(as_of), "data": str(as_of), "clock": "wall"},
        "source": {"spec": {}, "digest": sha256(b"source"), "last_day": str(as_of)},
        "production": {"digest": None, "seq": 0},
        "pseudonym_key": fingerprint(read_key(promoter)),
        "code": {"revision": "abc", "digest": sha256(b"code")},
    }
    return StageContext(use_case=record, params=NO_PARAMS, inputs=inputs, settings=promoter, root=root)


def promote_first(context: StageContext, as_of: Any) -> None:
    """Package what a first run trained, promote it, and publish its histories."""
    record, promoter = context.use_case, context.settings
    package_accepted(context)
    promote.run(promoter, record, context.root, {"who": "ada", "why": "first"})
    snapshot.publish(promoter, record.name, context.data("features") / "histories.parquet", as_of)


@contextmanager
def listening(app: Any) -> Iterator[Any]:
    """Run the application on a real port of this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait(lambda: server.started)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


class Shop:
    """One use case of its own in the shared store, and a server's home."""

    def __init__(self, object_store: ObjectStore, folder: Path, name: str) -> None:
        self.name = name
        self.folder = folder
        self.promoter = object_store.settings("promote", pseudonym_key=object_store.secrets["pseudonym_key"])
        self.settings = object_store.settings("serve", home=folder / "home", poll_seconds=0.05)
        self.reader = object_store.settings("read")
        self.record = use_case(name)
        self.key = read_key(self.settings)
        self.token = require_secret(self.settings.server_token, "server_token")

    def unit(self, person: Any) -> Any:
        return pseudonym(self.key, "customer_id", person)

    def promote(self, seed: int = 1) -> Any:
        live = ledger.live(self.promoter, self.name, "production")
        root = self.folder / f"run-{seed}"
        digest, weights = packaged(root, self.name, self.promoter, seed, live.digest if live else None)
        promote.run(self.promoter, self.record, root, {"who": "ada", "why": f"run {seed}"})
        return digest, weights

    def roll_back(self, digest: str) -> Any:
        order = promote.Order(digest=digest, who="ada", reason="complaints")
        return promote.rollback(self.promoter, self.record, order)

    def histories(self, as_of: Any = AS_OF, **known: Any) -> Any:
        path = self.folder / "histories.parquet"
        rows = {self.unit(person): json.dumps({"bought": bought}) for person, bought in known.items()}
        write_parquet(path, pd.DataFrame({"unit": list(rows), "history": list(rows.values())}))
        return snapshot.publish(self.promoter, self.name, path, as_of)

    def logged(self, kind: str) -> Any:
        bucket = Bucket.open(self.reader, "requests")
        keys = list(bucket.keys(f"{kind}/{self.name}/"))
        return [json.loads(line) for key in keys for line in bucket.get(key).splitlines()]

    def seen(self) -> Any:
        """Everything the server wrote: its disk and what it sent to the store."""
        written = b"".join(path.read_bytes() for path in self.settings.home.rglob("*") if path.is_file())
        return written + json.dumps(self.logged("requests") + self.logged("events")).encode()

    @contextmanager
    def open(self, settings: Settings | None = None, token: Any = None, **changes: Any) -> Iterator[Any]:
        record = replace(self.record, **changes)
        app = create_app(settings or self.settings, {self.name: record})
        headers = {"Authorization": f"Bearer {token or self.token}"}
        with listening(app) as url, httpx.Client(base_url=url, headers=headers, timeout=30) as client:
            yield client

    @contextmanager
    def serving(self, digest: str | None = None, **options: Any) -> Iterator[Any]:
        with self.open(**options) as client:
            wait(lambda: self.is_live(client, digest))
            yield client

    def is_live(self, client: Any, digest: str | None = None) -> Any:
        found = client.get(f"/v1/{self.name}/version")
        return found.status_code == 200 and digest in (None, found.json()["digest"])

    def predict(self, client: Any, **body: Any) -> Any:
        return client.post(f"/v1/{self.name}/predict", json=body)

    def buy(self, client: Any, product: Any, person: Any = PERSON, **more: Any) -> Any:
        event = {"product_id": product, "purchased_at": "2018-01-02T10:00:00", **more.pop("event", {})}
        return client.post(f"/v1/{self.name}/events", json={"customer_id": person, "event": event, **more})


def wait(ready: Any, seconds: int = 15) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.02)


def expected(weights: np.ndarray, bought: Any, k: int) -> Any:
    """Return the best products by hand: popularity plus what each bought item adds."""
    scores = weights[0] + sum((weights[1 + VOCABULARY.index(product)] for product in bought), np.zeros(len(VOCABULARY)))
    order = sorted(range(len(VOCABULARY)), key=lambda i: -scores[i])[:k]
    return [(VOCABULARY[i], pytest.approx(float(scores[i]), abs=1e-5)) for i in order]


def items(response: Any) -> Any:
    assert response.status_code == 200, response.text
    return [(item["product_id"], item["score"]) for item in response.json()["items"]]


def append(shop: Any, digest: str, known: bool = True) -> None:
    """Move the channel behind the door's back, with a gate report that seems in order."""
    gate = fetch_record(shop.promoter, shop.name, digest).payload["gate"]["digest"] if known else sha256(b"none")
    move = Move(channel="production", action="promote", digest=digest, who="eve", why="no door", gate=gate)
    view = ledger.Ledger.open(shop.promoter, shop.name)
    view.append(Signer.open(shop.promoter), move)
    view.project(Signer.open(shop.promoter))


def problem(client: Any, shop: Any, part: str = "version") -> Any:
    return client.get("/health").json()["use_cases"][shop.name]["problems"].get(part)


def spoil(shop: Any, seed: int) -> None:
    """Change the published bytes of the version a run packaged."""
    layer = read_json(shop.folder / f"run-{seed}" / "data" / shop.name / "package" / "version.json")["layer"]
    key = f"{shop.name}/blobs/sha256/{layer.removeprefix('sha256:')}"
    bucket = Bucket.open(shop.promoter, "models")
    bucket.put(key, bucket.get(key)[:-1] + b"x")
