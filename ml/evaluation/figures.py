"""Turns per-row values into figures with intervals: of each contender, of each difference, of each slice."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from ml.contract import JsonObject, Judgement, Metric
from ml.evaluation.bootstrap import Column, Draws, Estimate, resample
from ml.evaluation.contender import Contender, Kind
from ml.evaluation.part import Slice, search_parts, slices
from ml.evaluation.statistic import Ratio
from ml.parameter import GateParams

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

METRICS_SCHEMA = "tradewind/metrics/1"
SLICE_UNITS = 10  # a slice of fewer units shows no figure: too noisy, and too close to single customers
DIGITS = 10  # decimals kept: far below any interval's width


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Every contender's figures, all from the same draws."""

    judgement: Judgement
    contenders: tuple[Contender, ...]
    draws: Draws
    slices: tuple[Slice, ...]
    """The parts that are shown."""
    parts: tuple[Slice, ...]
    """The parts in which a loss is looked for: of these and of all pairs of columns, those with enough units."""
    units: int

    def find(self, kind: Kind, name: str) -> Contender | None:
        """Return a contender; none if there is no such one."""
        return next((one for one in self.contenders if (one.kind, one.name) == (kind, name)), None)

    def contender(self, kind: Kind, name: str) -> Contender:
        """Return a contender that must be there; raise `KeyError` if it is not."""
        found = self.find(kind, name)
        if found is None:
            raise KeyError(name)
        return found

    def of(self, contender: Contender) -> dict[str, Estimate]:
        """Return the contender's figure for each declared metric; without evidence where it has none."""
        return {one.name: self.draws.figure(_key(contender, one.name)) for one in self.judgement.metrics}

    def gain(self, contender: Contender, other: Contender, metric: str, part: Slice | None = None) -> Estimate:
        """Return how much better the first is, in the metric's unit; over all rows or those of a part."""
        own, others = (_key(one, metric, part) for one in (contender, other))
        return self.draws.difference(own, others, self.judgement.metric(metric).sign)

    def relative_gain(self, contender: Contender, other: Contender, metric: str) -> Estimate:
        """Return how much better the first is, relative to the other."""
        return self.draws.relative(_key(contender, metric), _key(other, metric), self.judgement.metric(metric).sign)

    def relative_gains(self, contender: Contender, other: Contender) -> dict[str, Estimate]:
        """Return the same for each declared metric."""
        return {one.name: self.relative_gain(contender, other, one.name) for one in self.judgement.metrics}

    def part_shift(self, contender: Contender, other: Contender, part: Slice) -> tuple[float, float, float]:
        """Return how much better the first is in a part in the primary metric, the standard error, and the other's figure."""
        metric = self.judgement.metric(self.judgement.primary)
        own, others = (_key(one, metric.name, part) for one in (contender, other))
        return (*self.draws.shift(own, others, metric.sign), self.draws.figure(others).value)


def work_out(
    judgement: Judgement, contenders: Sequence[Contender], examples: pd.DataFrame, params: GateParams
) -> Figures:
    """Resample the units once for all contenders, metrics and slices."""
    shown = tuple(slices(examples, judgement.slices))
    parts = tuple(search_parts(shown, examples, params.part_units))
    return Figures(
        judgement=judgement,
        contenders=tuple(contenders),
        draws=resample(
            dict(_columns(judgement, contenders, shown, parts)),
            examples["unit"].to_numpy(dtype=object),
            resamples=params.resamples,
            confidence=params.confidence,
            seed=params.seed,
        ),
        slices=shown,
        parts=parts,
        units=int(examples["unit"].nunique()),
    )


def document(figures: Figures, examples: pd.DataFrame, params: GateParams) -> JsonObject:
    """Return all figures as plain JSON (schema `METRICS_SCHEMA`)."""
    return {
        "schema": METRICS_SCHEMA,
        "primary": figures.judgement.primary,
        "naive": figures.judgement.naive,
        "metrics": [_described(one) for one in figures.judgement.metrics],
        "interval": {"confidence": params.confidence, "resamples": params.resamples, "seed": params.seed},
        "test": _test_set(figures, examples),
        "contenders": [_contender(figures, one) for one in figures.contenders],
        "differences": list(_differences(figures)),
        "slices": [_slice(figures, part) for part in figures.slices],
    }


