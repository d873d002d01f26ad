"""Velocity features are the same in training and serving, follow hand arithmetic, and know nothing early."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.errors import SourceInvalid
from ml.use_cases.fraud import memory
from ml.use_cases.fraud.tally import features_of
from ml.use_cases.fraud.velocity import DAY, LONGEST_DAYS, to_cents

DELAY = 7
START = pd.Timestamp("2026-03-02")  # a Monday


def payments_of(rows) -> pd.DataFrame:
    """Rows are (customer, terminal, amount, seconds after the start)."""
    table = pd.DataFrame(rows, columns=["customer_id", "terminal_id", "amount", "second"])
    paid_at = (START + pd.to_timedelta(table.pop("second"), unit="s")).astype("datetime64[s]")
    return table.assign(paid_at=paid_at, payment_id=range(len(table)))


def chargebacks_of(payments: pd.DataFrame, reported: dict[int, int]) -> pd.DataFrame:
    """Payment to seconds after the start at which it was reported."""
    moments = START + pd.to_timedelta(pd.Series(list(reported.values()), dtype="int64"), unit="s")
    return pd.DataFrame({"payment_id": list(reported), "reported_at": moments.astype("datetime64[s]")})


def replay(payments: pd.DataFrame, chargebacks: pd.DataFrame) -> pd.DataFrame:
    """Score the table the way serving does: event by event, memories through JSON."""
    cents = to_cents(payments["amount"].to_numpy(float))
    second = payments["paid_at"].to_numpy("datetime64[s]").astype(int)
    reported = chargebacks["reported_at"].to_numpy("datetime64[s]").astype(int)
    events = [(moment, 0, at) for at, moment in enumerate(reported)]
    events += [(moment, 1, at) for at, moment in enumerate(second)]
    cards, terminals, was_odd, found = {}, {}, {}, {}
    for moment, is_payment, at in sorted(events):
        row = at if is_payment else int(chargebacks["payment_id"].iloc[at])
        who, where = payments["customer_id"].iloc[row], payments["terminal_id"].iloc[row]
        card = json.loads(json.dumps(cards.get(who, memory.new_card())))
        terminal = json.loads(json.dumps(terminals.get(where, memory.new_terminal())))
        if is_payment:
            event = memory.Payment(second=int(moment), cents=int(cents[row]))
            found[row], was_odd[row] = memory.features(card, terminal, event, DELAY), memory.odd(card, event)
        else:
            event = memory.Chargeback(reported=int(moment), paid=int(second[row]), was_odd=was_odd[row])
        cards[who] = memory.update_card(card, event)
        terminals[where] = memory.update_terminal(terminal, event, DELAY)
    return pd.DataFrame([found[row] for row in range(len(payments))])


moments = st.one_of(st.integers(0, 5), st.integers(0, 60 * DAY), st.integers(0, 40).map(lambda day: day * DAY))
tables = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 2), st.sampled_from([0.0, 1.0, 9.99, 10.1, 80.0, 2e6]), moments),
    min_size=1,
    max_size=40,
)


@settings(max_examples=80, deadline=None)
@given(rows=tables, data=st.data())
def test_serving_and_training_agree_to_the_last_bit(rows, data):
    payments = payments_of(rows)
    reported = {
        row: seconds + data.draw(st.sampled_from([1, DAY, DELAY * DAY, 45 * DAY]))
        for row, (_, _, _, seconds) in enumerate(rows)
        if data.draw(st.booleans())
    }
    chargebacks = chargebacks_of(payments, reported)
    served = replay(payments, chargebacks)
    trained = features_of(payments, chargebacks, DELAY)
    assert list(served.columns) == list(trained.columns)
    np.testing.assert_array_equal(served.to_numpy(), trained.to_numpy())


def test_a_longer_period_agrees_too(rng):
    n_rows = 1500
    rows = zip(
        rng.integers(0, 12, n_rows),
        rng.integers(0, 9, n_rows),
        rng.gamma(2.0, 20.0, n_rows).round(2) * np.where(rng.random(n_rows) < 0.05, 5, 1),
        np.sort(rng.integers(0, 80 * DAY, n_rows)),
        strict=True,
    )
    payments = payments_of(rows)
    seconds = (payments["paid_at"] - START).dt.total_seconds().astype(int)
    fraud = np.flatnonzero(rng.random(n_rows) < 0.2)
    chargebacks = chargebacks_of(payments, {int(row): int(seconds[row] + rng.integers(1, 9 * DAY)) for row in fraud})
    served, trained = replay(payments, chargebacks), features_of(payments, chargebacks, DELAY)
    np.testing.assert_array_equal(served.to_numpy(), trained.to_numpy())


def test_a_chargeback_changes_nothing_before_it_is_known():
    payments = payments_of([("a", "t", 10.0, day * DAY) for day in range(20)])
    nothing = features_of(payments, chargebacks_of(payments, {}), DELAY)
    known = features_of(payments, chargebacks_of(payments, {2: 12 * DAY + 1}), DELAY)
    pd.testing.assert_frame_equal(known.head(13), nothing.head(13))
    assert (known["terminal_known_30d"].iloc[13:] == 1).all()
    assert (known["card_known_days"].iloc[13:] == np.arange(11, 18)).all()


def test_a_chargeback_counts_at_the_second_it_is_reported():
    payments = payments_of([("a", "t", 10.0, 0), ("b", "t", 10.0, DELAY * DAY)])
    found = features_of(payments, chargebacks_of(payments, {0: DELAY * DAY}), DELAY)
    assert found["terminal_known_1d"].tolist() == [0, 1]


def test_counts_means_and_risk_follow_hand_arithmetic():
    rows = [("a", "t", 10.0, 0), ("a", "t", 20.0, 0), ("a", "u", 30.0, DAY - 1), ("b", "t", 5.0, 8 * DAY)]
    payments = payments_of(rows)
    found = features_of(payments, chargebacks_of(payments, {1: 8 * DAY}), DELAY)
    assert found["card_count_1d"].tolist() == [1, 2, 3, 1]
    assert found["card_mean_1d"].tolist() == [10, 15, 20, 5]
    assert found["terminal_count_7d"].tolist() == [0, 1, 0, 0]
    assert found["terminal_risk_3d"].iloc[3] == (1 + 0.02) / (2 + 2)  # 1 of 2 settled, 2 more at 1 %
    assert found["amount_to_mean"].iloc[2] == 2.0
    assert np.isnan(found["amount_to_mean"].iloc[3])
    assert found["card_gap"].iloc[1] == 0


def test_a_window_leaves_out_its_far_end():
    payments = payments_of([("a", "t", 1.0, 0), ("a", "t", 1.0, DAY)])
    assert features_of(payments, chargebacks_of(payments, {}), DELAY)["card_count_1d"].tolist() == [1, 1]


def test_odd_amounts_do_not_move_the_usual_mean_and_point_at_the_card():
    payments = payments_of([("a", "t", 10.0, day * DAY) for day in range(5)] + [("a", "t", 50.0, 5 * DAY)])
    payments = pd.concat([payments, payments_of([("a", "t", 10.0, 13 * DAY)]).assign(payment_id=6)], ignore_index=True)
    found = features_of(payments, chargebacks_of(payments, {5: 12 * DAY}), DELAY).iloc[-1]
    assert found["card_mean"] == 10.0
    assert found["card_odd_14d"] == 1
    assert (found["terminal_known_7d"], found["terminal_plain_7d"]) == (1, 0)


def test_memory_is_bounded_by_the_longest_window():
    card, terminal = memory.new_card(), memory.new_terminal()
    for day in range(400):
        payment = memory.Payment(second=day * DAY, cents=100)
        card, terminal = memory.update_card(card, payment), memory.update_terminal(terminal, payment, DELAY)
        known = memory.Chargeback(reported=day * DAY, paid=day * DAY, was_odd=False)
        card, terminal = memory.update_card(card, known), memory.update_terminal(terminal, known, DELAY)
    assert max(len(card["payments"]), len(card["known"]), len(terminal["known"])) <= LONGEST_DAYS
    assert len(terminal["payments"]) <= LONGEST_DAYS + DELAY


def test_an_update_leaves_the_old_memory_alone():
    card = memory.update_card(memory.new_card(), memory.Payment(second=10, cents=5))
    before = json.dumps(card)
    memory.update_card(card, memory.Payment(second=11, cents=5))
    assert json.dumps(card) == before


def test_a_weekend_night_is_told_apart():
    payments = payments_of([("a", "t", 1.0, 0), ("a", "t", 1.0, 5 * DAY + 12 * 3600), ("a", "t", 1.0, 7 * DAY - 1)])
    found = features_of(payments, chargebacks_of(payments, {}), DELAY)
    assert found["is_weekend"].tolist() == [0, 1, 1]
    assert found["is_night"].tolist() == [1, 0, 0]


def test_a_missing_column_is_named():
    payments = payments_of([("a", "t", 1.0, 0)])
    with pytest.raises(SourceInvalid, match="terminal_id"):
        features_of(payments.drop(columns="terminal_id"), chargebacks_of(payments, {}), DELAY)
