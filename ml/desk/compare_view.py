"""Two versions of a use case side by side: figures with intervals, over all test rows and in parts, and what lies between them.

Only what gates have stored is read. Where one was judged against the other, both were measured on the same rows and the
difference is paired; else each figure comes from its own gate report, on its own rows, and no difference is told.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ml.config import Settings
from ml.contract import JsonObject
from ml.desk.document import DIGEST, Judgement, gate, judgement
from ml.desk.live_view import CANDIDATE, CHANNEL
from ml.desk.reading import Reading
from ml.errors import ModelNotFound
from ml.registry.ledger import Ledger
from ml.registry.live import Live

LABEL = 17  # characters of a name beside a figure
CHOICES = 30  # newest versions of the ledger among which a reader chooses
EARLIER = {"production": "production", "best": "best_90_days"}
"""Whom a gate measures beside a candidate: as its verdict's details name them, and as a contender."""


@dataclass(frozen=True, kw_only=True)
class Side:
    """One of the two: a version, or a run whose candidate became none."""

    name: str
    """A digest, or a run's id: as in the address."""
    judged: Judgement
    metrics: JsonObject

    @property
    def is_version(self) -> bool:
        """Tell whether it is a version."""
        return DIGEST.fullmatch(self.name) is not None

    @property
    def label(self) -> str:
        """Return what a reader tells it by: the start of a digest, or the moment of a run."""
        name = self.name.removeprefix("sha256:")[:12] if self.is_version else self.name.rpartition("__")[2]
        return name[:LABEL]

    @property
    def own(self) -> Reading:
        """Return what its own gate report says of it."""
        return Reading(metrics=self.metrics, kind="variant", name=str(self.judged.variant))

    def seen(self, other: Side) -> Reading | None:
        """Return what this one's gate report says of the other; none where that was not measured beside it."""
        details = self.judged.verdict.get("details", {})
        roles = (name for role, name in EARLIER.items() if other.name == details.get(role))
        readings = (Reading(metrics=self.metrics, kind="production", name=name) for name in roles)
        return next((one for one in readings if one.figures), None)


@dataclass(frozen=True, kw_only=True)
class Line:
    """One figure of both."""

    name: str
    unit: str = ""
    is_higher_better: bool
    units: int | None = None
    """Test units of a part."""
    one: JsonObject | None
    other: JsonObject | None
    gain: JsonObject | None
    """How much better the first is, in the figure's unit."""
    relative: JsonObject | None = None
    """The same, relative to the other."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Both, and their figures."""

    one: Side
    other: Side
    is_paired: bool
    """Both were measured on the same rows, those of the first's gate report."""
    primary: str
    metrics: list[Line]
    parts: dict[str, list[Line]]
    """By column: the primary figure in each part of the test rows."""

    @property
    def has_part_gains(self) -> bool:
        """Tell whether the gate kept differences in parts; older reports have none."""
        return any(line.gain for lines in self.parts.values() for line in lines)


@dataclass(frozen=True, kw_only=True)
class ComparePage:
    """What can be compared, and what is."""

    choices: list[str]
    """Digests, newest first."""
    one: str | None
    other: str | None
    live: Live | None
    """What is in production."""
    found: Comparison | None
    """None where there are no two."""


def compare_page(settings: Settings, use_case: str, one: str | None, other: str | None) -> ComparePage:
    """Return a comparison; without names, of what waits as a candidate, or came last, with what is in production.

    Raises:
        ModelNotFound: There is no such version, or no gate report of such a run.
    """
    view = Ledger.open(settings, use_case)
    choices = list(dict.fromkeys(entry.to_digest for entry in reversed(view.entries) if entry.to_digest))[:CHOICES]
    live, waits = view.live(CHANNEL), view.live(CANDIDATE)
    other = other or (live.digest if live else None)
    newest = (waits.digest, *choices) if waits else choices
    one = one or next((digest for digest in newest if digest != other), None)
    is_pair = one is not None and other is not None and one != other
    found = compare(side(settings, view, str(one)), side(settings, view, str(other))) if is_pair else None
    return ComparePage(choices=choices, one=one, other=other, live=live, found=found)


def side(settings: Settings, view: Ledger, name: str) -> Side:
    """Return a version of a ledger's use case by its digest, or a run's candidate by the run's id."""
    if DIGEST.fullmatch(name):
        judged = gate(settings, view.use_case, name, view.run_of(name))
    else:
        judged = judgement(settings, view.use_case, name, "evaluate")
    if judged.metrics is None:
        raise ModelNotFound(f"figures of {name}", "none", "Its gate got no further; open the run.")
    return Side(name=name, judged=judged, metrics=judged.metrics)


def compare(one: Side, other: Side) -> Comparison:
    """Compare two; the one that was judged against the other stands first."""
    if other.seen(one) and not one.seen(other):
        one, other = other, one
    seen = one.seen(other)
    readings = one.own, seen or other.own
    parts: dict[str, list[Line]] = {}
    for column, line in _parts(*readings):
        parts.setdefault(column, []).append(line)
    return Comparison(
        one=one,
        other=other,
        is_paired=seen is not None,
        primary=one.metrics["primary"],
        metrics=list(_lines(*readings)),
        parts=parts,
    )


def _lines(one: Reading, other: Reading) -> Iterator[Line]:
    between = one.gains(other)
    for metric in one.metrics["metrics"]:
        difference = between.get(metric["name"], {})
        yield Line(
            name=metric["name"],
            unit=metric.get("unit", ""),
            is_higher_better=metric.get("higher_is_better", True),
            one=one.figures.get(metric["name"]),
            other=other.figures.get(metric["name"]),
            gain=difference.get("gain"),
            relative=difference.get("relative"),
        )


def _parts(one: Reading, other: Reading) -> Iterator[tuple[str, Line]]:
    others = {(part["column"], part["value"]): figure for part, figure in other.parts()}
    primary = next(line for line in one.metrics["metrics"] if line["name"] == one.metrics["primary"])
    for part, figure in one.parts():
        yield (
            part["column"],
            Line(
                name=part["value"],
                unit=primary.get("unit", ""),
                is_higher_better=primary.get("higher_is_better", True),
                units=part["units"],
                one=figure,
                other=others.get((part["column"], part["value"])),
                gain=one.part_gain(part, other),
            ),
        )
