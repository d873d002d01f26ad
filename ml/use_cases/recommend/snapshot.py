"""Every customer's history at the as-of date, in the JSON that serving reads and updates."""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter
from typing import Any

import pandas as pd

from ml.files import canonical


def snapshot(lines: pd.DataFrame) -> pd.DataFrame:
    """Return columns unit and history (JSON text).

    Args:
        lines: unit, basket, number, time, product; ordered by unit, number, product.
    """
    times = lines["time"].map(lambda time: time.isoformat())
    columns = (lines["unit"], lines["basket"], lines["number"], times, lines["product"])
    rows = zip(*(column.tolist() for column in columns), strict=True)
    written = [(unit, _history(list(bought))) for unit, bought in groupby(rows, key=itemgetter(0))]
    return pd.DataFrame(written, columns=["unit", "history"], dtype="str")


def _history(bought: list[tuple[Any, ...]]) -> str:
    visits = [list(visit) for _, visit in groupby(bought, key=itemgetter(2))]
    baskets = [[visit[0][3], [line[4] for line in visit]] for visit in visits]
    return canonical({"baskets": baskets, "last": visits[-1][0][1]}).decode()
