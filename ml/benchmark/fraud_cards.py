"""Card payments with late charge-backs: the protocol of the Fraud Detection Handbook on a simulation of its kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml.benchmark.comparison import Figures
from ml.errors import SourceInvalid
from ml.evaluation.statistic import average_precision, once, roc_auc
from ml.training.determinism import make_deterministic
from ml.use_cases.fraud import blend, boost, calibrate, figures, normalise
from ml.use_cases.fraud.tally import tally
from ml.use_cases.fraud.velocity import COUNT_DAYS, DAY, LONGEST_DAYS, derive

DELAY_DAYS = 7
WEEK = 7
TEST = int(pd.Timestamp("2018-08-08").timestamp()) // DAY  # first day of the test week [days since 1970]
VALID = (TEST - 21, TEST - 14)  # first days of the weeks choices are made on, each judged as the test week is
SHARE_OF_GENUINE = 0.15  # genuine payments that are learned from; each counts for those left out
TREES = (100, 200, 300, 400)
TRIED: tuple[boost.Settings, ...] = (
    boost.SETTINGS,
    {**boost.SETTINGS, "max_bin": 255, "min_data_in_bin": 3, "learning_rate": 0.05, "num_leaves": 31, "lambda_l2": 5.0},
)
THREADS = 2
NAMES = {
    "TRANSACTION_ID": "payment_id",
    "CUSTOMER_ID": "customer_id",
    "TERMINAL_ID": "terminal_id",
    "TX_AMOUNT": "amount",
    "TX_DATETIME": "paid_at",
    "TX_FRAUD": "is_fraud",
}

Numbers = NDArray[np.float64]
Rows = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Cards:
    """All payments up to the end of the test week."""

    payments: pd.DataFrame
    """`day` [days since 1970], `customer_id`, `is_fraud`."""
    features: Numbers
    """`(n_rows, n_features)` of `velocity.derive`."""
    handbook: Numbers
    """`(n_rows, 15)` of the Handbook."""
    is_known: NDArray[np.bool_]
    """Whether the card had a known charge-back of the last two weeks: such payments are not in the test, so not learned."""


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """Trees chosen on the validation weeks."""

    settings: boost.Settings
    trees: int
    scores: list[Numbers]
    """Log-odds of each validation week."""


def load(file: Path) -> Cards:
    """Read the file and work out the features; a charge-back is reported `DELAY_DAYS` after its payment."""
    table = pd.read_parquet(file)
    missing = sorted(set(NAMES) - set(table.columns))
    if missing:
        raise SourceInvalid(f"columns {', '.join(NAMES)} in {file.name}", f"none of {', '.join(missing)}", "Add them.")
    payments = table.rename(columns=NAMES).sort_values("paid_at", kind="stable", ignore_index=True)
    day = payments["paid_at"].to_numpy(dtype="datetime64[D]").astype(np.int64)
    payments = payments.assign(day=day)[day < TEST + WEEK]
    frauds = payments[payments["is_fraud"] == 1]
    chargebacks = pd.DataFrame(
        {"payment_id": frauds["payment_id"], "reported_at": frauds["paid_at"] + pd.Timedelta(days=DELAY_DAYS)}
    )
    tallies = tally(payments, chargebacks, DELAY_DAYS)
    features = derive(tallies)
    return Cards(
        payments=payments[["day", "customer_id", "is_fraud"]],
        features=np.column_stack(list(features.values())),
        handbook=_handbook(features, tallies),
        is_known=features["card_known_days"] <= 2 * WEEK,
    )


def judged_rows(payments: pd.DataFrame, first_day: int) -> Rows:
    """Return the rows of the week from `first_day` without cards known to be compromised.

    Known on day d are the cards with a fraud from two weeks before the week to the day `DELAY_DAYS` + 1 before d
    (Fraud Detection Handbook, ch. 5, `get_train_test_set`).
    """
    day, card = payments["day"].to_numpy(), payments["customer_id"].to_numpy()
    is_fraud = payments["is_fraud"].to_numpy() == 1
    kept = []
    for today in range(first_day, first_day + WEEK):
        known = card[is_fraud & (day >= first_day - 2 * WEEK) & (day < today - DELAY_DAYS)]
        kept.append(np.flatnonzero((day == today) & ~np.isin(card, known)))
    return np.concatenate(kept)


def learned_rows(cards: Cards, first_day: int, seed: int) -> tuple[Rows, Numbers]:
    """Return rows and weights to learn from for a week from `first_day`: all frauds known by then, a draw of the rest."""
    day = cards.payments["day"].to_numpy()
    begin = day[0] + LONGEST_DAYS + DELAY_DAYS  # before it the windows are not full
    is_fraud = cards.payments["is_fraud"].to_numpy() == 1
    is_drawn = np.random.default_rng(seed).random(len(day)) < SHARE_OF_GENUINE
    rows = np.flatnonzero((day >= begin) & (day < first_day - DELAY_DAYS) & ~cards.is_known & (is_fraud | is_drawn))
    return rows, np.where(is_fraud[rows], 1.0, 1 / SHARE_OF_GENUINE)


def ours(cards: Cards, seed: int) -> Figures:
    """Trees and network, blended and calibrated on the validation weeks."""
    make_deterministic(seed, THREADS)
    tuned = _tune(cards, seed)
    weeks = [(judged_rows(cards.payments, first), first) for first in VALID]
    nets = [_network(cards, first, seed, rows) for rows, first in weeks]
    labels = [_labels(cards, rows) for rows, _ in weeks]
    share = blend.choose_share(list(zip(tuned.scores, nets, labels, strict=True)))
    mixed = [blend.blend(trees, net, share) for trees, net in zip(tuned.scores, nets, strict=True)]
    knots = calibrate.fit(np.concatenate(mixed), np.concatenate(labels))
    test = judged_rows(cards.payments, TEST)
    scores = blend.blend(_trees(cards, seed, tuned, test), _network(cards, TEST, seed, test), share)
    return _figures(cards, test, scores, calibrate.apply(scores, knots))


def lightgbm(cards: Cards, seed: int) -> Figures:
    """LightGBM on our features, tuned on the validation weeks."""
    tuned, test = _tune(cards, seed), judged_rows(cards.payments, TEST)
    scores = _trees(cards, seed, tuned, test)
    return _figures(cards, test, scores, _sigmoid(scores))


def forest(cards: Cards, seed: int) -> Figures:
    """Random forest on our features, on the rows that LightGBM learns from."""
    from sklearn.ensemble import RandomForestClassifier

    rows, weights = learned_rows(cards, TEST, seed)
    model = RandomForestClassifier(200, min_samples_leaf=3, n_jobs=THREADS, random_state=seed)
    model.fit(cards.features[rows], _labels(cards, rows), weights)
    test = judged_rows(cards.payments, TEST)
    scores = model.predict_proba(cards.features[test])[:, 1]
    return _figures(cards, test, scores, scores)


def handbook_forest(cards: Cards, seed: int) -> Figures:
    """The Handbook's random forest: 15 features, the one week before the delay, scikit-learn's defaults."""
    from sklearn.ensemble import RandomForestClassifier

    day = cards.payments["day"].to_numpy()
    rows = np.flatnonzero((day >= TEST - 2 * WEEK) & (day < TEST - WEEK))
    model = RandomForestClassifier(n_jobs=THREADS, random_state=seed).fit(cards.handbook[rows], _labels(cards, rows))
    test = judged_rows(cards.payments, TEST)
    scores = model.predict_proba(cards.handbook[test])[:, 1]
    return _figures(cards, test, scores, scores)


def logistic(cards: Cards, seed: int) -> Figures:
    """Logistic regression on our features, scaled as for the network."""
    from sklearn.linear_model import LogisticRegression

    rows, weights = learned_rows(cards, TEST, seed)
    scale = normalise.fit(cards.features[rows])
    model = LogisticRegression(max_iter=500).fit(
        normalise.apply(cards.features[rows], scale), _labels(cards, rows), weights
    )
    test = judged_rows(cards.payments, TEST)
    scores = model.decision_function(normalise.apply(cards.features[test], scale)).astype(np.float64)
    return _figures(cards, test, scores, _sigmoid(scores))


def _tune(cards: Cards, seed: int) -> Tuned:
    """Return the settings and number of trees with the best mean average precision over the validation weeks."""
    weeks = [judged_rows(cards.payments, first) for first in VALID]
    tried = [(settings, [_boosted(cards, first, seed, settings, max(TREES)) for first in VALID]) for settings in TRIED]
    found = []
    for settings, models in tried:
        for trees in TREES:
            pairs = zip(models, weeks, strict=True)
            scores = [boost.score(model, cards.features[rows], trees) for model, rows in pairs]
            found.append(Tuned(settings=settings, trees=trees, scores=scores))
    return max(found, key=lambda one: _mean_precision(cards, weeks, one.scores))


def _mean_precision(cards: Cards, weeks: Sequence[Rows], scores: Sequence[Numbers]) -> float:
    return float(np.mean([_ranking(cards, rows, one)["ap"] for rows, one in zip(weeks, scores, strict=True)]))


def _boosted(cards: Cards, first_day: int, seed: int, settings: boost.Settings, trees: int) -> object:
    rows, weights = learned_rows(cards, first_day, seed)
    return boost.train(
        cards.features[rows], _labels(cards, rows), weights, seed=seed, settings=settings, trees=trees, threads=THREADS
    )


def _trees(cards: Cards, seed: int, tuned: Tuned, rows: Rows) -> Numbers:
    model = _boosted(cards, TEST, seed, tuned.settings, tuned.trees)
    return boost.score(model, cards.features[rows])


def _network(cards: Cards, first_day: int, seed: int, judged: Rows) -> Numbers:
    """Return the log-odds of a network that learned for the week from `first_day`."""
    import keras

    from ml.use_cases.fraud import network

    keras.utils.set_random_seed(seed)
    rows, weights = learned_rows(cards, first_day, seed)
    scale = normalise.fit(cards.features[rows])
    inputs = normalise.apply(cards.features[rows], scale)
    model = network.build(network.Shape(n_inputs=inputs.shape[1]))
    learned = network.Rows(inputs=inputs, is_fraud=_labels(cards, rows), weights=weights)
    network.train(model, learned, None, network.Course(seed=seed))
    return network.score(model, normalise.apply(cards.features[judged], scale))


def _figures(cards: Cards, rows: Rows, scores: Numbers, probabilities: Numbers) -> Figures:
    scored = cards.payments.iloc[rows].assign(score=scores)
    error = figures.reliability(probabilities, _labels(cards, rows)).error
    ranking = _ranking(cards, rows, scores)
    return {**ranking, "card_precision@100": figures.card_precision(scored), "calibration_error": error}


def _ranking(cards: Cards, rows: Rows, scores: Numbers) -> Figures:
    statistics = {"ap": average_precision("score", "label"), "auc": roc_auc("score", "label")}
    labels = _labels(cards, rows)
    return {name: once(statistic, score=scores, label=labels) for name, statistic in statistics.items()}


def _labels(cards: Cards, rows: Rows) -> Rows:
    return cards.payments["is_fraud"].to_numpy(dtype=np.int64)[rows]


def _sigmoid(log_odds: Numbers) -> Numbers:
    from scipy.special import expit

    found: Numbers = expit(log_odds)
    return found


def _handbook(features: dict[str, Numbers], tallies: dict[str, Rows]) -> Numbers:
    """Return the Handbook's 15 features (ch. 3); a terminal's risk is 0 where nothing has settled."""
    columns = [features["amount"], features["is_weekend"], features["is_night"]]
    for days in COUNT_DAYS:
        settled = tallies[f"terminal_settled_{days}d"]
        risk = tallies[f"terminal_known_{days}d"] / np.maximum(settled, 1)
        columns += [features[f"card_count_{days}d"], features[f"card_mean_{days}d"], settled.astype(float), risk]
    return np.column_stack(columns)
