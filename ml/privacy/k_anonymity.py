"""k-anonymity: quasi-identifiers are generalised until every combination is shared by at least k customers.

Full-domain generalisation (Samarati 2001, doi:10.1109/69.971193; Sweeney 2002, doi:10.1142/S021848850200165X): each
ordered column is divided into ranges of neighbours, or becomes `*`. The division that loses least is taken, where a
suppressed row counts as losing everything: of all of them where there are few, else by descent from regular ranges.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise, product
from math import prod
from typing import Any

import numpy as np
import pandas as pd

from ml.privacy.diversity import Diversity, diversity_of

ANY = "*"
MISSING = "unknown"  # a value of its own: that something is not known also tells people apart
MAX_SUPPRESSED = 0.05  # share of rows that may be suppressed where a finer generalisation is worth it
EXACT = 500  # combinations of rungs that are all tried
RANGE = re.compile(r"(\d+)(?:-(\d+))?([^\d+-]*)(\+?)")  # 35, 35-44, 15-24K, 250K+


@dataclass(frozen=True, kw_only=True)
class Rung:
    """One generalisation of a column: each value's label, and what it loses."""

    labels: Mapping[str, str]
    loss: Mapping[str, float]
    """Normalised certainty penalty of each value [0..1]: (values the label covers − 1) / (all values − 1)."""
    cuts: frozenset[int] | None = None
    """Where ranges of an ordered column begin, but for the first; none of `*` and of columns without order."""


@dataclass(frozen=True, kw_only=True)
class Generalised:
    """Rows after generalisation."""

    rows: pd.DataFrame
    """As given, the columns replaced by labels; suppressed rows have `*` in all of them."""
    suppressed: int
    k: int
    """Smallest group, the suppressed rows being one of them; less than was asked only where there are fewer rows than
    that; 0 if there is none."""
    groups: int
    """Groups that were not suppressed."""
    loss: float
    """Mean normalised certainty penalty over rows and columns [0..1]; a suppressed row loses 1."""
    diversity: Mapping[str, Diversity]
    """For each sensitive column how many values the groups hold of it, the suppressed rows being one of them."""
    labels: Mapping[str, Mapping[str, int]]
    """For each column, the rows that bear each label; labels only, never a value that somebody is alone with."""


def generalise(
    rows: pd.DataFrame, orders: Mapping[str, Sequence[str]], k: int, sensitive: Sequence[str] = ()
) -> Generalised:
    """Generalise the columns so that each combination of labels has at least k rows.

    Args:
        rows: Strings; missing values count as a value of their own. May be empty.
        orders: For each column its values from low to high, so that neighbours merge; empty where there is no order:
            then a value stays or becomes `*`.
        k: Smallest group, at least 2.
        sensitive: Columns whose diversity within the groups is told; they change nothing.
    """
    columns = list(orders)
    filled = rows.assign(**{name: rows[name].astype(object).fillna(MISSING).astype(str) for name in columns})
    domains = {name: _domain(filled[name], orders[name]) for name in columns if orders[name]}
    ladders = {
        name: ordered_ladder(domains[name]) if name in domains else unordered_ladder(filled[name], k)
        for name in columns
    }
    chosen = (
        _search(filled[columns], domains, ladders, k) if len(filled) else [ladder[0] for ladder in ladders.values()]
    )
    return _apply(filled, dict(zip(columns, chosen, strict=True)), k, sensitive)


def ordered_ladder(domain: Sequence[str]) -> list[Rung]:
    """Return the generalisations of an ordered column from fine to coarse: neighbours merged by 2, 4, 8, … and `*`.

    Args:
        domain: Its values from low to high; a missing value is kept apart until `*`.
    """
    widths = [1]
    while 2 * widths[-1] < len(domain):
        widths.append(2 * widths[-1])
    return [*(divided(domain, range(width, len(domain), width)) for width in widths), _everything(domain)]


