"""What new products will sell follows from how others began, by hand-checked arithmetic."""

from __future__ import annotations

from datetime import datetime, timedelta

import pandas as pd
import pytest

from ml.use_cases.recommend.cut import Windows
from ml.use_cases.recommend.newcomer_fit import Sales, fit_newcomers

FIRST = datetime(2026, 1, 1)
DAY = timedelta(days=1)
WINDOWS = Windows(train_start=FIRST, valid_start=FIRST + 168 * DAY, test_start=FIRST + 196 * DAY, end=FIRST + 224 * DAY)
"""New products are learned about at day 140 and known up to day 196."""
SOLD = [
    ("old", 1, 50),
    ("old", 170, 30),
    ("began", 120, 10),  # new at day 140, with 15 baskets in the next 28 days: pace (15 + 10 · 0.5) / (10 + 10) = 1
    ("began", 150, 15),
    ("begins", 190, 4),
]
DESCRIBED = pd.DataFrame(
    {
        "name": ["Old", "Began", "Begins", "Unsold"],
        "department": "D",
        "category": ["A", "A", "A", "B"],
        "brand": "unknown",
    },
    index=pd.Index(["old", "began", "begins", "unsold"], name="product"),
)


@pytest.fixture(scope="module")
def found() -> dict:
    daily = pd.DataFrame(SOLD, columns=["product", "day", "baskets"])
    candidates = DESCRIBED.loc[["began", "begins", "unsold"]]
    return fit_newcomers(Sales(daily=daily, first_day=FIRST), DESCRIBED, candidates, WINDOWS)


def test_what_sold_long_ago_is_not_new(found):
    assert found["products"] == ["begins", "unsold"]  # `began` is 76 days old at day 196
    assert found["baskets"] == [4, 0]
    assert found["since"] == "2026-07-16T00:00:00"


def test_a_new_product_is_expected_to_keep_its_pace_and_takes_its_part_of_the_category(found):
    """Nothing unsold at day 140 sold by day 168, so the unsold sell nothing; 30 + 4 of category A in the newest 28 days."""
    assert found["shares"] == [pytest.approx(4 * 1 / (34 + 4)), 0.0]


def test_the_usual_taste_is_the_share_of_each_category(found):
    assert found["usual"] == {"A": 1.0}
