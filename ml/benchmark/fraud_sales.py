"""Sales reports, few of them inspected: who is worth an inspection (Torgo 2016, "Data Mining with R", ch. 6)."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml.benchmark.comparison import Figures
from ml.errors import SourceInvalid
from ml.evaluation.statistic import average_precision, once
from ml.use_cases.fraud import boost, figures, normalise, price

EFFORT = 0.1
TEST_SHARE = 0.3
LEFT_OUT = ("p2442", "p2443")  # the book's: no report of them has a price
UNINSPECTED = (1.0, 0.3, 0.1)  # weights tried for reports nobody inspected
TREES = 200
SETTINGS: boost.Settings = {**boost.SETTINGS, "learning_rate": 0.05, "min_data_in_leaf": 50, "max_bin": 255}
NEIGHBOURS = 7  # the book's, of the local outlier factor
NAMES = {"ID": "seller_id", "Prod": "product_id", "Quant": "quantity", "Val": "value", "Insp": "verdict"}


@dataclass(frozen=True, kw_only=True)
class Split:
    """One hold-out: reports with their `verdict`, and what is usual in the training part."""

    train: pd.DataFrame
    test: pd.DataFrame
    usual: price.Usual


def load(file: Path) -> pd.DataFrame:
    """Read the reports; those without quantity and value, and of two products without prices, are left out."""
    table = pd.read_parquet(file)
    missing = sorted(set(NAMES) - set(table.columns))
    if missing:
        raise SourceInvalid(f"columns {', '.join(NAMES)} in {file.name}", f"none of {', '.join(missing)}", "Add them.")
    reports = table.rename(columns=NAMES).astype({"quantity": "float64", "value": "float64"})
    tells_nothing = reports["quantity"].isna() & reports["value"].isna()
    return reports[~tells_nothing & ~reports["product_id"].isin(LEFT_OUT)].reset_index(drop=True)


def ours(reports: pd.DataFrame, seed: int) -> Figures:
    """Boosted trees on robust price features; the weight of uninspected reports is chosen within the training part."""
    split = hold_out(reports, seed)
    inner = hold_out(split.train, seed)
    weight = max(UNINSPECTED, key=lambda one: _figures(inner.test, _boosted(inner, one, seed))["recall@10%"])
    return _figures(split.test, _boosted(split, weight, seed))


def raw_lightgbm(reports: pd.DataFrame, seed: int) -> Figures:
    """LightGBM on quantity, value and unit price as they are."""
    split = hold_out(reports, seed)
    raw = [
        part[["quantity", "value"]].assign(price=part["value"] / part["quantity"]) for part in (split.train, split.test)
    ]
    train, test = (part.to_numpy(dtype=float) for part in raw)
    model = boost.train(train, _labels(split.train), np.ones(len(train)), seed=seed, settings=SETTINGS, trees=TREES)
    return _figures(split.test, boost.score(model, test))


def logistic(reports: pd.DataFrame, seed: int) -> Figures:
    """Logistic regression on our features."""
    from sklearn.linear_model import LogisticRegression

    split = hold_out(reports, seed)
    train = price.features_of(split.train, split.usual).to_numpy()
    scale = normalise.fit(train)
    model = LogisticRegression(max_iter=500).fit(normalise.apply(train, scale), _labels(split.train))
    test = price.features_of(split.test, split.usual).to_numpy()
    return _figures(split.test, model.decision_function(normalise.apply(test, scale)))


def box_plot(reports: pd.DataFrame, seed: int) -> Figures:
    """The box-plot rule: outliers of a product's unit price by distance from the median in interquartile ranges.

    As the book: prices as they are, no logarithm; a report inside the whiskers scores 0, and so does a product whose
    middle half has no width.
    """
    split = hold_out(reports, seed)
    unit = _unit_price(split.train, split.usual)
    by_product = unit.groupby(split.train["product_id"])
    low, middle, high = (
        by_product.quantile(at).reindex(split.test["product_id"]).to_numpy() for at in (0.25, 0.5, 0.75)
    )
    width, tested = high - low, _unit_price(split.test, split.usual).to_numpy()
    is_outside = (tested < low - 1.5 * width) | (tested > high + 1.5 * width)
    distance = np.divide(np.abs(tested - middle), width, out=np.zeros(len(tested)), where=width > 0)
    return _figures(split.test, np.where(is_outside, distance, 0.0))


def local_outliers(reports: pd.DataFrame, seed: int) -> Figures:
    """Local outlier factor (Breunig et al. 2000) of the unit price among all reports of the product, as the book."""
    split = hold_out(reports, seed)
    both = pd.concat([split.train, split.test], ignore_index=True)
    unit = _unit_price(both, split.usual)
    scores = unit.groupby(both["product_id"]).transform(_outlier_factor).to_numpy()
    return _figures(split.test, scores[len(split.train) :])


def hold_out(reports: pd.DataFrame, seed: int) -> Split:
    """Return a stratified 70/30 hold-out; what is usual is learned from the training part without its verdicts."""
    from sklearn.model_selection import train_test_split

    train, test = train_test_split(reports, test_size=TEST_SHARE, random_state=seed, stratify=reports["verdict"])
    return Split(train=train, test=test, usual=price.learn(train[list(price.COLUMNS)]))


def _boosted(split: Split, weight: float, seed: int) -> NDArray[np.float64]:
    train, test = (price.features_of(part, split.usual).to_numpy() for part in (split.train, split.test))
    weights = np.where(split.train["verdict"] == "unkn", weight, 1.0)
    model = boost.train(train, _labels(split.train), weights, seed=seed, settings=SETTINGS, trees=TREES)
    return boost.score(model, test)


def _figures(test: pd.DataFrame, scores: NDArray[np.float64]) -> Figures:
    labels = _labels(test)
    recall, precision = figures.inspection_recall(scores, labels, EFFORT)
    ap = once(average_precision("score", "label"), score=scores, label=labels)
    return {"recall@10%": recall, "precision@10%": precision, "ap": ap}


def _labels(reports: pd.DataFrame) -> NDArray[np.int64]:
    return np.array(reports["verdict"] == "fraud", dtype=np.int64)


def _unit_price(reports: pd.DataFrame, usual: price.Usual) -> pd.Series:
    price_log = price.features_of(reports, usual)["price"]
    return pd.Series(np.exp(price_log), index=reports.index)


def _outlier_factor(unit: pd.Series) -> NDArray[np.float64]:
    from sklearn.neighbors import LocalOutlierFactor

    if len(unit) <= NEIGHBOURS:
        return np.ones(len(unit))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # equal prices: more of them than neighbours
        model = LocalOutlierFactor(NEIGHBOURS).fit(unit.to_numpy().reshape(-1, 1))
    found: NDArray[np.float64] = -model.negative_outlier_factor_
    return found
