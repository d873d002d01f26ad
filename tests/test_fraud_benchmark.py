"""The protocols of the fraud comparisons: who is judged, what is learned from, and the public figures they reproduce."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ml.benchmark import fraud_cards, fraud_sales, load
from ml.errors import SourceInvalid

WEEK = fraud_cards.WEEK


def test_both_comparisons_name_their_own_peer_and_bars():
    for comparison in load("fraud"):
        assert comparison.ours in comparison.peers
        assert comparison.bars


def test_cards_known_to_be_compromised_are_not_judged():
    rows = [(93, "early"), (92, "late"), (100, "early"), (100, "late"), (101, "late"), (100, "new"), (100, "clean")]
    payments = pd.DataFrame(rows, columns=["day", "customer_id"]).assign(is_fraud=[0, 1, 0, 0, 0, 1, 0])
    judged = payments.iloc[fraud_cards.judged_rows(payments, 100)]
    assert "late" not in set(judged["customer_id"])
    assert {"early", "new", "clean"} <= set(judged["customer_id"])


def test_a_fraud_within_the_delay_is_not_known_yet():
    payments = pd.DataFrame({"day": [93, 100, 101], "customer_id": "a", "is_fraud": [1, 0, 0]})
    assert fraud_cards.judged_rows(payments, 100).tolist() == [1]  # on day 101 the fraud of day 93 is known


@pytest.fixture
def card_file(tmp_path, rng) -> Path:
    """A small file of the same shape that reaches into the test week."""
    n_rows = 4000
    table = pd.DataFrame(
        {
            "TRANSACTION_ID": range(n_rows),
            "CUSTOMER_ID": rng.integers(0, 40, n_rows),
            "TERMINAL_ID": rng.integers(0, 30, n_rows),
            "TX_AMOUNT": rng.gamma(2.0, 20.0, n_rows).round(2),
            "TX_DATETIME": pd.Timestamp("2018-04-01")
            + pd.to_timedelta(np.sort(rng.integers(0, 150, n_rows)), unit="D"),
            "TX_FRAUD": (rng.random(n_rows) < 0.05).astype(int),
        }
    )
    path = tmp_path / "transactions.parquet"
    table.to_parquet(path)
    return path


def test_nothing_is_learned_that_the_delay_hides(card_file):
    cards = fraud_cards.load(card_file)
    day = cards.payments["day"].to_numpy()
    rows, weights = fraud_cards.learned_rows(cards, fraud_cards.TEST, seed=1)
    assert day[rows].max() < fraud_cards.TEST - fraud_cards.DELAY_DAYS
    assert len(rows) == len(weights)
    assert cards.handbook.shape[1] == 15
    assert day.max() < fraud_cards.TEST + WEEK


def test_columns_that_are_missing_are_named(tmp_path):
    pd.DataFrame({"TX_AMOUNT": [1.0]}).to_parquet(tmp_path / "some.parquet")
    with pytest.raises(SourceInvalid, match="TX_DATETIME"):
        fraud_cards.load(tmp_path / "some.parquet")
    with pytest.raises(SourceInvalid, match="Quant"):
        fraud_sales.load(tmp_path / "some.parquet")


def test_verdicts_of_test_reports_do_not_change_what_is_learned(rng):
    n_rows = 600
    reports = pd.DataFrame(
        {
            "seller_id": rng.integers(0, 9, n_rows).astype(str),
            "product_id": rng.integers(0, 5, n_rows).astype(str),
            "quantity": rng.integers(1, 50, n_rows).astype(float),
            "value": rng.gamma(2.0, 50.0, n_rows),
            "verdict": np.tile(["unkn", "ok", "fraud"], n_rows // 3),
        }
    )
    split = fraud_sales.hold_out(reports, 1)
    assert len(split.test) == 180
    assert not set(split.train.index) & set(split.test.index)
    assert split.usual.sellers["reports"].sum() == len(split.train)


@pytest.mark.skipif("TRADEWIND_DATA_DIR" not in os.environ, reason="needs the public data: set TRADEWIND_DATA_DIR")
def test_the_box_plot_rule_finds_about_half_of_the_frauds():
    reports = fraud_sales.load(Path(os.environ["TRADEWIND_DATA_DIR"]) / "dmwr_sales_fraud" / "sales.parquet")
    assert 0.45 < fraud_sales.box_plot(reports, 1)["recall@10%"] < 0.65  # the book's is about 0.52
