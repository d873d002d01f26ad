"""k-anonymity: quasi-identifiers are generalised until every combination is shared by at least k customers.

Full-domain generalisation (Samarati 2001, doi:10.1109/69.971193; Sweeney 2002, doi:10.1142/S021848850200165X): each
column climbs a ladder from its own values over merged neighbours to `*`. Of all combinations of rungs the one that
loses least is taken, where a suppressed row counts as losing everything.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd

ANY = "*"
MISSING = "unknown"  # a value of its own: that something is not known also tells people apart
MAX_SUPPRESSED = 0.05  # share of rows that may be suppressed where a finer generalisation is worth it
RANGE = re.compile(r"(\d+)(?:-(\d+))?([^\d+-]*)(\+?)")  # 35, 35-44, 15-24K, 250K+


@dataclass(frozen=True, kw_only=True)
class Rung:
    """One generalisation of a column: each value's label, and what it loses."""

    labels: Mapping[str, str]
    loss: Mapping[str, float]
    """Normalised certainty penalty of each value [0..1]: (values the label covers − 1) / (all values − 1)."""


@dataclass(frozen=True, kw_only=True)
class Generalised:
    """Rows after generalisation."""

    rows: pd.DataFrame
    """As given, the columns replaced by labels; suppressed rows have `*` in all of them."""
    suppressed: int
    k: int
    """Smallest group among the rows that were not suppressed; 0 if there is none."""
    groups: int
    loss: float
    """Mean normalised certainty penalty over rows and columns [0..1]; a suppressed row loses 1."""
    labels: Mapping[str, Mapping[str, int]]
    """For each column, the rows that bear each label; labels only, never a value that somebody is alone with."""


def generalise(rows: pd.DataFrame, orders: Mapping[str, Sequence[str]], k: int) -> Generalised:
    """Generalise the columns so that each combination of labels has at least k rows.

    Args:
        rows: Strings; missing values count as a value of their own. May be empty.
        orders: For each column its values from low to high, so that neighbours merge; empty where there is no order:
            then a value stays or becomes `*`.
        k: Smallest group, at least 2.
    """
    columns = list(orders)
    filled = rows.assign(**{name: rows[name].astype(object).fillna(MISSING).astype(str) for name in columns})
    ladders = {name: _ladder_of(filled[name], orders[name], k) for name in columns}
    best = _best(filled[columns], ladders, k) if len(filled) else (0,) * len(columns)
    chosen = {name: ladders[name][rung] for name, rung in zip(columns, best, strict=True)}
    return _apply(filled, chosen, k)


def ordered_ladder(domain: Sequence[str]) -> list[Rung]:
    """Return the generalisations of an ordered column from fine to coarse: neighbours merged by 2, 4, 8, … and `*`.

    Args:
        domain: Its values from low to high; a missing value is kept apart until `*`.
    """
    known = [value for value in domain if value != MISSING]
    widths = [1]
    while 2 * widths[-1] < len(known):
        widths.append(2 * widths[-1])
    return [*(_merged(known, width) for width in widths), _everything(known)]


def unordered_ladder(values: pd.Series, k: int) -> list[Rung]:
    """Return the generalisations of a column without order: all values, those that k rows or more share, `*`."""
    count = values.value_counts()
    known = sorted(name for name in count.index if name != MISSING)
    rare = [name for name in known if count[name] < k]
    own, none = _merged(known, 1), _everything(known)
    frequent = Rung(
        labels={**own.labels, **dict.fromkeys(rare, ANY)},
        loss={**own.loss, **dict.fromkeys(rare, 1.0)},
    )
    return [own, frequent, none]


