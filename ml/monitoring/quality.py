"""How good answers turned out to be, once what customers did afterwards is known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from ml.contract import JsonObject

RESAMPLES = 2000
CONFIDENCE = 0.95


@dataclass(frozen=True, kw_only=True)
class Quality:
    """One figure over the answers whose outcome is known."""

    name: str
    mean: float
    interval: tuple[float, float]
    """95 % bootstrap interval over customers."""
    n_answers: int
    n_units: int
    offline: float | None = None
    """The version's figure of that name at its gate; none where the gate has no such figure."""
    higher_is_better: bool = True

    def loss(self) -> float | None:
        """Return the least relative loss against the gate's figure that the interval allows; none without one."""
        if not self.offline:
            return None
        best = self.interval[1] if self.higher_is_better else self.interval[0]
        change = (best - self.offline) / abs(self.offline)
        return -change if self.higher_is_better else change


def outcomes(
    answers: Iterable[JsonObject],
    events: Iterable[JsonObject],
    outcome: Callable[[JsonObject, list[JsonObject]], dict[str, float]],
) -> list[tuple[str, dict[str, float]]]:
    """Join each answer with the later events of its customer.

    Args:
        answers: Lines of the request log.
        events: Lines of the event log.
        outcome: The use case's own: figures of one answer, empty while nothing is known.

    Returns:
        Customer (a pseudonym) and figures, for each answer whose outcome is known.
    """
    known = []
    for answer, later in with_later(answers, events):
        figures = outcome(answer, [line["event"] for line in later]) if answer["unit"] and later else {}
        if figures:
            known.append((str(answer["unit"]), figures))
    return known


def with_later(
    answers: Iterable[JsonObject], events: Iterable[JsonObject]
) -> Iterator[tuple[JsonObject, list[JsonObject]]]:
    """Yield each line of the request log with its customer's later lines of the event log, in order of time."""
    by_unit: dict[str, list[JsonObject]] = {}
    for event in sorted(events, key=lambda line: str(line["time"])):
        by_unit.setdefault(event["unit"], []).append(event)
    for answer in answers:
        yield answer, [event for event in by_unit.get(answer["unit"], ()) if event["time"] > answer["time"]]


def summarise(known: Iterable[tuple[str, Mapping[str, float]]], seed: int) -> tuple[Quality, ...]:
    """Return the mean of each figure with an interval that resamples customers, not answers."""
    units: dict[str, dict[str, list[float]]] = {}
    for unit, figures in known:
        for name, value in figures.items():
            units.setdefault(name, {}).setdefault(unit, []).append(value)
    return tuple(_quality(name, values, seed) for name, values in sorted(units.items()))


def beside_offline(figures: Iterable[Quality], metrics: JsonObject, variant: str) -> tuple[Quality, ...]:
    """Put the figures of the gate beside those that were observed.

    Args:
        figures: What was observed.
        metrics: The version's `metrics.json`.
        variant: The variant that is live.
    """
    known: JsonObject = next((one["figures"] for one in metrics["contenders"] if one["name"] == variant), {})
    directions = {one["name"]: one["higher_is_better"] for one in metrics["metrics"]}
    return tuple(
        replace(one, offline=known[one.name]["value"], higher_is_better=directions[one.name])
        if one.name in known and one.name in directions
        else one
        for one in figures
    )


def _quality(name: str, by_unit: Mapping[str, list[float]], seed: int) -> Quality:
    sums = np.array([sum(values) for values in by_unit.values()])
    counts = np.array([len(values) for values in by_unit.values()], dtype=float)
    drawn = np.random.default_rng(seed).multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size=RESAMPLES)
    means = (drawn @ sums) / (drawn @ counts)
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Quality(
        name=name,
        mean=float(sums.sum() / counts.sum()),
        interval=(float(low), float(high)),
        n_answers=int(counts.sum()),
        n_units=len(sums),
    )
