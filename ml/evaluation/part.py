"""Parts of the test rows: by one column to be shown, by one or two columns to look for losses in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

SLICE_VALUES = 20  # most frequent values of a slice column that are shown one by one
MISSING, OTHER = "(missing)", "(other)"


@dataclass(frozen=True, kw_only=True)
class Slice:
    """The test rows with one value of a column."""

    column: str
    value: str
    rows: int
    units: int
    mask: NDArray[np.bool_]


def slices(examples: pd.DataFrame, columns: Iterable[str]) -> Iterator[Slice]:
    """Yield the parts of the test rows, by column, then by value; rare values together as `(other)`."""
    for column in columns:
        labels = examples[column].astype("object").where(examples[column].notna(), MISSING).astype(str)
        counts = labels.value_counts()
        frequent = sorted(counts.index, key=lambda value: (-counts[value], value))[:SLICE_VALUES]
        labels = labels.where(labels.isin(frequent), OTHER)
        for value in _ordered(examples[column], set(labels)):
            mask = (labels == value).to_numpy()
            units = int(examples.loc[mask, "unit"].nunique())
            yield Slice(column=column, value=value, rows=int(mask.sum()), units=units, mask=mask)


def search_parts(shown: Sequence[Slice], examples: pd.DataFrame, least_units: int) -> Iterator[Slice]:
    """Yield the slices, and what two of different columns have in common, that have enough units; equal rows once."""
    import numpy as np
    import pandas as pd

    codes = pd.factorize(examples["unit"])[0]
    seen: set[bytes] = set()
    for part in (*shown, *(_both(*pair) for pair in combinations(shown, 2) if pair[0].column != pair[1].column)):
        units = len(np.unique(codes[part.mask]))
        same = part.mask.tobytes()
        if least_units <= units and not part.mask.all() and same not in seen:
            seen.add(same)
            yield replace(part, units=units)


def _both(one: Slice, other: Slice) -> Slice:
    """Return what two slices have in common; its units are not counted yet."""
    mask = one.mask & other.mask
    name, value = f"{one.column} × {other.column}", f"{one.value} × {other.value}"
    return Slice(column=name, value=value, rows=int(mask.sum()), units=0, mask=mask)


def _ordered(column: pd.Series, values: set[str]) -> list[str]:
    """Return values in numeric order where the column is numeric, else by name; missing and others last."""
    known = values - {MISSING, OTHER}
    by_value = {str(value): value for value in column.dropna().unique()}
    ordered = sorted(known, key=lambda value: by_value[value] if column.dtype.kind in "iufb" else value)
    return [*ordered, *(value for value in (OTHER, MISSING) if value in values)]
