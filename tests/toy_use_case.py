"""A small real use case: which of four aisles a customer visits next, by a linear predictor in numpy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import BaseModel

from ml.config import Settings
from ml.contract import (
    Data,
    Explanation,
    Features,
    Judgement,
    Metric,
    Model,
    Reason,
    Service,
    UseCase,
    Variant,
)
from ml.files import write_json, write_parquet
from ml.parameter import GateParams, MonitorParams, Section, UseCaseParams
from ml.pipeline.context import StageContext
from tests.toy_predictor import LinearPredictor

AISLES = ("bread", "dairy", "fruit", "tea")
COLUMNS = ("age", "visits", "spend")


class ToyParams(UseCaseParams):
    features: Section = Section()
    train: Section = Section()
    gate: GateParams = GateParams(resamples=400, min_units=50)
    monitor: MonitorParams = MonitorParams(min_requests=100)


class ToyRequest(BaseModel):
    customer: str | None = None
    age: float
    visits: float
    spend: float


class ToyResponse(BaseModel):
    aisle: str
    score: float


def examples(rng: np.random.Generator, n_units: int, first_day: str, per_unit: int = 2) -> pd.DataFrame:
    """Return rows whose aisle follows a linear rule with noise."""
    units = np.repeat([f"{number:04x}" for number in range(n_units)], per_unit)
    x = rng.normal(size=(len(units), 3))
    noise = rng.gumbel(size=(len(units), 4))
    truth = np.argmax(x @ TRUE_WEIGHTS + noise, axis=1)
    days = pd.Timestamp(first_day) + pd.to_timedelta(rng.integers(0, 7, len(units)), unit="D")
    frame = pd.DataFrame(x, columns=list(COLUMNS)).assign(
        unit=units,
        time=days,
        aisle=[AISLES[at] for at in truth],
        group=rng.choice(["young", "old"], len(units)),
    )
    return frame.sort_values(["time", "unit"], kind="stable", ignore_index=True)


TRUE_WEIGHTS = np.array([[2.0, -1.0, 0.0, 0.5], [0.0, 2.0, -1.5, 0.0], [-1.0, 0.0, 2.0, -1.0]])


def encode(frame: pd.DataFrame, state: dict[str, Any]) -> dict[str, np.ndarray]:
    x = (frame[list(COLUMNS)].to_numpy(dtype=np.float32) - np.float32(state["mean"])) / np.float32(state["scale"])
    return {"person": x[:, :1], "history": x[:, 1:]}


def measure(scores: Any, frame: Any, state: Any) -> pd.DataFrame:
    truth = frame["aisle"].map({name: at for at, name in enumerate(state["aisles"])}).to_numpy()
    shifted = scores - scores.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    rows = np.arange(len(frame))
    values = {"hit": (scores.argmax(axis=1) == truth).astype(float), "log_loss": -log_p[rows, truth]}
    return pd.DataFrame(values, index=frame.index)


def summarise(scores: Any, frame: Any, state: Any) -> dict[str, float]:
    return {"coverage": len(set(scores.argmax(axis=1).tolist())) / len(state["aisles"])}


def majority(splits: Any, state: Any) -> np.ndarray:
    counts = splits["train"]["aisle"].value_counts()
    row = [float(counts.get(name, 0)) / len(splits["train"]) for name in state["aisles"]]
    return np.tile(np.array(row, dtype=np.float32), (len(splits["test"]), 1))


def answer(predictor: Any, state: Any, request: Any, history: Any) -> ToyResponse:
    scores = predictor(encode(_row(request), state))[0]
    return ToyResponse(aisle=state["aisles"][int(scores.argmax())], score=float(scores.max()))


def explain(predictor: Any, state: Any, request: Any, history: Any) -> list[Explanation]:
    inputs = encode(_row(request), state)
    scores = predictor(inputs)[0]
    at = int(scores.argmax())
    x = np.concatenate([inputs["person"], inputs["history"]], axis=1)[0]
    parts = x * predictor.weights[:, at]
    reasons = tuple(
        Reason(text=f"because of {name}", contribution=float(part)) for name, part in zip(COLUMNS, parts, strict=True)
    )
    base = float(predictor.bias[at])
    residual = float(scores[at]) - base - float(parts.sum())
    subject = state["aisles"][at]
    return [Explanation(subject=subject, score=float(scores[at]), base=base, reasons=reasons, residual=residual)]


def golden(frame: Any, state: Any, n: int) -> list[dict[str, Any]]:
    return [
        {"customer": None, **{name: float(row[name]) for name in COLUMNS}} for row in frame.head(n).to_dict("records")
    ]


def features(request: Any, response: Any, history: Any) -> dict[str, float | str]:
    return {"age": request.age, "visits": request.visits, "aisle": response.aisle, "score": response.score}


def outcome(logged: Any, events: Any) -> dict[str, float]:
    visited = [event["aisle"] for event in events if "aisle" in event]
    return {"hit": float(logged["answer"]["aisle"] == visited[0])} if visited else {}


def _row(request: ToyRequest) -> pd.DataFrame:
    return pd.DataFrame([{name: getattr(request, name) for name in COLUMNS}])


def build(tables: Any, params: Any) -> Features:
    raise NotImplementedError("the toy's examples are drawn, not built")


TOY = UseCase(
    name="toy",
    title="Next aisle",
    description="Guesses which aisle a customer visits next.",
    intended_use="Sort the entrance display.",
    limits=("Not for prices.", "Not for <decisions> about people."),
    params=ToyParams,
    data=Data(tables=(), sample=lambda rng, n: {}, build=build, encode=encode),
    model=Model(
        train=lambda splits, state, params, out: {},
        export=lambda folder, out, splits, state: (),
        open=LinearPredictor,
        reference=LinearPredictor,
    ),
    judgement=Judgement(
        metrics=(
            Metric(name="hit", description="the aisle guessed is the aisle visited"),
            Metric(name="log_loss", higher_is_better=False, unit="nat", description="surprise at the aisle visited"),
        ),
        primary="hit",
        measure=measure,
        summarise=summarise,
        baselines={"majority": majority},
        naive="majority",
        slices=("group",),
    ),
    service=Service(
        request=ToyRequest,
        response=ToyResponse,
        identity="customer",
        answer=answer,
        explain=explain,
        observe=lambda history, event: {},
        golden=golden,
        features=features,
        outcome=outcome,
    ),
)

STATE = {"aisles": list(AISLES), "mean": [0.0, 0.0, 0.0], "scale": [1.0, 1.0, 1.0]}


def export_variant(out: Path, name: str, weights: np.ndarray) -> Variant:
    """Store weights as one variant: int8 with a scale a column, float16 or float32."""
    folder = out / name
    folder.mkdir(parents=True, exist_ok=True)
    scale = np.ones(4)
    stored = weights.astype("float32")
    if name == "float16":
        stored = weights.astype("float16")
    if name == "int8":
        scale = np.abs(weights).max(axis=0) / 127
        stored = np.round(weights / scale).astype("int8")
    np.savez(folder / "weights.npz", weights=stored, scale=scale, bias=np.zeros(4))
    return Variant(name=name, path=folder)


def lay_out(
    root: Path, rng: np.random.Generator, weights: np.ndarray = TRUE_WEIGHTS, n_units: int = 200
) -> StageContext:
    """Write what the stages before evaluate hand over, and return the context of a first run."""
    context = StageContext(
        use_case=TOY,
        params=ToyParams(),
        inputs={
            "production": {"digest": None, "seq": 0},
            "best": {"digest": None, "days": 90},
            "as_of": {"requested": "2026-01-31", "data": "2026-01-31", "clock": "wall"},
            "source": {"spec": {"kind": "files"}, "digest": f"sha256:{'a' * 64}", "last_day": "2026-01-31"},
        },
        settings=Settings(),
        root=root,
    )
    days = {"train": "2026-01-01", "valid": "2026-01-15", "test": "2026-01-22"}
    for split, day in days.items():
        write_parquet(context.data("features") / f"{split}.parquet", examples(rng, n_units, day))
    write_json(context.data("features") / "state.json", STATE)
    write_variants(context, weights)
    history = {"epochs": [{"epoch": n, "loss": 2 / n, "valid_loss": 2.2 / n, "seconds": 0.1} for n in (1, 2, 3, 4)]}
    write_json(context.data("train") / "history.json", history)
    summary = {"chosen": "linear", "parameters": 12, "valid": {"linear": {"hit": 0.71}, "majority": {"hit": 0.33}}}
    write_json(context.data("train") / "summary.json", summary)
    return context


def write_variants(context: StageContext, weights: np.ndarray, names: Any = ("float32", "float16", "int8")) -> None:
    """Export the weights in each form, as compress does."""
    out = context.data("compress")
    listed = []
    for name in names:
        variant = export_variant(out, name, weights)
        bits = {"float32": 32, "float16": 16, "int8": 8}[name]
        listed.append({"name": name, "bytes": weights.size * bits // 8, "files": ["weights.npz"]})
        assert json.dumps(variant.name)
    write_json(out / "variants.json", {"variants": listed})
    close = {name: {"difference": 1e-7, "agreement": 0.999} for name in names}
    write_json(out / "parity.json", {"variants": close})