def column(metric: Metric, values: Mapping[str, NDArray[np.float64]], mask: NDArray[np.bool_] | None = None) -> Column:
    """Return a metric over some rows in the form that `resample` takes.

    Args:
        metric: The metric.
        values: `metric.columns` at least, each `(n_rows,)`.
        mask: Rows that count; none means all.
    """
    import numpy as np

    if metric.statistic is None:
        own = values[metric.name]
        return own if mask is None else np.where(mask, own, np.nan)
    if isinstance(metric.statistic, Ratio):
        top, bottom = (values[name] for name in (metric.statistic.top, metric.statistic.bottom))
        return (top, bottom) if mask is None else (np.where(mask, top, 0.0), np.where(mask, bottom, 0.0))
    rows = np.arange(len(values[metric.parts[0]])) if mask is None else np.flatnonzero(mask)
    parts, statistic = {name: values[name][rows] for name in metric.parts}, metric.statistic
    return lambda weights: statistic(parts, weights[:, rows])


def day(moment: pd.Timestamp) -> str | None:
    """Return a day; none where rows bear no time."""
    import pandas as pd

    return None if pd.isna(moment) else str(moment)[:10]


def plain(estimate: Estimate) -> JsonObject:
    """Return an estimate as JSON; what is not known is null."""
    return {name: _number(value) for name, value in asdict(estimate).items()}


def _columns(
    judgement: Judgement, contenders: Sequence[Contender], shown: Sequence[Slice], parts: Sequence[Slice]
) -> Iterator[tuple[Hashable, Column]]:
    is_first = all(one.kind != "production" for one in contenders)
    for contender in contenders:
        is_compared = contender.kind != "baseline" or (is_first and contender.name == judgement.naive)
        for metric in (one for one in judgement.metrics if contender.values.keys() >= set(one.columns)):
            yield _key(contender, metric.name), column(metric, contender.values)
            for part in (*shown, *parts) if is_compared and metric.name == judgement.primary else shown:
                yield _key(contender, metric.name, part), column(metric, contender.values, part.mask)


def _described(metric: Metric) -> JsonObject:
    shown = ("name", "higher_is_better", "unit", "description")
    return {name: getattr(metric, name) for name in shown}


def _key(contender: Contender, metric: str, part: Slice | None = None) -> tuple[str, ...]:
    where = () if part is None else (part.column, part.value)
    return (contender.kind, contender.name, metric, *where)


def _test_set(figures: Figures, examples: pd.DataFrame) -> JsonObject:
    times = examples["time"]
    return {
        "rows": len(examples),
        "units": figures.units,
        "unit": figures.judgement.units,
        "first": day(times.min()),
        "last": day(times.max()),
    }


def _contender(figures: Figures, contender: Contender) -> JsonObject:
    return {
        "name": contender.name,
        "kind": contender.kind,
        "bytes": contender.size_bytes,
        "fault": contender.fault,
        "figures": {name: plain(estimate) for name, estimate in figures.of(contender).items()},
        "summary": {name: _number(value) for name, value in contender.summary.items()},
    }


def _differences(figures: Figures) -> Iterator[JsonObject]:
    """Yield each variant against everything else, for each metric; a positive gain is better."""
    for variant in (one for one in figures.contenders if one.kind == "variant"):
        for other in (one for one in figures.contenders if one is not variant):
            for metric in figures.judgement.metrics:
                yield {
                    "of": variant.name,
                    "against": other.name,
                    "kind": other.kind,
                    "metric": metric.name,
                    "gain": plain(figures.gain(variant, other, metric.name)),
                    "relative": plain(figures.relative_gain(variant, other, metric.name)),
                }


def _slice(figures: Figures, part: Slice) -> JsonObject:
    shown = part.units >= SLICE_UNITS
    return {
        "column": part.column,
        "value": part.value,
        "rows": part.rows,
        "units": part.units,
        "figures": {
            f"{one.kind}:{one.name}": _slice_figures(figures, one, part) for one in figures.contenders if shown
        },
        "gains": list(_slice_gains(figures, part)) if shown else [],
    }


def _slice_figures(figures: Figures, contender: Contender, part: Slice) -> Mapping[str, JsonObject]:
    names = (one.name for one in figures.judgement.metrics)
    return {name: plain(figures.draws.figure(_key(contender, name, part))) for name in names}


def _slice_gains(figures: Figures, part: Slice) -> Iterator[JsonObject]:
    """Yield each variant against each earlier version in a part, in the primary metric."""
    primary = figures.judgement.primary
    for variant in (one for one in figures.contenders if one.kind == "variant"):
        for other in (one for one in figures.contenders if one.kind == "production"):
            gain = plain(figures.gain(variant, other, primary, part))
            yield {"of": variant.name, "against": other.name, "metric": primary, "gain": gain}


def _number(value: float) -> float | None:
    return round(float(value), DIGITS) if math.isfinite(value) else None
