"""Generalisation reaches k for every combination, loses as little as it can, and labels its ranges readably."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ml.privacy.k_anonymity import ANY, MISSING, generalise, merged_label, ordered_ladder
from ml.shop import AGE_GROUPS, INCOME_GROUPS

people = st.lists(
    st.tuples(
        st.sampled_from([*AGE_GROUPS, None]),
        st.sampled_from(["north", "south", None]),
        st.sampled_from(INCOME_GROUPS[:4]),
    ),
    max_size=80,
)
ORDERS = {"age": AGE_GROUPS, "region": (), "income": INCOME_GROUPS[:4]}


@hypothesis_settings(deadline=None, max_examples=40)
@given(people, st.integers(2, 7))
def test_every_group_that_is_left_has_k_members(rows, k):
    frame = pd.DataFrame(rows, columns=list(ORDERS), dtype="str")
    done = generalise(frame, ORDERS, k)
    is_blank = (done.rows[list(ORDERS)] == ANY).all(axis=1)  # suppressed, or in the group of what nothing is told of
    sizes = done.rows[~is_blank].groupby(list(ORDERS)).size()
    assert len(done.rows) == len(frame)
    assert (sizes >= k).all()
    assert done.k >= k or (done.k == 0 and done.suppressed == len(frame))
    assert is_blank.sum() - done.suppressed in (0, *range(k, len(frame) + 1))
    assert done.suppressed <= 0.05 * len(frame) or len(frame) < k
    assert 0 <= done.loss <= 1


@hypothesis_settings(deadline=None, max_examples=40)
@given(people, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_changes_no_label(rows, random):
    frame = pd.DataFrame(rows, columns=list(ORDERS), dtype="str").assign(name=[str(i) for i in range(len(rows))])
    shuffled = frame.sample(frac=1, random_state=random.randrange(2**32))
    first, second = (
        generalise(each, ORDERS, 3).rows.sort_values("name", ignore_index=True) for each in (frame, shuffled)
    )
    pd.testing.assert_frame_equal(first, second)


def test_the_generalisation_that_loses_least_is_taken():
    """Ages 1 and 2 are alone, 3 and 4 are not: merging by two gives groups of two and loses 1/3 a row."""
    rows = pd.DataFrame({"age": ["1", "2", "3", "3", "4", "4"]})
    done = generalise(rows, {"age": ("1", "2", "3", "4")}, 2)
    assert list(done.rows["age"]) == ["1-2", "1-2", "3-4", "3-4", "3-4", "3-4"]
    assert (done.k, done.groups, done.suppressed) == (2, 2, 0)
    assert done.loss == pytest.approx(1 / 3)


def test_a_search_of_all_rungs_finds_no_smaller_loss():
    """Two columns of four values: the loss of each of the nine rung pairs by hand-rolled counting."""
    rng = np.random.default_rng(3)
    rows = pd.DataFrame({"a": rng.choice(list("1234"), 60), "b": rng.choice(list("1234"), 60, p=[0.6, 0.2, 0.1, 0.1])})
    rungs = (
        (0.0, {value: value for value in "1234"}),
        (1 / 3, {"1": "x", "2": "x", "3": "y", "4": "y"}),
        (1.0, dict.fromkeys("1234", "*")),
    )
    losses = []
    for (left_loss, left), (right_loss, right) in itertools.product(rungs, rungs):
        key = rows["a"].map(left) + rows["b"].map(right)
        lonely = key.map(key.value_counts()) < 5
        if lonely.mean() <= 0.05:
            losses.append(float(np.where(lonely, 1.0, (left_loss + right_loss) / 2).mean()))
    done = generalise(rows, {"a": tuple("1234"), "b": tuple("1234")}, 5)
    assert done.loss == pytest.approx(min(losses))


def test_a_rare_value_without_order_becomes_any_and_is_named_nowhere():
    rows = pd.DataFrame({"region": ["north"] * 50 + ["south"] * 50 + ["lighthouse"]})
    done = generalise(rows, {"region": ()}, 5)
    assert done.labels == {"region": {"north": 50, "south": 50, ANY: 1}}
    assert done.suppressed == 1
    assert done.loss == pytest.approx(1 / 101)


def test_a_missing_value_is_a_value_of_its_own():
    rows = pd.DataFrame({"age": ["19-24"] * 4 + [None] * 4}, dtype="str")
    done = generalise(rows, {"age": AGE_GROUPS}, 4)
    assert done.labels == {"age": {"19-24": 4, MISSING: 4}}
    assert (done.groups, done.suppressed, done.loss) == (2, 0, 0.0)


def test_no_rows_and_too_few_rows():
    empty = generalise(pd.DataFrame({"age": []}, dtype="str"), {"age": AGE_GROUPS}, 5)
    few = generalise(pd.DataFrame({"age": ["19-24"] * 4}), {"age": AGE_GROUPS}, 5)
    assert (empty.k, empty.groups, empty.suppressed, empty.loss) == (0, 0, 0, 0.0)
    assert (few.k, few.groups, few.suppressed, few.loss) == (0, 0, 4, 1.0)
    assert list(few.rows["age"]) == [ANY] * 4


@pytest.mark.parametrize(
    ("first", "last", "label"),
    [
        ("35-44", "45-54", "35-54"),
        ("55-64", "65+", "55+"),
        ("3", "4", "3-4"),
        ("4", "5+", "4+"),
        ("100-124K", "125-149K", "100-149K"),
        ("200-249K", "250K+", "200K+"),
        ("Under 15K", "35-49K", "up to 49K"),
        ("low", "high", "low … high"),
        ("45-54", "45-54", "45-54"),
    ],
)
def test_neighbouring_ranges_merge_into_readable_ones(first, last, label):
    assert merged_label(first, last) == label


def test_a_ladder_climbs_from_own_values_to_any():
    rungs = ordered_ladder(AGE_GROUPS)
    assert [len(set(rung.labels.values()) - {MISSING}) for rung in rungs] == [6, 3, 2, 1]
    assert [rung.labels["25-34"] for rung in rungs] == ["25-34", "19-34", "19-54", ANY]
    assert [rung.loss["25-34"] for rung in rungs] == [0, 1 / 5, 3 / 5, 1]
