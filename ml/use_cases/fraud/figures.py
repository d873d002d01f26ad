"""Figures that judge fraud scores as reviewers use them: cards caught a day, calibration, cost under capacity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

CARDS_A_DAY = 100
BINS = 10


@dataclass(frozen=True, kw_only=True)
class Reliability:
    """Bins of equal row counts, by rising probability."""

    expected: NDArray[np.float64]
    """`(n_bins,)` mean probability."""
    observed: NDArray[np.float64]
    """`(n_bins,)` share of fraud."""
    rows: NDArray[np.int64]
    """`(n_bins,)`"""

    @property
    def error(self) -> float:
        """Expected calibration error: Σ rows/n · |observed − expected| (Naeini et al. 2015, AAAI 29)."""
        return float(np.average(np.abs(self.observed - self.expected), weights=self.rows))


def card_precision(scored: pd.DataFrame, k: int = CARDS_A_DAY) -> float:
    """Return the share of fraudulent cards among the k riskiest of a day, averaged over days; see `checked_cards`."""
    if scored.empty:
        return float("nan")
    checked = checked_cards(scored, k)
    return float(checked["caught"].sum() / checked["places"].sum())


def checked_cards(scored: pd.DataFrame, k: int = CARDS_A_DAY) -> pd.DataFrame:
    """Return columns `caught` and `places`, index as the payments: Σ caught / Σ places is the card precision.

    Card Precision top-k (Fraud Detection Handbook, Le Borgne et al. 2022, ch. 4, "Precision top-k metrics"): a card is as
    risky as its riskiest payment of the day; a card found fraudulent is not looked at again on later days. Division is
    by k, also on a day with fewer cards: its places are shared among them. Equal scores fall to the card that paid
    first. Both columns stand at a card's first payment of the day.

    Args:
        scored: One row a payment: `day`, `customer_id`, `score`, `is_fraud`; cards known to be compromised left out.
        k: Cards a reviewer checks a day.
    """
    import pandas as pd

    found: set[object] = set()
    told = pd.DataFrame({"caught": 0.0, "places": 0.0}, index=scored.index)
    for _, day in scored.groupby("day", sort=True):
        cards = _cards(day[~day["customer_id"].isin(found)]).nlargest(k, "score", keep="first")
        if cards.empty:
            told.loc[day.index[0], "places"] = k
            continue
        found |= set(cards.index[cards["is_fraud"] == 1])
        told.loc[cards["row"], "caught"] = cards["is_fraud"].to_numpy(dtype=float)
        told.loc[cards["row"], "places"] = k / len(cards)
    return told


def _cards(day: pd.DataFrame) -> pd.DataFrame:
    """Return a day's cards in order of their first payment: `score`, `is_fraud`, `row` of that payment."""
    by_card = day.assign(row=day.index).groupby("customer_id", sort=False)
    return by_card.agg({"score": "max", "is_fraud": "max", "row": "first"})


def reliability(probabilities: NDArray[np.float64], is_fraud: NDArray[np.int64], n_bins: int = BINS) -> Reliability:
    """Return expected and observed shares in bins of (nearly) equal row counts, at most one bin a row."""
    order = np.argsort(probabilities, kind="stable")
    bins = [chunk for chunk in np.array_split(order, n_bins) if len(chunk)]
    return Reliability(
        expected=np.array([probabilities[chunk].mean() for chunk in bins]),
        observed=np.array([is_fraud[chunk].mean() for chunk in bins]),
        rows=np.array([len(chunk) for chunk in bins], dtype=np.int64),
    )


def cost_curve(scored: pd.DataFrame, capacities: NDArray[np.int64], review_cost: float) -> NDArray[np.float64]:
    """Return what fraud and review cost together at each capacity, over all days [currency of the amounts].

    The riskiest payments of each day are reviewed and a reviewed fraud costs no more than its review; every other
    fraud costs its amount. Equal scores fall to the earlier row.

    Args:
        scored: One row a payment: `day`, `amount`, `score`, `is_fraud`.
        capacities: Payments that can be reviewed a day.
        review_cost: Of one payment.
    """
    ranked = scored.sort_values(["day", "score"], ascending=[True, False], kind="stable")
    place = ranked.groupby("day", sort=False).cumcount().to_numpy()
    lost = np.where(ranked["is_fraud"] == 1, ranked["amount"], 0.0)
    reviewed = place[None, :] < np.asarray(capacities)[:, None]
    costs: NDArray[np.float64] = (~reviewed) @ lost + reviewed.sum(axis=1) * review_cost
    return costs


def inspection_recall(scores: NDArray[np.float64], is_fraud: NDArray[np.int64], effort: float) -> tuple[float, float]:
    """Return recall and precision where the highest-scored share `effort` (0 to 1) of the rows is inspected."""
    n_inspected = round(effort * len(scores))
    caught = is_fraud[np.argsort(-scores, kind="stable")[:n_inspected]].sum()
    return float(caught / max(is_fraud.sum(), 1)), float(caught / max(n_inspected, 1))
