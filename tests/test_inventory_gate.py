"""Forecasts are judged by what they cost: a smaller forecast error does not open the gate to dearer orders."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ml.evaluation.contender import Rows, measure
from ml.evaluation.evidence import Footprint, Parity, Yardstick
from ml.evaluation.exported import Exported
from ml.evaluation.figures import work_out
from ml.evaluation.gate import judge
from ml.evaluation.gather import PRODUCTION, gather
from ml.parameter import GateParams
from ml.use_cases import load
from ml.use_cases.inventory.demand_score import QUANTILES

INVENTORY = load("inventory")
SERIES, WEEKS, HORIZON, MEAN = 150, 8, 2, 4.0
STATE = {"horizon": HORIZON, "season": 1}
PARAMS = GateParams(resamples=400)


def rows(demand, **changes):
    """Test examples of series that sell `demand` (n_series, n_weeks), one row a series and week, in order of week."""
    n_series, n_weeks = demand.shape
    padded = np.pad(demand, ((0, 0), (0, HORIZON - 1)), constant_values=np.nan)
    frame = pd.DataFrame(
        {
            "unit": [f"s{n:03d}" for n in range(n_series)] * n_weeks,
            "time": np.repeat(pd.date_range("2026-01-05", periods=n_weeks, freq="7D"), n_series),
            "targets": [padded[n, week : week + HORIZON] for week in range(n_weeks) for n in range(n_series)],
            "history": [np.full(8, MEAN)] * (n_series * n_weeks),
        }
    )
    terms = {"lead_time": 1.0, "pack_size": 1.0, "service_level": 0.95, "holding": 1.0, "order_cost": 0.0}
    slices = {"demand_class": "smooth", "department": "tea", "store_group": "all"}
    return frame.assign(review_weeks=1.0, unit_cost=10.0, **slices, **(terms | changes))


@pytest.fixture(scope="module")
def examples():
    return rows(np.random.default_rng(3).poisson(MEAN, (SERIES, WEEKS)).astype(float))


def forecast(examples, quantiles):
    return np.tile(np.tile(quantiles, HORIZON), (len(examples), 1))


def verdict(examples, judgement, better, worse):
    """Judge `better`, a candidate, against `worse`, which is in production; the last week again is the naive baseline."""
    seen = Rows(use_case=replace(INVENTORY, judgement=judgement), examples=examples, state=STATE)
    naive = measure("seasonal_naive", "baseline", forecast(examples, np.full(9, MEAN / 2)), seen)
    candidate, live = measure("new", "variant", better, seen), measure("production", "production", worse, seen)
    figures = work_out(judgement, [candidate, live, naive], examples, PARAMS)
    exported = Exported(
        name="new",
        folder=Path(),
        size_bytes=1,
        parity=Parity(difference=0.0, agreement=1.0),
        footprint=Footprint(latency_ms=1.0, memory_bytes=1),
    )
    evidence = gather(figures, [exported], {PRODUCTION: Yardstick(digest="sha256:live")}, set(), PARAMS)
    return judge(evidence, PARAMS).verdict, {
        name: figures.of(who) for name, who in (("new", candidate), ("live", live))
    }


def test_a_better_forecast_error_with_dearer_orders_is_refused(examples):
    """The one forecasts low demand badly, which no order rests on; the other misses the high demand that stock is for."""
    true = stats.poisson.ppf(QUANTILES, MEAN)
    safe = forecast(examples, np.concatenate([np.zeros(4), true[4:]]))
    sharp = forecast(examples, np.minimum(true, true[5]))
    refused, figures = verdict(examples, INVENTORY.judgement, sharp, safe)
    assert figures["new"]["wql"].high < figures["live"]["wql"].low
    assert figures["new"]["stock_cost"].low > figures["live"]["stock_cost"].high
    assert not refused.accepted
    assert {rule.name for rule in refused.blocking()} == {"non_inferiority"}
    accepted, _ = verdict(examples, replace(INVENTORY.judgement, primary="wql"), sharp, safe)
    assert accepted.accepted  # it is the cost that refuses


def test_a_week_costs_what_hand_arithmetic_says():
    """Demand 3 a week, forecast for certain, lead time 1: start 4·2 = 8, orders up to 2 weeks' demand of 6 from then on.

    Week 0: 8 on hand cover 6, nothing ordered, 5 left. Week 1: 5 < 6, 1 ordered, 3 sold, 2 left. Week 2: 1 arrives and
    there are 3, none on order: 3 ordered, 3 sold, 0 left. Week 3: 3 arrive, 3 ordered, 3 sold, 0 left.
    """
    sold = rows(np.full((1, 4), 3.0), order_cost=0.5)
    found = INVENTORY.judgement.measure(forecast(sold, np.full(9, 3.0)), sold, STATE)
    np.testing.assert_allclose(found["stock_cost"], [np.nan, 2 + 0.5, 0 + 0.5, 0 + 0.5])
    np.testing.assert_allclose(found[["asked", "filled"]].sum(), [9.0, 9.0])
    assert found["pinball"].sum() == 0


def test_a_piece_short_costs_what_its_service_level_is_worth():
    """Nothing is ever ordered: 8 pieces serve weeks 0 and 1, and 1 of 3 in week 2; h · 0.95 / 0.05 = 19 each."""
    sold = rows(np.full((1, 4), 3.5), order_cost=0.5)
    found = INVENTORY.judgement.measure(forecast(sold, np.zeros(9)), sold, STATE)
    np.testing.assert_allclose(found["stock_cost"], [np.nan, 1.0, 2.5 * 19, 3.5 * 19])


def test_the_order_of_rows_does_not_matter(examples):
    scores = forecast(examples, stats.poisson.ppf(QUANTILES, MEAN))
    mixed = examples.sample(frac=1, random_state=1)
    straight = INVENTORY.judgement.measure(scores, examples, STATE)
    pd.testing.assert_frame_equal(INVENTORY.judgement.measure(scores, mixed, STATE), straight.loc[mixed.index])
