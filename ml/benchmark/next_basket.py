"""Next baskets of two shops: what ships, against well tuned simple recommenders."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from ml.benchmark.basket_data import Baskets, Scores, load_journey, load_online_retail
from ml.benchmark.basket_peer import BASELINES, tuned
from ml.benchmark.comparison import Bar, Comparison, Figures
from ml.use_cases import load
from ml.use_cases.recommend.params import RecommendParams

METRICS = ("recall@10", "ndcg@10")
OURS = "ours"
SEEDS = (1, 2, 3)
DRAWN = frozenset({"ALS"})  # baselines that draw numbers
RESAMPLES = 2000
ROWS = 256  # examples scored at a time


@cache
def judged(data: Baskets, peer: str, seed: int) -> pd.DataFrame:
    """Return the metrics of each test row."""
    scores = ours(data, seed) if peer == OURS else tuned(BASELINES[peer], data, seed)[1]
    return data.judge("test", scores)


def ours(data: Baskets, seed: int) -> Scores:
    """Train and export as the pipeline does, and score the test rows by the exported model."""
    use_case, features = load("recommend"), data.features
    settings = RecommendParams().train.model_copy(update={"seed": seed})
    with tempfile.TemporaryDirectory() as name:
        folder, test = Path(name), features.splits["test"]
        splits = {name: features.splits[name] for name in ("train", "valid")}
        use_case.model.train(splits, features.state, settings, folder / "train")
        variant = use_case.model.export(folder / "train", folder / "export", splits, features.state)[0]
        predict = use_case.model.open(variant.path)
        chunks = [test.iloc[start : start + ROWS] for start in range(0, len(test), ROWS)]
        return np.concatenate([predict(use_case.data.encode(chunk, features.state)) for chunk in chunks])


def ratio_interval(values: pd.Series, other: pd.Series) -> tuple[float, float]:
    """Return the 95 % interval of mean(values) / mean(other), resampling rows; pairs stay together."""
    rng = np.random.default_rng(len(values))
    drawn = rng.integers(0, len(values), (RESAMPLES, len(values)))
    ratios = values.to_numpy()[drawn].mean(axis=1) / other.to_numpy()[drawn].mean(axis=1)
    low, high = np.quantile(ratios, [0.025, 0.975])
    return float(low), float(high)


def _measured(peer: str) -> Callable[[Baskets, int], Figures]:
    """Return what is measured of a peer: the metrics, and the paired interval of its ratio to the best baseline's."""

    def measure(data: Baskets, seed: int) -> Figures:
        found = judged(data, peer, seed)
        figures: Figures = {}
        for metric in METRICS:
            rivals = [judged(data, name, seed if name in DRAWN else SEEDS[0])[metric] for name in BASELINES]
            best = max(rivals, key=lambda values: float(values.mean()))
            low, high = ratio_interval(found[metric], best)
            figures |= {metric: float(found[metric].mean()), f"{metric}: ratio from": low, f"{metric}: to": high}
        return figures

    return measure


def _comparison(name: str, title: str, data: str, read: Callable[[Path], Baskets]) -> Comparison:
    return Comparison(
        name=name,
        use_case="recommend",
        title=title,
        protocol=(
            "Test: each customer's first basket in the newest 28 days; validation: the same in the 28 days before. All rank the "
            "products of the same vocabulary and know a customer's history up to the basket; every product of the basket counts. "
            "Peers choose their settings by Recall@10 on up to 1,200 validation rows, then are fitted again on all baskets before "
            "the test; ours trains as the pipeline does. Ratio: paired 95 % bootstrap interval, over customers, to the best "
            "baseline's figure."
        ),
        data=data,
        load=read,
        peers={peer: _measured(peer) for peer in (*BASELINES, OURS)},
        ours=OURS,
        seeds=SEEDS,
        fixed=frozenset(BASELINES) - DRAWN,
        baselines=frozenset(BASELINES),
        bars=tuple(Bar(figure=metric, limit=1.05, side="at least", is_relative=True) for metric in METRICS),
    )


COMPARISONS = (
    _comparison(
        "next-basket-online-retail",
        "Next basket: Online Retail",
        "online_retail/online_retail.parquet",
        load_online_retail,
    ),
    _comparison(
        "next-basket-complete-journey",
        "Next basket: Complete Journey",
        "complete_journey/transactions.parquet",
        load_journey,
    ),
)
