"""What a version learned from, as its gate report says it, and whether that makes it unfit as a yardstick."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from ml.contract import Frames, JsonObject

if TYPE_CHECKING:
    import pandas as pd

LEARNED = ("train", "valid")
NAME_DIGITS = 16  # of a unit's hash: enough to tell apart a billion


def learned(splits: Frames, split: Literal["time", "unit"]) -> JsonObject:
    """Return what the report of a candidate says of the rows that it was fitted to or chosen by.

    `until` is the time of the newest of them; where rows bear no time, `units` are hashes of their units.
    """
    import pandas as pd

    rows = pd.concat([splits[name][["unit", "time"]] for name in LEARNED])
    if split == "unit":
        return {"until": None, "units": sorted(_hashed(rows["unit"]))}
    return {"until": pd.Timestamp(rows["time"].max()).isoformat(), "units": None}


def overlap(known: JsonObject | None, test: pd.DataFrame) -> str | None:
    """Say why a version that learned this may know the test rows; none if it cannot.

    Args:
        known: What `learned` returned when the version was judged.
        test: The test rows of today.
    """
    import pandas as pd

    told = known or {}
    if told.get("units") is not None:
        shared = len(_hashed(test["unit"]) & set(told["units"]))
        return f"it learned from {shared} of the units in the test rows" if shared else None
    first = test["time"].min()
    if told.get("until") is None or pd.isna(first):
        return "its gate report does not say what it learned from"
    until = pd.Timestamp(told["until"])
    if until >= first:
        return f"it learned from rows up to {until.date()}, and the test rows begin on {first.date()}"
    return None


def _hashed(units: Iterable[str]) -> set[str]:
    return {hashlib.sha256(str(unit).encode()).hexdigest()[:NAME_DIGITS] for unit in units}
