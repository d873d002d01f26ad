"""A payment gets the decision that is expected to cost least, as far as people have time to look."""

import numpy as np
import pandas as pd
import pytest

from ml.use_cases.fraud import judgement, plot, policy
from ml.use_cases.fraud.outcome import outcome

COSTS = policy.Costs(reviews_per_day=2, review_cost=2.0, decline_loss=3.0)
STATE = {"costs": {"reviews_per_day": 2, "review_cost": 2.0, "decline_loss": 3.0}}
APPROVE, REVIEW, DECLINE = policy.APPROVE, policy.REVIEW, policy.DECLINE


def decided(p, amount, price=2.0):
    return int(policy.decide(np.array([p]), np.array([amount]), COSTS, price)[0])


@pytest.mark.parametrize(
    ("p", "amount", "decision"),
    [
        (0.01, 50.0, APPROVE),  # 0.50 against 2 and 148.50
        (0.05, 50.0, REVIEW),  # 2.50 against 2
        (0.90, 50.0, REVIEW),  # declining would cost 0.1 · 3 · 50 = 15
        (0.99, 50.0, DECLINE),  # 1.50 against 2
        (1.00, 1.00, DECLINE),  # nothing, against 1 and 2
        (0.50, 1.00, APPROVE),  # 0.50 against 1.50 and 2
    ],
)
def test_the_cheapest_of_three_expected_costs_decides(p, amount, decision):
    assert decided(p, amount) == decision


def test_reviews_become_dearer_until_past_days_would_have_had_room():
    p, amounts = np.full(6, 0.5), np.array([100.0, 80.0, 60.0, 40.0, 20.0, 10.0])
    price = policy.review_price(p, amounts, COSTS, n_days=2)  # four places for savings of 50, 40, 30, 20, 10, 5
    assert price == 10.0
    assert (policy.decide(p, amounts, COSTS, price) == REVIEW).sum() == 4


def test_a_review_never_costs_less_than_its_cost():
    assert policy.review_price(np.full(3, 0.5), np.full(3, 100.0), COSTS, n_days=10) == 2.0


def test_decisions_cost_what_they_did():
    decisions, is_fraud = np.array([APPROVE, APPROVE, REVIEW, REVIEW, DECLINE, DECLINE]), np.array([1, 0, 1, 0, 1, 0])
    costs = policy.cost(decisions, np.full(6, 10.0), is_fraud, COSTS)
    assert costs.tolist() == [10.0, 0.0, 2.0, 2.0, 0.0, 30.0]


@pytest.fixture
def judged():
    """Four payments of two days: score, probability, decision."""
    rows = pd.DataFrame({"day": ["a", "a", "b", "b"], "amount": [10.0, 20.0, 30.0, 40.0], "is_fraud": [1, 0, 1, 0]})
    scores = np.array([[2, 0.5, REVIEW], [1, 0.25, APPROVE], [0, 0.25, APPROVE], [-1, 0.1, DECLINE]], dtype=np.float32)
    return scores, rows.assign(customer=["k", "l", "m", "n"])


def test_rows_are_measured_by_hand_arithmetic(judged):
    found = judgement.measure(*judged, STATE)
    np.testing.assert_allclose(found["log_loss"], -np.log([0.5, 0.75, 0.25, 0.9]), rtol=1e-6)
    assert found["cost"].tolist() == [2.0, 0.0, 30.0, 120.0]
    assert found["caught"].sum() / found["places"].sum() == 2 / 200  # two cards of two hundred places


def test_a_whole_set_is_summarised(judged):
    found = judgement.summarise(*judged, STATE)
    assert (found["reviewed_a_day"], found["declined_a_day"]) == (0.5, 0.5)
    assert (found["fraud_caught"], found["amount_caught"]) == (0.5, 0.25)


def test_the_cost_curve_starts_with_all_fraud_and_ends_with_reviews_alone(judged):
    drawn = plot.cost(*judged, STATE)
    rows = next(layer["data"]["values"] for layer in drawn.spec["layer"] if len(layer["data"]["values"]) > 1)
    ours = {row["capacity"]: row["cost"] for row in rows if row["rank"] == "by this model"}
    assert ours[0] == 20.0  # 10 and 30 on two days
    assert ours[1] == 2.0  # the riskiest of each day, both frauds: 2 and 2
    assert ours[8] == 4.0  # all four reviewed


def test_the_reliability_plot_tells_what_was_seen(judged):
    layers = plot.reliability(*judged, STATE).spec["layer"]
    rows = next(layer["data"]["values"] for layer in layers if "payments" in layer["data"]["values"][0])
    assert [row["payments"] for row in rows] == [3, 1]
    assert rows[1]["told"] == 0.5
    assert (rows[1]["seen"], rows[1]["high"]) == (1.0, pytest.approx(1.0))
    assert rows[1]["low"] == pytest.approx(1 / (1 + 1.959964**2))  # Wilson's bound of one of one


ANSWER = {"payment_id": "p1", "paid_at": "2026-06-01T10:00:00", "p_fraud": 0.25, "decision": "review"}


@pytest.mark.parametrize(
    ("events", "figures"),
    [
        ([], {}),
        ([{"paid_at": "2026-06-20T10:00:00"}], {}),
        ([{"reported_at": "2026-06-09T10:00:00", "payment_id": "p1"}], {"log_loss": -np.log(0.25), "caught": 1.0}),
        ([{"reported_at": "2026-06-09T10:00:00", "payment_id": "p2"}], {}),
        ([{"paid_at": "2026-07-02T10:00:00"}], {"log_loss": -np.log(0.75), "bothered": 1.0}),
    ],
)
def test_the_truth_comes_with_a_charge_back_or_a_month_without(events, figures):
    assert outcome({"answer": ANSWER}, events) == pytest.approx(figures)