def merged_label(first: str, last: str) -> str:
    """Return `35-54` for `35-44` and `45-54`, `4+` for `4` and `5+`, and `a … c` where the ends are no ranges."""
    if first == last:
        return first
    low, high = RANGE.fullmatch(first), RANGE.fullmatch(last)
    if low and high:
        return f"{low[1]}{high[3]}+" if high[4] else f"{low[1]}-{high[2] or high[1]}{high[3]}"
    if first.lower().startswith("under ") and high and not high[4]:
        return f"up to {high[2] or high[1]}{high[3]}"
    return f"{first} … {last}"


def _ladder_of(values: pd.Series, order: Sequence[str], k: int) -> list[Rung]:
    if not order:
        return unordered_ladder(values, k)
    outside = set(values.unique()) - {MISSING, *order}
    return ordered_ladder([*order, *sorted(outside)])


def _merged(known: Sequence[str], width: int) -> Rung:
    labels, loss = {MISSING: MISSING}, {MISSING: 0.0}
    for start in range(0, len(known), width):
        together = known[start : start + width]
        labels |= dict.fromkeys(together, merged_label(together[0], together[-1]))
        loss |= dict.fromkeys(together, (len(together) - 1) / max(len(known) - 1, 1))
    return Rung(labels=labels, loss=loss)


def _everything(known: Sequence[str]) -> Rung:
    values = (*known, MISSING)
    return Rung(labels=dict.fromkeys(values, ANY), loss=dict.fromkeys(values, 1.0))


def _best(filled: pd.DataFrame, ladders: Mapping[str, Sequence[Rung]], k: int) -> tuple[int, ...]:
    """Return the rungs that lose least; each distinct combination of values is looked at once, however many rows."""
    counted = filled.value_counts(sort=False).sort_index()
    values, count = counted.index.to_frame(index=False), counted.to_numpy()
    coded = [[_coded(values[name], rung) for rung in ladder] for name, ladder in ladders.items()]
    choices = product(*(range(len(ladder)) for ladder in coded))
    return min(choices, key=lambda rungs: (_cost([c[r] for c, r in zip(coded, rungs, strict=True)], count, k), rungs))


def _coded(values: pd.Series, rung: Rung) -> tuple[np.ndarray, np.ndarray]:
    """Return each value's label as a number, and what it loses."""
    return pd.factorize(values.map(rung.labels))[0], values.map(rung.loss).to_numpy(dtype=float)


def _cost(taken: Sequence[tuple[np.ndarray, np.ndarray]], count: np.ndarray, k: int) -> tuple[bool, float]:
    """Return what is compared: whether too many rows are suppressed, then the mean loss."""
    group = np.zeros(len(count), dtype=np.int64)
    for code, _ in taken:
        group = pd.factorize(group * (code.max() + 1) + code)[0]
    lonely = np.bincount(group, weights=count)[group] < k
    loss = np.where(lonely, 1.0, np.mean([loss for _, loss in taken], axis=0))
    rows = count.sum()
    return bool(count[lonely].sum() > MAX_SUPPRESSED * rows), float((loss * count).sum() / rows)


def _apply(filled: pd.DataFrame, chosen: Mapping[str, Rung], k: int) -> Generalised:
    columns = list(chosen)
    labelled = filled.assign(**{name: filled[name].map(rung.labels).astype("str") for name, rung in chosen.items()})
    lonely = (labelled.groupby(columns)[columns[0]].transform("size") < k).to_numpy()
    losses = np.mean([filled[name].map(rung.loss).to_numpy(dtype=float) for name, rung in chosen.items()], axis=0)
    kept = labelled.loc[~lonely].groupby(columns).size()
    rows = labelled.assign(**{name: labelled[name].mask(lonely, ANY) for name in columns})
    return Generalised(
        rows=rows,
        suppressed=int(lonely.sum()),
        k=int(kept.min()) if len(kept) else 0,
        groups=len(kept),
        loss=float(np.where(lonely, 1.0, losses).mean()) if len(filled) else 0.0,
        labels={name: {str(at): int(n) for at, n in rows[name].value_counts().items()} for name in columns},
    )
