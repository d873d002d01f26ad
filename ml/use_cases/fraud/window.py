"""Which payments are learned from, chosen on and judged, with gaps between in which charge-backs still come in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ml.use_cases.fraud.params import FraudFeatures
from ml.use_cases.fraud.velocity import LONGEST_DAYS

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class Window:
    """Payments from `start` to before `end`, labelled by what was reported before `known`."""

    start: pd.Timestamp
    end: pd.Timestamp
    known: pd.Timestamp


def windows(first: pd.Timestamp, last: pd.Timestamp, params: FraudFeatures) -> dict[str, Window]:
    """Return the windows `train`, `valid`, `test`.

    Each ends `delay_days` before its labels are taken: those of `train` when `valid` begins, those of `valid` when `test`
    begins, those of `test` at the end of the data. So nobody learns or chooses from what was not yet known then.

    Args:
        first: First day with a payment; until the longest look back of a feature is full nothing is learned.
        last: Last day with a payment or a charge-back.
        params: Lengths.

    Raises:
        ValueError: The payments do not reach back far enough.
    """
    import pandas as pd

    delay, day = pd.Timedelta(days=params.delay_days), pd.Timedelta(days=1)
    end = last.normalize() + day
    test = _window(end, delay, params.test_days)
    valid = _window(test.start, delay, params.valid_days)
    train = _window(valid.start, delay, params.train_days)
    begin = max(train.start, first.normalize() + pd.Timedelta(days=LONGEST_DAYS) + delay)
    if begin >= train.end:
        needed = (end - train.end + begin - first.normalize()).days + 1
        raise ValueError(f"Expected payments of at least {needed} days. Received {(end - first.normalize()).days}.")
    return {"train": Window(start=begin, end=train.end, known=train.known), "valid": valid, "test": test}


def _window(known: pd.Timestamp, delay: pd.Timedelta, days: int) -> Window:
    import pandas as pd

    end = known - delay
    return Window(start=end - pd.Timedelta(days=days), end=end, known=known)
