"""Generalisation reaches k for every combination, loses as little as it can, and labels its ranges readably."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ml.privacy.k_anonymity import ANY, MISSING, generalise, hidden_groups, merged_label, ordered_ladder
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


@hypothesis_settings(deadline=None, max_examples=25)
@given(people, st.integers(2, 7))
def test_every_group_that_is_left_has_k_members(rows, k):
    frame = pd.DataFrame(rows, columns=list(ORDERS), dtype="str")
    done = generalise(frame, ORDERS, k)
    is_blank = (done.rows[list(ORDERS)] == ANY).all(axis=1)  # suppressed, or in the group of what nothing is told of
    sizes = done.rows.groupby(list(ORDERS)).size()  # the suppressed rows are a group as well
    assert len(done.rows) == len(frame)
    assert (sizes >= k).all() or len(frame) < k
    assert done.k == (sizes.min() if len(frame) else 0)
    assert is_blank.sum() - done.suppressed in (0, *range(k, len(frame) + 1))
    assert done.suppressed <= 0.05 * len(frame) or len(frame) < k
    assert 0 <= done.loss <= 1


@hypothesis_settings(deadline=None, max_examples=25)
@given(people, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_changes_no_label(rows, random):
    frame = pd.DataFrame(rows, columns=list(ORDERS), dtype="str").assign(name=[str(i) for i in range(len(rows))])
    shuffled = frame.sample(frac=1, random_state=random.randrange(2**32))
    first, second = (
        generalise(each, ORDERS, 3).rows.sort_values("name", ignore_index=True) for each in (frame, shuffled)
    )
    pd.testing.assert_frame_equal(first, second)


def test_the_generalisation_that_loses_least_is_taken():
    """Ages 1 and 2 are alone, 3 and 4 are not: to merge the first two is enough, and loses 1/3 in two rows of six."""
    rows = pd.DataFrame({"age": ["1", "2", "3", "3", "4", "4"]})
    done = generalise(rows, {"age": ("1", "2", "3", "4")}, 2)
    assert list(done.rows["age"]) == ["1-2", "1-2", "3", "3", "4", "4"]
    assert (done.k, done.groups, done.suppressed) == (2, 3, 0)
    assert done.loss == pytest.approx(1 / 9)


def divisions(values):
    """Every way to cut values into runs, as (loss and label of each value), and the one that tells nothing."""
    n = len(values)
    for cuts in itertools.product((False, True), repeat=n - 1):
        run = np.concatenate([[0], np.cumsum(cuts)])
        yield {v: ((np.sum(run == r) - 1) / (n - 1), str(r)) for v, r in zip(values, run, strict=True)}
    yield dict.fromkeys(values, (1.0, "*"))


def least_loss(rows, values, k):
    """The smallest loss by looking at every pair of divisions of two columns, rows one by one."""
    losses = []
    for left, right in itertools.product(divisions(values), divisions(values)):
        told = [(left[a], right[b]) for a, b in zip(rows["a"], rows["b"], strict=True)]
        key = pd.Series([one[0][1] + one[1][1] for one in told])
        lonely = key.map(key.value_counts()) < k
        kept = np.array([(one[0][0] + one[1][0]) / 2 for one in told])
        if lonely.sum() > 0 and (lonely | (kept == 1)).sum() < k and not lonely.all():  # too few to hide in each other
            cheapest = min(sorted(set(key[~lonely])), key=lambda one: (1 - kept[key == one]).sum())
            lonely |= key == cheapest
        loss = np.where(lonely, 1.0, kept)
        losses.append((bool(lonely.sum() > 0.05 * len(rows)), float(loss.mean())))
    return min(losses)[1]


@hypothesis_settings(deadline=None, max_examples=5)
@given(st.lists(st.tuples(*[st.sampled_from("1122234")] * 2), min_size=8, max_size=40), st.integers(2, 5))
def test_no_division_of_two_columns_loses_less(pairs, k):
    rows = pd.DataFrame(pairs, columns=["a", "b"])
    done = generalise(rows, dict.fromkeys("ab", tuple("1234")), k)
    assert done.loss == pytest.approx(least_loss(rows, "1234", k))


def test_too_many_divisions_to_try_all_still_lose_no_more_than_regular_ranges(rng):
    """Three columns of twelve values; regular ranges are what EXACT = 0 and no descent would take."""
    values = INCOME_GROUPS
    skewed = rng.dirichlet(np.full(12, 0.4), 3)
    rows = pd.DataFrame({name: rng.choice(values, 400, p=p) for name, p in zip("abc", skewed, strict=True)})
    done = generalise(rows, dict.fromkeys("abc", values), 5)
    ladders = [ordered_ladder(values)] * 3
    regular = []
    for rungs in itertools.product(*ladders):
        labels = pd.DataFrame({name: rows[name].map(rung.labels) for name, rung in zip("abc", rungs, strict=True)})
        key = labels.agg("|".join, axis=1)
        lonely = key.map(key.value_counts()) < 5
        mean = np.mean([rows[name].map(rung.loss) for name, rung in zip("abc", rungs, strict=True)], axis=0)
        regular.append((bool(lonely.mean() > 0.05), float(np.where(lonely, 1.0, mean).mean())))
    assert done.suppressed <= 20
    assert done.loss < min(regular)[1]


def test_diversity_is_that_of_the_worst_group():
    """North holds flu twice and cold twice: entropy exp(ln 2). South holds flu three times of four: exp(0.5623)."""
    ill = ["flu", "flu", "cold", "cold", "flu", "flu", "flu", "cold"]
    rows = pd.DataFrame({"region": ["north"] * 4 + ["south"] * 4, "illness": ill})
    done = generalise(rows, {"region": ()}, 4, ["illness"])
    assert done.diversity["illness"].distinct == 2
    assert done.diversity["illness"].entropy == pytest.approx(1.7547, abs=1e-4)
    alike = generalise(rows.assign(illness=["flu"] * 4 + ill[4:]), {"region": ()}, 4, ["illness"])
    assert (alike.diversity["illness"].distinct, alike.diversity["illness"].entropy) == (1, pytest.approx(1))
    few = generalise(rows.head(2), {"region": ()}, 4, ["illness"])
    assert few.diversity["illness"].distinct == 1  # two rows that are suppressed are a group as well


def test_a_rare_value_without_order_becomes_any_and_is_named_nowhere():
    rows = pd.DataFrame({"region": ["north"] * 50 + ["south"] * 50 + ["lighthouse"]})
    done = generalise(rows, {"region": ()}, 5)
    assert done.labels == {"region": {ANY: 101}}  # one alone would be found among the suppressed: too many had to join
    assert (done.suppressed, done.k) == (0, 101)
    several = pd.DataFrame({"region": ["north"] * 50 + ["south"] * 60 + ["lighthouse", "island"] * 3})
    done = generalise(several, {"region": ()}, 5)
    assert done.labels == {"region": {"south": 60, "north": 50, ANY: 6}}
    assert (done.k, done.loss) == (6, pytest.approx(6 / 116))


def test_one_who_is_alone_is_not_left_alone_among_the_suppressed():
    """120 alike, 40 others and one of a kind, k = 5: the 40 cost least, and one of 41 is nobody."""
    rows = pd.DataFrame({"region": ["north"] * 1200 + ["south"] * 40 + ["lighthouse"]})
    done = generalise(rows, {"region": ()}, 5)
    assert done.labels == {"region": {"north": 1200, ANY: 41}}
    assert (done.k, done.groups) == (41, 1)
    alone = generalise(pd.DataFrame({"region": ["north"] * 120 + ["south"]}), {"region": ()}, 60)
    assert alone.labels == {"region": {ANY: 121}}
    assert alone.k == 121


@hypothesis_settings(deadline=None, max_examples=150)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(2, 6), st.data())
def test_what_is_hidden_is_empty_or_k_strong_and_costs_least(sizes, k, data):
    """Every way to add one group is looked at by hand."""
    losses = data.draw(st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=len(sizes), max_size=len(sizes)))
    gone = hidden_groups(np.array(sizes), np.array(losses), k)
    small = {at for at, size in enumerate(sizes) if size < k}
    blank = {at for at, loss in enumerate(losses) if loss == 1.0}
    hidden = {at for at in range(len(sizes)) if gone[at]}
    together = sum(sizes[at] for at in (hidden | blank))
    assert small <= hidden
    assert not hidden or together >= k or len(hidden) == len(sizes)
    if hidden - small:
        (more,) = hidden - small
        assert sum(sizes[at] for at in small | blank) < k
        assert sizes[more] * (1 - losses[more]) == min(
            sizes[at] * (1 - losses[at]) for at in range(len(sizes)) if at not in small
        )


def test_a_missing_value_is_a_value_of_its_own():
    rows = pd.DataFrame({"age": ["19-24"] * 4 + [None] * 4}, dtype="str")
    done = generalise(rows, {"age": AGE_GROUPS}, 4)
    assert done.labels == {"age": {"19-24": 4, MISSING: 4}}
    assert (done.groups, done.suppressed, done.loss) == (2, 0, 0.0)


def test_no_rows_and_too_few_rows():
    empty = generalise(pd.DataFrame({"age": []}, dtype="str"), {"age": AGE_GROUPS}, 5)
    few = generalise(pd.DataFrame({"age": ["19-24"] * 4}), {"age": AGE_GROUPS}, 5)
    assert (empty.k, empty.groups, empty.suppressed, empty.loss) == (0, 0, 0, 0.0)
    assert (few.k, few.groups, few.suppressed, few.loss) == (4, 0, 4, 1.0)
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
