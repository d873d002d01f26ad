"""What the tests of fraud detection share: a small shop, its examples, and a model that was trained on them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ml.contract import Features
from ml.files import read_json, write_json, write_parquet
from ml.use_cases.fraud.examples import build
from ml.use_cases.fraud.params import FraudFeatures, FraudTrain
from ml.use_cases.fraud.predictor import DECISION
from ml.use_cases.fraud.record import USE_CASE
from ml.use_cases.fraud.sample import sample
from tests.recommend_shop import expressions

PARAMS = FraudFeatures(delay_days=7, test_days=21, valid_days=21, genuine_share=1.0)
TRAIN = FraudTrain(epochs=2, trees=50)


@dataclass(frozen=True)
class Shop:
    """Raw tables and what was built of them."""

    tables: dict[str, pd.DataFrame]
    built: Features

    @property
    def state(self) -> dict[str, Any]:
        return self.built.state

    @property
    def test(self) -> pd.DataFrame:
        return self.built.splits["test"]


def small_shop(n_customers: int = 60, seed: int = 5, params: FraudFeatures = PARAMS) -> Shop:
    """Return a made-up shop whose examples are built."""
    tables = sample(np.random.default_rng(seed), n_customers)
    return Shop(tables, build(expressions(tables), params))


def export(shop: Shop, folder: Path, share: float = 0.5) -> Path:
    """Train, and write features, model and variants as the stages do; return the folder of the variants.

    The made-up fraud is so plain that trees alone would ship: the share decides that both do.
    """
    for name, frame in shop.built.splits.items():
        write_parquet(folder / "features" / f"{name}.parquet", frame)
    write_parquet(folder / "features" / "profile.parquet", shop.built.profile["reference"])
    write_parquet(folder / "features" / "histories.parquet", shop.built.histories)
    write_json(folder / "features" / "state.json", shop.state)
    USE_CASE.model.train(shop.built.splits, shop.state, TRAIN, folder / "train")
    give_share(folder / "train", share)
    USE_CASE.model.export(folder / "train", folder / "compress", shop.built.splits, shop.state)
    return folder / "compress"


def give_share(folder: Path, share: float) -> None:
    """Change the share that the trees of a trained or exported model have."""
    write_json(folder / DECISION, {**read_json(folder / DECISION), "share": share})