def all_divisions(domain: Sequence[str]) -> list[Rung]:
    """Return every division of an ordered column into ranges, and `*`, those with more ranges first."""
    inner = range(1, len(domain))
    cuts = [some for n in reversed(range(len(domain) or 1)) for some in combinations(inner, n)]
    return [*(divided(domain, some) for some in cuts), _everything(domain)]


def divided(domain: Sequence[str], cuts: Iterable[int]) -> Rung:
    """Return the generalisation of an ordered column whose ranges begin at its first value and at the cuts."""
    labels, loss, some = {MISSING: MISSING}, {MISSING: 0.0}, sorted(cuts)
    for start, end in pairwise([0, *some, len(domain)]):
        together = domain[start:end]
        labels |= {value: merged_label(together[0], together[-1]) for value in together}
        loss |= dict.fromkeys(together, (len(together) - 1) / max(len(domain) - 1, 1))
    return Rung(labels=labels, loss=loss, cuts=frozenset(some))


def unordered_ladder(values: pd.Series, k: int) -> list[Rung]:
    """Return the generalisations of a column without order: all values, those that k rows or more share, `*`."""
    count = values.value_counts()
    known = sorted(name for name in count.index if name != MISSING)
    rare = [name for name in known if count[name] < k]
    own = {value: value for value in (*known, MISSING)}
    free = dict.fromkeys(own, 0.0)
    frequent = Rung(labels={**own, **dict.fromkeys(rare, ANY)}, loss={**free, **dict.fromkeys(rare, 1.0)})
    return [Rung(labels=own, loss=free), frequent, _everything(known)]


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


def _domain(values: pd.Series, order: Sequence[str]) -> list[str]:
    """Return the values from low to high; those the order does not know come last."""
    outside = set(values.unique()) - {MISSING, *order}
    return [value for value in (*order, *sorted(outside)) if value != MISSING]


def _everything(known: Sequence[str]) -> Rung:
    values = (*known, MISSING)
    return Rung(labels=dict.fromkeys(values, ANY), loss=dict.fromkeys(values, 1.0))


def _search(
    filled: pd.DataFrame, domains: Mapping[str, Sequence[str]], ladders: Mapping[str, Sequence[Rung]], k: int
) -> list[Rung]:
    """Return the rungs that lose least; each distinct combination of values is looked at once, however many rows."""
    counted = filled.value_counts(sort=False).sort_index()
    values, count = counted.index.to_frame(index=False), counted.to_numpy()

    known: dict[tuple[str, int], tuple[Rung, tuple[np.ndarray, np.ndarray]]] = {}  # a rung kept alive keeps its id

    def coded(name: str, rung: Rung) -> tuple[np.ndarray, np.ndarray]:
        if (name, id(rung)) not in known:
            known[name, id(rung)] = rung, _coded(values[name], rung)
        return known[name, id(rung)][1]

    def cost(rungs: Iterable[Rung]) -> tuple[bool, float]:
        return _cost([coded(name, rung) for name, rung in zip(ladders, rungs, strict=True)], count, k)

    sizes = (2 ** max(len(domains[name]) - 1, 0) + 1 if name in domains else len(ladders[name]) for name in ladders)
    if prod(sizes) <= EXACT:
        every = [all_divisions(domains[name]) if name in domains else ladders[name] for name in ladders]
        return list(min(product(*every), key=cost))
    return _descended(list(min(product(*ladders.values()), key=cost)), list(ladders), domains, cost)


