"""Fraud scores against what a shop would use instead: card payments with late charge-backs, and inspected sales reports."""

from __future__ import annotations

from ml.benchmark import fraud_cards, fraud_sales
from ml.benchmark.comparison import Bar, Comparison

CARDS = Comparison(
    name="fraud_cards",
    use_case="fraud",
    title="Fraud: card payments, charge-backs a week late",
    protocol=(
        "Test week 2018-08-08 to 08-14 without cards known to be compromised, charge-backs known 7 days after the payment "
        "(Fraud Detection Handbook, Le Borgne et al. 2022, on a simulation of its kind). Learned from payments before "
        "2018-08-01 whose windows are full, all frauds and a weighted 15 % of the rest; choices, blend and calibration on "
        "the weeks from 07-18 and 07-25, each with its own gap of 7 days. `handbook_forest` learns from 07-25 to 07-31, as "
        "the Handbook."
    ),
    data="cardsim_sibling/transactions.parquet",
    load=fraud_cards.load,
    peers={
        "ours": fraud_cards.ours,
        "lightgbm": fraud_cards.lightgbm,
        "forest": fraud_cards.forest,
        "handbook_forest": fraud_cards.handbook_forest,
        "logistic": fraud_cards.logistic,
    },
    ours="ours",
    bars=(
        Bar(figure="ap", limit=0.76, side="at least"),
        Bar(figure="card_precision@100", limit=0.29, side="at least"),
    ),
)

SALES = Comparison(
    name="fraud_sales",
    use_case="fraud",
    title="Fraud: sales reports, few of them inspected",
    protocol=(
        "Three stratified 70/30 hold-outs, one a seed; the tenth with the highest scores is inspected, a report nobody "
        'inspected counts as no fraud (Torgo 2016, "Data Mining with R", ch. 6). Prices are learned from the training part '
        "without its verdicts; choices on a hold-out within it."
    ),
    data="dmwr_sales_fraud/sales.parquet",
    load=fraud_sales.load,
    peers={
        "ours": fraud_sales.ours,
        "raw_lightgbm": fraud_sales.raw_lightgbm,
        "logistic": fraud_sales.logistic,
        "box_plot": fraud_sales.box_plot,
        "local_outliers": fraud_sales.local_outliers,
    },
    ours="ours",
    bars=(Bar(figure="recall@10%", limit=0.70, side="at least"),),
)

COMPARISONS = (CARDS, SALES)
