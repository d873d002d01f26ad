"""Demand forecasts: car parts sold a few times a year, and a grocer's weekly shelf."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ml.benchmark.comparison import Bar, Comparison, Figures
from ml.benchmark.demand_blend import blend
from ml.benchmark.demand_data import carparts, journey
from ml.benchmark.demand_peer import (
    PLAIN_CROSTON,
    PLAIN_SBA,
    Peer,
    Trial,
    auto_ets,
    climate,
    naive,
    negative_binomial,
    network,
    without_plans,
)
from ml.benchmark.demand_trees import light_gbm
from ml.benchmark.stockpyl import COMPARISONS as TEXTBOOK
from ml.use_cases.inventory.demand_score import wql
from ml.use_cases.inventory.forecast_params import FeatureParams, TrainParams, WindowParams

SEEDS = (1, 2, 3)
SIMPLE: dict[str, Peer] = {
    "seasonal naive": naive,
    "Croston": PLAIN_CROSTON,
    "SBA": PLAIN_SBA,
    "AutoETS": auto_ets,
    "climatological, last 12": climate(12),
    "climatological, all": climate(),
    "negative binomial": negative_binomial,
}
"""Baselines: they forecast each series by itself, or nearly."""
GLOBAL: dict[str, Peer] = {
    "LightGBM quantiles": light_gbm,
    "network": network,
    "combination": blend((network, light_gbm, negative_binomial, climate())),
}
UNINFORMED: dict[str, Peer] = {
    "network without promotions": lambda trial, origin, seed: network(without_plans(trial), origin, seed)
}


def load_carparts(path: Path) -> Trial:
    """Return the car parts, the last 12 of 51 months as test, the 12 before to tune on."""
    return Trial(
        table=carparts(path),
        window=WindowParams(history=24, horizon=12),
        features=FeatureParams(half_lives=(3, 12, 6), windows=(3, 6, 12, 24), ordered=12, lags=12, period_days=30.44),
        train=TrainParams(),
        cycle=12,
        season=12,
        first=6,
        stride=1,
        valid=27,
        test=39,
    )


def load_journey(path: Path) -> Trial:
    """Return the weekly shelf, the last 8 of 52 weeks as test, the 8 before to tune on."""
    return Trial(
        table=journey(path, settled=36),
        window=WindowParams(history=36, horizon=8, active_periods=18, min_sales=6),
        features=FeatureParams(),
        train=TrainParams(batch_size=512, epochs=4, learning_rate=0.003),
        cycle=1,
        season=1,
        first=18,
        stride=2,
        valid=36,
        test=44,
    )


def _measured(peer: Peer) -> Callable[[Trial, int], Figures]:
    """Return what is measured of a peer: WQL on the test."""
    return lambda trial, seed: {"wql": wql(peer(trial, trial.test, seed), trial.actual(trial.test))}


CARPARTS = Comparison(
    name="carparts",
    use_case="inventory",
    title="Demand for car parts, 12 months ahead",
    protocol=(
        "2,509 parts with all of 51 months known (R package expsmooth); the last 12 months are the test, as in the Monash "
        "archive and the evaluation of Chronos (arXiv:2403.07815), which publishes WQL 1.6000 for the seasonal naive, 1.0778 for "
        "Chronos-T5 (base) and 0.9945 for Chronos-Bolt (base), all zero-shot. WQL: 2 · Σ pinball / Σ demand, mean of the quantiles "
        "0.1 to 0.9; to forecast nothing scores 1. Tuned on the 12 months before the test, then refitted up to it."
    ),
    data="carparts/carparts_monthly.csv.gz",
    load=load_carparts,
    peers={name: _measured(peer) for name, peer in (SIMPLE | GLOBAL).items()},
    ours="network",
    seeds=SEEDS,
    fixed=frozenset(SIMPLE),
    baselines=frozenset(SIMPLE),
    bars=(Bar(figure="wql", limit=0.99, side="at most"),),
)
JOURNEY = Comparison(
    name="weekly-demand",
    use_case="inventory",
    title="Weekly demand at a grocer, 8 weeks ahead",
    protocol=(
        "Complete Journey without fuel and miscellaneous goods; series are products in the larger and the smaller stores (each "
        "half of the pieces of the first 36 weeks). A series is forecast at an origin if it sold in 6 of the 18 weeks before, the "
        "same in training and test. The last 8 of 52 weeks are the test, the 8 before are for tuning, then all is refitted. "
        "Promotions (displays, mailer) are plans: LightGBM and the network know those of the weeks ahead; the peers "
        "without promotions and the baselines do not. Baselines are the first seven."
    ),
    data="complete_journey/transactions.parquet",
    load=load_journey,
    peers={name: _measured(peer) for name, peer in (SIMPLE | UNINFORMED | GLOBAL).items()},
    ours="network",
    seeds=SEEDS,
    fixed=frozenset(SIMPLE),
    baselines=frozenset(SIMPLE),
    bars=(Bar(figure="wql", limit=0.95, side="at most", is_relative=True),),
)
COMPARISONS = (CARPARTS, JOURNEY, *TEXTBOOK)
