"""A small real use case and what a run leaves in its workspace for packaging: numpy weights, real predictions."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from pydantic import BaseModel

import ml
from ml.config import Settings, require_secret
from ml.contract import Data, Judgement, Metric, Model, Rule, Service, UseCase, Verdict
from ml.files import read_json, sha256, write_json, write_parquet, write_verdict
from ml.pipeline import PUBLIC, approve, package, promote
from ml.pipeline.context import StageContext
from ml.training import machine
from tests.judged_run import judged
from tests.unused import ANY_PARAMS, NO_PARAMS, unused

PROJECT = Path(ml.__file__).parent.parent
NAME = "toy"
AT = "2026-11-24T09:00:00+00:00"
FIGURES = {"error": {"value": 0.1, "low": 0.08, "high": 0.12}}
METRICS = {"contenders": [{"name": "int8", "kind": "variant", "figures": FIGURES}]}


class Question(BaseModel):
    """Four numbers about a customer."""

    x: list[float]


class Answer(BaseModel):
    """A score and the largest input."""

    score: float
    strongest: int


class Linear:
    """A linear model whose weights are one file."""

    def __init__(self, folder: Path) -> None:
        self._weights = np.load(folder / "weights.npy")

    def __call__(self, inputs: Any) -> Any:
        return inputs["x"].astype(np.float32) @ self._weights[:, None]


def answer(predictor: Any, state: Any, request: Any, history: Any) -> Any:
    x = np.asarray([request.x]) * state["scale"]
    return Answer(score=float(predictor({"x": x})[0, 0]), strongest=int(np.argmax(x)))


def golden_requests(examples: Any, state: Any, n: int) -> Any:
    return [{"x": list(map(float, row))} for row in examples.head(n)["x"]]


def use_case(name: str = NAME) -> UseCase:
    """A small real record: numpy weights, real predictions."""
    return UseCase(
        name=name,
        title="Toy",
        description="",
        intended_use="",
        limits=(),
        params=ANY_PARAMS,
        data=Data(tables=(), sample=unused, build=unused, encode=unused),
        model=Model(train=unused, export=unused, open=Linear, reference=Linear),
        judgement=Judgement(
            metrics=(Metric(name="error", higher_is_better=False),),
            primary="error",
            measure=unused,
            summarise=unused,
            baselines={},
            naive="mean",
        ),
        service=Service(
            request=Question,
            response=Answer,
            identity=None,
            answer=answer,
            explain=unused,
            observe=unused,
            golden=golden_requests,
            features=unused,
            outcome=unused,
        ),
    )


def verdict(accepted: bool = True) -> Verdict:
    rule = Rule(name="beats naive", observed=0.2, limit=0.0, passed=accepted, sentence="It beats the naive baseline.")
    return Verdict(
        stage="evaluate",
        accepted=accepted,
        rules=(rule,),
        summary="Better than before.",
        chosen="int8" if accepted else None,
    )


def lay_out_run(
    root: Path,
    held: Settings,
    seed: int = 1,
    name: str = NAME,
    *,
    accepted: bool = True,
    production: Any = None,
    metrics: Any = METRICS,
    explained: Any = None,
    ingested: Any = None,
    run_id: str = "run-1",
    last_day: str = "2017-12-31",
) -> StageContext:
    """Write what the stages before packaging leave in a run's workspace; return the package stage's context."""
    rng = np.random.default_rng(seed)
    context = StageContext(
        use_case=use_case(name),
        params=NO_PARAMS,
        inputs=inputs(name, production, run_id, last_day),
        settings=held,
        root=root,
    )
    variant = context.data("compress") / "int8"
    variant.mkdir(parents=True)
    np.save(variant / "weights.npy", rng.normal(size=4).astype(np.float32))
    examples = pd.DataFrame({"unit": [f"u{i}" for i in range(30)], "x": [list(rng.normal(size=4)) for _ in range(30)]})
    write_parquet(context.data("features") / "test.parquet", examples)
    write_parquet(context.data("features") / "profile.parquet", pd.DataFrame({"x0": rng.normal(size=20)}))
    write_json(context.data("features") / "state.json", {"scale": 2.0})
    write_verdict(context.data("evaluate") / "verdict.json", verdict(accepted))
    write_json(context.data("evaluate") / "metrics.json", metrics)
    write_json(context.data("train") / "machine.json", machine.describe())
    write_json(context.data("explain") / "explanations.json", explained or {"examples": []})
    (context.data("explain") / "card.html").write_text("<h1>Toy</h1>")
    write_json(root / "inputs.json", context.inputs)
    (root / "params.yaml").write_text(
        yaml.safe_dump({name: {"train": {"epochs": 3}, "source": {"location": "sql://secret@db"}}})
    )
    outputs = {"train": "abc.dir"} | ({"ingest": ingested} if ingested else {})
    stages = {
        f"{stage}@{name}": {"outs": [{"path": f"data/{name}/{stage}", "md5": md5}]} for stage, md5 in outputs.items()
    }
    lock = {"schema": "2.0", "stages": stages}
    (root / "dvc.lock").write_text(yaml.safe_dump(lock))
    shutil.copy(PROJECT / "uv.lock", root / "uv.lock")
    judged(context)
    return context


def inputs(name: str, production: Any, run_id: str = "run-1", last_day: str = "2017-12-31") -> dict[str, Any]:
    return {
        "schema": "tradewind/inputs/1",
        "use_case": name,
        "run_id": run_id,
        "as_of": {"requested": "2026-11-23", "data": "2017-12-31", "clock": "replay"},
        "source": {
            "spec": {"kind": "sql", "location": "sql://secret@db"},
            "digest": sha256(b"source"),
            "last_day": last_day,
        },
        "production": {"digest": production, "seq": 0},
        "best": {"digest": production, "days": 90},
        "decisions": [],
        "pseudonym_key": "fingerprint",
        "code": {"revision": "abc", "digest": sha256(b"code")},
    }


def packaged_run(
    folder: Path, held: Settings, name: str, seed: int = 1, production: Any = None, **options: Any
) -> tuple[Path, str]:
    """Lay out a run and package it: (workspace, digest)."""
    root = folder / f"run-{seed}-{len(list(folder.iterdir()))}"
    context = lay_out_run(root, held, seed, name, production=production, **options)
    package.run(context)
    return root, read_json(context.data("package") / "version.json")["digest"]


def asked(held: Settings, name: str, root: Path, run_id: str = "run-1") -> Any:
    """Put the question about a packaged run into the ledger, as the approval step does before it waits."""
    return approve.ask(held, use_case(name), root, {"run_id": run_id, "who": "carl"})


def answered(
    held: Settings,
    name: str,
    root: Path,
    choice: Any,
    *,
    by: str = "ada",
    reason: str = "figures look right",
    run_id: str = "run-1",
    at: Any = AT,
) -> Any:
    """Answer that question as Airflow reports it."""
    said = {"choice": choice, "by": by, "at": at, "reason": reason}
    request = {"run_id": run_id, "request": f"retrain {run_id} approve {at}", "answer": said}
    return approve.record_answer(held, use_case(name), root, request)


def walk_in(held: Settings, name: str, root: Path, **request: Any) -> Any:
    """Promote the version of a packaged run."""
    return promote.run(held, use_case(name), root, {"who": "ada", "why": "nightly", **request})


def roll_back(held: Settings, name: str, digest: str, reason: str = "complaints") -> Any:
    """Put an earlier version back."""
    return promote.rollback(held, use_case(name), promote.Order(digest=digest, who="bob", reason=reason))


def files_of(folder: Path) -> dict[Path, bytes]:
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def environment_of(held: Settings) -> dict[str, str]:
    known = {
        "S3_ENDPOINT": held.s3_endpoint,
        "S3_ACCESS_KEY": held.s3_access_key,
        "S3_SECRET_KEY": require_secret(held.s3_secret_key, "s3_secret_key"),
        "SIGNING_KEY": require_secret(held.signing_key, "signing_key"),
        **{key.upper(): getattr(held, key) for key in PUBLIC},
    }
    for secret in ("master_key", "pseudonym_key"):
        if (value := getattr(held, secret)) is not None:
            known[secret.upper()] = value.get_secret_value()
    return {**os.environ, **{f"TRADEWIND_{key}": value for key, value in known.items()}}
