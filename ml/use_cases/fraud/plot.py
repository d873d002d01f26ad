"""The charts of the model card: whether probabilities mean what they say, and what reviewing so many payments would cost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ml.contract import JsonObject, Plot
from ml.explanation.chart import COLOURS
from ml.use_cases.fraud import figures, policy, verdict

if TYPE_CHECKING:
    import pandas as pd

Scores = NDArray[np.float32]
EDGES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 0.6, 0.9)  # of the parts of the reliability plot, in probability
Z = 1.959964  # of a 95 % interval
LEAST_SHARE = 1e-4  # of a logarithmic axis
STEPS = 4  # as many reviews a day as the capacity, at most, on the cost curve
POINTS = 33


def reliability(scores: Scores, examples: pd.DataFrame, state: JsonObject) -> Plot:  # noqa: ARG001 - called as the contract says
    """Return the share of fraud against the probability that was told; on logarithmic axes, since fraud is rare."""
    import altair as alt

    label = examples["is_fraud"].to_numpy(dtype=np.int64)
    rows = list(_parts(scores[:, verdict.PROBABILITY].astype(np.float64), label))
    axis = alt.Axis(format="~%", values=[0.0001, 0.001, 0.01, 0.1, 1.0])
    x = alt.X("told:Q", title="told probability of fraud", scale=_log(), axis=axis)
    y = alt.Y("low:Q", title="share that was fraud", scale=_log(), axis=axis)
    base = alt.Chart(alt.Data(values=rows)).encode(x=x)
    bars = base.mark_rule(color=COLOURS["ships"], strokeWidth=3, opacity=0.55).encode(y=y, y2="high:Q")
    points = base.mark_point(filled=True, size=60, opacity=1, color=COLOURS["ships"]).encode(y="seen:Q")
    ideal = [{"told": at, "low": at} for at in (LEAST_SHARE, 1.0)]
    line = alt.Chart(alt.Data(values=ideal)).mark_line(color=COLOURS["baseline"], strokeDash=[4, 4]).encode(x=x, y=y)
    said = "; ".join(f"{row['told']:.2%} told, {row['seen']:.2%} seen of {row['payments']}" for row in rows)
    return Plot(
        title="Do probabilities mean what they say?",
        text="Payments in parts by told probability, with 95 % intervals. On the dashed line it is what happened; below it "
        "the model warns too much, above it too little. A point at the lower edge is a part without any fraud.",
        label=f"Reliability: {said}",
        spec=(line + bars + points).to_dict(),
    )


def _parts(p: NDArray[np.float64], label: NDArray[np.int64]) -> Iterator[JsonObject]:
    """Yield mean probability and share of fraud of each part, with Wilson's interval (1927, doi:10.2307/2276774)."""
    part = np.searchsorted(EDGES, p, side="right")
    for number in np.unique(part):
        n, k = int((part == number).sum()), int(label[part == number].sum())
        middle, half = (k + Z**2 / 2) / (n + Z**2), Z * np.sqrt(k * (n - k) / n + Z**2 / 4) / (n + Z**2)
        seen = {"seen": k / n, "low": middle - half, "high": middle + half}
        told = {"told": float(p[part == number].mean()), **seen}
        yield {**{name: max(float(value), LEAST_SHARE) for name, value in told.items()}, "payments": n}


def cost(scores: Scores, examples: pd.DataFrame, state: JsonObject) -> Plot:
    """Return what fraud and reviews cost a day at each capacity, ranked by score and, to compare, by amount."""
    import altair as alt

    costs = policy.costs_of(state)
    ranked = {"by this model": scores[:, verdict.SCORE], "by amount": examples["amount"].to_numpy()}
    curves = {name: _curve(by, examples, costs) for name, by in ranked.items()}
    rows = [{"rank": name, **row} for name, curve in curves.items() for row in curve]
    colours = alt.Scale(domain=list(ranked), range=[COLOURS["ships"], COLOURS["baseline"]])
    lines = (
        alt.Chart(alt.Data(values=rows))
        .mark_line(strokeWidth=2)
        .encode(
            x=alt.X("capacity:Q", title="payments reviewed a day"),
            y=alt.Y("cost:Q", title="cost a day [currency]"),
            color=alt.Color("rank:N", scale=colours, legend=alt.Legend(orient="top", title=None)),
        )
    )
    capacity = alt.Chart(alt.Data(values=[{"capacity": costs.reviews_per_day}]))
    rule = capacity.mark_rule(color=COLOURS["production"], strokeDash=[4, 4]).encode(x="capacity:Q")
    ours = curves["by this model"]
    best = min(ours, key=lambda row: row["cost"])
    return Plot(
        title="What reviewing costs, and what it saves",
        text=f"If the riskiest payments of a day are reviewed for {costs.review_cost:g} each and every other fraud costs its "
        f"amount. The dashed line is the capacity, {costs.reviews_per_day} a day; left of a curve's lowest point more "
        "reviews would pay, right of it they cost more than they save.",
        label=f"Cost curve: {ours[0]['cost']:.0f} a day without reviews, least at {best['capacity']} reviews a day with "
        f"{best['cost']:.0f}",
        spec=(lines + rule).to_dict(),
    )


def _curve(by: NDArray[Any], examples: pd.DataFrame, costs: policy.Costs) -> list[JsonObject]:
    """Return the cost of a day at each capacity, where the payments are ranked by some numbers."""
    capacities = np.unique(np.linspace(0, STEPS * costs.reviews_per_day, POINTS).astype(np.int64))
    scored = examples[["day", "amount", "is_fraud"]].assign(score=by)
    found = figures.cost_curve(scored, capacities, costs.review_cost) / max(examples["day"].nunique(), 1)
    pairs = zip(capacities.tolist(), found.tolist(), strict=True)
    return [{"capacity": capacity, "cost": round(cost, 4)} for capacity, cost in pairs]


def _log() -> Any:
    import altair as alt

    return alt.Scale(type="log", domain=[LEAST_SHARE, 1.0])
