"""Trains the network, weighs it against the simple recommenders on `valid`, and hands over whichever won.

Every contender is a setting of the same network: what wins is what is exported.
"""

from __future__ import annotations

import logging
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from ml.contract import Frames, JsonObject
from ml.training import weights
from ml.training.determinism import make_deterministic
from ml.use_cases.recommend.batches import Steps
from ml.use_cases.recommend.contender import HYBRID, Contest, become, compare, means, score
from ml.use_cases.recommend.encode import DECAYS, FEATURES, pack
from ml.use_cases.recommend.neighbours import factors, similar
from ml.use_cases.recommend.params import RecommendTrain
from ml.use_cases.recommend.vocabulary import vocabulary_of

if TYPE_CHECKING:
    from pydantic import BaseModel

    from ml.use_cases.recommend.network import Tables

PRIMARY = "recall@10"
LEAST = 1e-7  # of probability: the floor of log popularity

log = logging.getLogger(__name__)


def train(splits: Frames, state: JsonObject, params: BaseModel, out: Path) -> JsonObject:
    """Train, choose on `valid`, write weights, config and history; return the summary."""
    wanted = cast(RecommendTrain, params)
    conditions = make_deterministic(wanted.seed, wanted.threads)
    from ml.use_cases.recommend import network  # TensorFlow reads its settings when it is imported

    tables = make_tables(splits, state, wanted.embedding)
    shape = network.Shape(
        n_products=len(state["products"]),
        n_categories=vocabulary_of(state).n_groups,
        embedding=tables.factors.shape[1],
        hidden=wanted.hidden,
        dropout=wanted.dropout,
        neighbours=tables.near.shape[1],
    )
    model = network.build(shape)
    network.set_tables(model, tables)
    epochs = _fit(model, splits, state, wanted)
    contest = compare(model, tables, splits["valid"], state)
    chosen = contest.winner(PRIMARY)
    if chosen != HYBRID:
        become(model, chosen, tables, contest.decays.get(chosen))
    settings = {"network": asdict(shape), "features": list(FEATURES), "chosen": chosen, "conditions": conditions}
    weights.save(model, settings, epochs, out)
    log.info("model chosen name=%s %s=%.4f", chosen, PRIMARY, contest.figures[chosen][PRIMARY])
    return _summary(model, contest, chosen, splits)


def make_tables(splits: Frames, state: JsonObject, embedding: int) -> Tables:
    """Count what the network knows of products before learning."""
    from ml.use_cases.recommend.network import Tables

    near, likeness = similar(splits["train"], state)
    return Tables(
        popularity=log_popularity(state),
        categories=vocabulary_of(state).groups.astype(np.int32),
        near=near,
        likeness=likeness,
        factors=factors(splits["train"], state, embedding),
    )


def log_popularity(state: JsonObject) -> NDArray[np.float32]:
    """Return the logarithm of each product's share of purchases in training `(n_products,)`."""
    counts = np.array(state["popularity"], dtype=np.float64)
    shares: NDArray[np.float64] = np.log(np.maximum(counts / counts.sum(), LEAST))
    return shares.astype(np.float32)


def _fit(model: Any, splits: Frames, state: JsonObject, params: RecommendTrain) -> list[JsonObject]:
    from ml.training.loop import Watch, falling_adam, fit
    from ml.use_cases.recommend.objective import basket_loss

    steps, valid = Steps(splits["train"], state, params), pack(splits["valid"], state)
    model.compile(falling_adam(params.learning_rate, params.epochs * steps.count, last=0.1))
    watch = Watch(
        measure=lambda: means(score(model, valid), splits["valid"], state), figure=PRIMARY, patience=params.patience
    )
    fit(model, steps, basket_loss, watch, params.epochs)
    return watch.epochs


def _summary(model: Any, contest: Contest, chosen: str, splits: Frames) -> JsonObject:
    return {
        "chosen": chosen,
        "valid": {name: dict(figures) for name, figures in contest.figures.items()},
        "parameters": int(model.count_params()),
        "decays": {name: DECAYS[at] for name, at in contest.decays.items()},
        "rows": {name: len(frame) for name, frame in splits.items()},
    }