def _descended(
    rungs: list[Rung], names: Sequence[str], domains: Mapping[str, Sequence[str]], cost: Callable[[list[Rung]], Any]
) -> list[Rung]:
    """Merge or part neighbouring ranges, at one place or two at once, what helps most first, until nothing helps."""
    places = [(at, cut) for at, name in enumerate(names) for cut in range(1, len(domains.get(name, ())))]
    changes = [*combinations(places, 1), *combinations(places, 2)]
    made: dict[tuple[str, frozenset[int]], Rung] = {}

    def changed(change: Iterable[tuple[int, int]]) -> list[Rung]:
        near = list(rungs)
        for at, cut in change:
            key = names[at], (near[at].cuts or frozenset()) ^ {cut}
            near[at] = made.get(key) or made.setdefault(key, divided(domains[key[0]], key[1]))
        return near

    least = cost(rungs)
    while changes:
        best = min(map(changed, changes), key=cost)
        if (found := cost(best)) >= least:
            break
        rungs, least = best, found
    return rungs


def _coded(values: pd.Series, rung: Rung) -> tuple[np.ndarray, np.ndarray]:
    """Return each value's label as a number, and what it loses."""
    return pd.factorize(values.map(rung.labels))[0], values.map(rung.loss).to_numpy(dtype=float)


def _cost(taken: Sequence[tuple[np.ndarray, np.ndarray]], count: np.ndarray, k: int) -> tuple[bool, float]:
    """Return what is compared: whether too many rows are suppressed, then the mean loss."""
    group = np.zeros(len(count), dtype=np.int64)
    for code, _ in taken:
        group = pd.factorize(group * (code.max() + 1) + code)[0]
    kept = np.mean([loss for _, loss in taken], axis=0)
    sizes = np.bincount(group, weights=count)
    losses = np.zeros(len(sizes))
    losses[group] = kept  # rows of a group have the same labels, so they lose the same
    gone = hidden_groups(sizes, losses, k)[group]
    loss = np.where(gone, 1.0, kept)
    rows = count.sum()
    return bool(count[gone].sum() > MAX_SUPPRESSED * rows), float((loss * count).sum() / rows)


def hidden_groups(sizes: np.ndarray, losses: np.ndarray, k: int) -> np.ndarray:
    """Return which groups are suppressed, as booleans: those below k, and one more where these are fewer than k together.

    Who is alone in what was suppressed is as easy to find as who is alone elsewhere. So the group that costs least goes
    too, unless the suppressed rows join a group of which nothing is told anyway.

    Args:
        sizes: Rows of each group `(n_groups,)`, in an order that does not depend on that of the rows.
        losses: What a row of each loses [0..1]; 1 where nothing is told of it.
        k: Smallest group.
    """
    gone = np.asarray(sizes < k)
    alone = sizes[gone | (losses >= 1.0)].sum()
    if gone.any() and alone < k and not gone.all():
        cost = np.where(gone, np.inf, sizes * (1.0 - losses))
        gone[int(np.argmin(cost))] = True
    return gone


def _apply(filled: pd.DataFrame, chosen: Mapping[str, Rung], k: int, sensitive: Sequence[str]) -> Generalised:
    columns = list(chosen)
    labelled = filled.assign(**{name: filled[name].map(rung.labels).astype("str") for name, rung in chosen.items()})
    losses = np.mean([filled[name].map(rung.loss).to_numpy(dtype=float) for name, rung in chosen.items()], axis=0)
    groups = labelled[columns].assign(loss=losses).groupby(columns)["loss"].agg(["size", "first"])
    gone = hidden_groups(groups["size"].to_numpy(), groups["first"].to_numpy(), k)
    hidden = gone[labelled.groupby(columns).ngroup().to_numpy()] if len(filled) else np.zeros(0, dtype=bool)
    rows = labelled.assign(**{name: labelled[name].mask(hidden, ANY) for name in columns})
    return Generalised(
        rows=rows,
        suppressed=int(hidden.sum()),
        k=int(rows.groupby(columns).size().min()) if len(rows) else 0,
        groups=int((~gone).sum()),
        loss=float(np.where(hidden, 1.0, losses).mean()) if len(filled) else 0.0,
        diversity={name: diversity_of(rows, columns, name) for name in sensitive},
        labels={name: {str(at): int(n) for at, n in rows[name].value_counts().items()} for name in columns},
    )
