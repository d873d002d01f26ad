"""What drift is looked for in: plain figures of a payment and its past, named alike in training and serving."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

from ml.use_cases.fraud.evidence import Known

NAMES = (
    "amount",
    "hour",
    "n_items",
    "coupon_share",
    "card_count_1d",
    "card_count_7d",
    "terminal_count_7d",
    "terminal_known_30d",
)
DIGITS = 6


def describe(rows: pd.DataFrame) -> pd.DataFrame:
    """Return one row an example, with the figures of `figures` as columns."""
    return rows[list(NAMES)].round(DIGITS).assign(channel=rows["channel"]).reset_index(drop=True)


def figures(known: Known, channel: str) -> dict[str, float | str]:
    """Return the figures of one payment."""
    return {**{name: round(known[name], DIGITS) for name in NAMES}, "channel": channel}
