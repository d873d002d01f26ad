"""Trains trees and network, and hands over whichever ranks better on `valid`, or their blend."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml.contract import Frames, JsonObject, Predictor, Variant
from ml.evaluation.statistic import average_precision, once
from ml.files import read_json, write_bytes, write_json
from ml.training import weights
from ml.training.determinism import make_deterministic
from ml.use_cases.fraud import blend, boost, normalise, verdict
from ml.use_cases.fraud.evidence import FEATURES
from ml.use_cases.fraud.params import FraudTrain
from ml.use_cases.fraud.predictor import DECISION, TREES, FraudPredictor

if TYPE_CHECKING:
    from pydantic import BaseModel

TRIED_TREES = 50  # numbers of trees that are tried lie so far apart

Numbers = NDArray[np.float64]

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Learned:
    """One split as arrays."""

    features: Numbers
    """`(n_rows, n_features)`, not-a-number where there is no value."""
    is_fraud: NDArray[np.int64]
    weights: Numbers


def train(splits: Frames, state: JsonObject, params: BaseModel, out: Path) -> JsonObject:
    """Train both, choose on `valid`, write trees, weights, config, decision and history; return the summary."""
    wanted = cast(FraudTrain, params)
    conditions = make_deterministic(wanted.seed, wanted.threads)
    rows, valid = learned(splits["train"]), learned(splits["valid"])
    trees, n_trees = fit_trees(rows, valid, wanted)
    scale = normalise.fit(rows.features)
    model, epochs = _fit_network(rows, valid, scale, wanted)
    scores = {"trees": boost.score(trees, valid.features, n_trees), "network": _of_network(model, valid, scale)}
    share = blend.choose_share([(scores["trees"], scores["network"], valid.is_fraud)])
    scores["blend"] = blend.blend(scores["trees"], scores["network"], share)
    finish = verdict.fit(scores["blend"], splits["valid"], state)
    weights.save(model, {"hidden": wanted.hidden, "dropout": wanted.dropout, "conditions": conditions}, epochs, out)
    write_bytes(out / TREES, boost.to_text(trees, n_trees).encode())
    write_json(out / DECISION, {"share": share, "scale": scale, **finish.plain()})
    return _summary(splits, scores, share, n_trees, finish)


def export(trained: Path, out: Path, splits: Frames, state: JsonObject) -> tuple[Variant, ...]:  # noqa: ARG001 - called as the contract says
    """Return the variants float32, float16 and int8 of the network, each with the trees; where only trees ship, one."""
    decision = read_json(trained / DECISION)
    variants = _networks(trained, out) if decision["share"] < 1 else (Variant(name="trees", path=out / "trees"),)
    for variant in variants:
        write_json(variant.path / DECISION, decision)
        if decision["share"] > 0:
            write_bytes(variant.path / TREES, (trained / TREES).read_bytes())
    return variants


def reference(trained: Path) -> Predictor:
    """Return what was trained, the network as Keras runs it."""
    decision = read_json(trained / DECISION)
    trees = boost.from_text((trained / TREES).read_text()) if decision["share"] > 0 else None
    network = weights.as_predictor(_rebuilt(trained)) if decision["share"] < 1 else None
    return FraudPredictor(trees, network, decision)


def learned(examples: pd.DataFrame) -> Learned:
    """Return a split as arrays."""
    return Learned(
        features=examples[list(FEATURES)].to_numpy(dtype=np.float64),
        is_fraud=examples["is_fraud"].to_numpy(dtype=np.int64),
        weights=examples["weight"].to_numpy(dtype=np.float64),
    )


def fit_trees(rows: Learned, valid: Learned, params: FraudTrain) -> tuple[Any, int]:
    """Return the trees, and how many of them rank best on `valid`."""
    own = {"learning_rate": params.tree_rate, "num_leaves": params.leaves, "max_bin": params.bins}
    model = boost.train(
        rows.features,
        rows.is_fraud,
        rows.weights,
        seed=params.seed,
        settings={**boost.SETTINGS, **own},
        trees=params.trees,
        threads=1,  # two would spin while other tasks of the machine work
    )
    tried = range(TRIED_TREES, params.trees + 1, TRIED_TREES)
    found = {n: precision(boost.score(model, valid.features, n), valid.is_fraud) for n in tried}
    return model, max(found, key=lambda n: found[n])


def precision(scores: Numbers, is_fraud: NDArray[np.int64]) -> float:
    """Return the average precision."""
    return once(average_precision("score", "label"), score=scores, label=is_fraud)


def _fit_network(
    rows: Learned, valid: Learned, scale: JsonObject, params: FraudTrain
) -> tuple[Any, list[dict[str, Any]]]:
    from ml.use_cases.fraud import network  # TensorFlow reads its settings when it is imported

    shape = network.Shape(n_inputs=2 * rows.features.shape[1], hidden=params.hidden, dropout=params.dropout)
    model = network.build(shape)
    course = network.Course(
        seed=params.seed,
        epochs=params.epochs,
        patience=params.patience,
        batch_size=params.batch_size,
        learning_rate=params.learning_rate,
    )
    return model, network.train(model, _network_rows(rows, scale), _network_rows(valid, scale), course)


def _network_rows(rows: Learned, scale: JsonObject) -> Any:
    from ml.use_cases.fraud import network

    inputs = normalise.apply(rows.features, scale)
    return network.Rows(inputs=inputs, is_fraud=rows.is_fraud, weights=rows.weights)


def _of_network(model: Any, rows: Learned, scale: JsonObject) -> Numbers:
    from ml.use_cases.fraud import network

    return network.score(model, normalise.apply(rows.features, scale))


def _networks(trained: Path, out: Path) -> tuple[Variant, ...]:
    from ml.use_cases.fraud import network

    return network.export(_rebuilt(trained), out)


def _rebuilt(trained: Path) -> Any:
    config = weights.config(trained)
    make_deterministic(config["conditions"]["seed"], config["conditions"]["threads"])
    from ml.use_cases.fraud import network

    shape = network.Shape(n_inputs=2 * len(FEATURES), hidden=config["hidden"], dropout=config["dropout"])
    model = network.build(shape)
    weights.load(model, trained)
    return model


def _summary(
    splits: Frames, scores: dict[str, Numbers], share: float, n_trees: int, finish: verdict.Finish
) -> JsonObject:
    is_fraud = splits["valid"]["is_fraud"].to_numpy(dtype=np.int64)
    figures = {name: {"average_precision": precision(one, is_fraud)} for name, one in scores.items()}
    chosen = {0.0: "network", 1.0: "trees"}.get(share, "blend")
    log.info("model chosen name=%s share=%.1f trees=%d", chosen, share, n_trees)
    return {
        "chosen": chosen,
        "valid": figures,
        "share_of_trees": share,
        "trees": n_trees,
        "review_price": finish.review_price,
        "rows": {name: len(frame) for name, frame in splits.items()},
        "frauds": {name: int(frame["is_fraud"].sum()) for name, frame in splits.items()},
    }
