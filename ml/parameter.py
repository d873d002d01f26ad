"""What changes the model: the typed sections of `params.yaml`, one top-level section per use case."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, ValidationError

from ml.errors import ConfigInvalid

P = TypeVar("P", bound="UseCaseParams")
Named: TypeAlias = Literal["metric", "rule"]
"""What a parameter can name that the use case has, and the data need not be read for."""
METRICS: dict[str, JsonValue] = {"names": "metric"}
"""`json_schema_extra` of a field whose keys or items are metrics of the use case."""
RULES: dict[str, JsonValue] = {"names": "rule"}
"""The same for data rules; `*` stands for any part of a name."""
SHOWN = 40  # names that an error lists
LEAP_YEAR = 2000


def searched(low: float, high: float, *, log: bool = False) -> dict[str, JsonValue]:
    """Return the `json_schema_extra` of a field that `tradewind tune` may vary.

    Args:
        low: Least value tried.
        high: Largest value tried.
        log: Whether equal ratios are as likely as equal steps.
    """
    return {"search": {"low": low, "high": high, "log": log}}


def ensure_known(where: str, found: Iterable[str], valid: Iterable[str]) -> None:
    """Refuse names that stand for nothing, with the names that do and the closest of them.

    Args:
        where: The parameter, as it stands in its file.
        found: What it names.
        valid: Every name that there is.

    Raises:
        ConfigInvalid: One of them names nothing.
    """
    known = sorted(valid)
    unknown = [name for name in found if name not in known]
    if not unknown:
        return
    near = {name: get_close_matches(name, known, n=1, cutoff=0.5) for name in unknown}
    told = [f"{name} (did you mean {close[0]}?)" if close else name for name, close in near.items()]
    more = f" and {len(known) - SHOWN} more" if len(known) > SHOWN else ""
    listed = f"{', '.join(known[:SHOWN])}{more}" if known else "none, for there are none,"
    raise ConfigInvalid(f"{where} to name {listed}", ", ".join(told), "Correct the parameter.")


def ensure_names(params: BaseModel, known: Callable[[Named], Iterable[str]], where: str) -> None:
    """Refuse parameters that name a metric or rule that does not exist.

    Args:
        params: A typed section.
        known: The names of a kind; asked only for kinds that the section names something of.
        where: The section's own name.

    Raises:
        ConfigInvalid: One of them names nothing.
    """
    for place, kind, found in _named(params, where):
        valid = tuple(known(kind))
        ensure_known(place, found if kind == "metric" else _unmatched(found, valid), valid)


def _unmatched(patterns: Iterable[str], valid: Iterable[str]) -> list[str]:
    return [pattern for pattern in patterns if not any(fnmatchcase(name, pattern) for name in valid)]


def _named(params: BaseModel, where: str) -> Iterator[tuple[str, Named, tuple[str, ...]]]:
    """Yield each field that names something, with the kind and the names."""
    for name, field in type(params).model_fields.items():
        value, place = getattr(params, name), f"{where}.{name}"
        if isinstance(value, BaseModel):
            yield from _named(value, place)
        elif value and field.json_schema_extra in (METRICS, RULES):
            yield place, "metric" if field.json_schema_extra == METRICS else "rule", tuple(value)


def _day_of_year(value: str) -> str:
    try:
        date.fromisoformat(f"{LEAP_YEAR}-{value}")
    except ValueError:
        raise ValueError("no day of a year, such as 12-25") from None
    return value


class Section(BaseModel):
    """A frozen section that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ChecksParams(Section):
    """When data are refused rather than quarantined row by row."""

    max_quarantined: float = Field(0.2, ge=0, le=1)
    """Largest share of a table's rows that may be quarantined before the run is blocked [0..1]."""
    freshness_days: int = Field(7, ge=0)
    """Largest age of the newest row at the as-of date [days]."""
    min_volume_ratio: float = Field(0.8, gt=0, le=1)
    """Smallest row count relative to the last accepted run, while too few runs were accepted to learn from."""
    max_volume_ratio: float = Field(2.0, ge=1)
    """Largest row count relative to the last accepted run, while too few runs were accepted to learn from."""
    closed_days: tuple[Annotated[str, Field(pattern=r"^[0-9]{2}-[0-9]{2}$"), AfterValidator(_day_of_year)], ...] = ()
    """Days of every year on which the shop is closed [MM-DD]: no row of them is awaited."""
    approve: tuple[str, ...] = Field((), json_schema_extra=RULES)
    """Rules that, where they fail without refusing, hold the run until a data owner accepts: names, `*` stands for any part."""


class AnonymiseParams(Section):
    """How far quasi-identifiers are generalised."""

    k: int = Field(5, ge=2)
    """Smallest group of customers that share the same generalised attributes."""


class GateParams(Section):
    """What a candidate must show before it may go live."""

    policy: Literal["superiority", "non_inferiority"] = "non_inferiority"
    """Against the model in production: better beyond chance, or not worse by more than the margin."""
    margin: float = Field(0.02, ge=0, le=0.5)
    """Largest tolerated loss of the primary metric, relative to production's and to the best of the last 90 days."""
    margins: dict[str, Annotated[float, Field(ge=0, le=10)]] = Field({}, json_schema_extra=METRICS)
    """The same for further metrics, by name."""
    limits: dict[str, Annotated[float, Field(allow_inf_nan=False)]] = Field({}, json_schema_extra=METRICS)
    """Floor (or, where less is better, ceiling) of a metric by its name, in its unit: the interval must stay within."""
    confidence: float = Field(0.95, gt=0.5, lt=1)
    """Confidence level of the intervals, two-sided."""
    resamples: int = Field(2000, ge=200)
    """Bootstrap resamples of the units."""
    compression_loss: float = Field(0.02, ge=0, le=0.5)
    """Largest relative loss of the primary metric a smaller variant may cost."""
    min_units: int = Field(100, ge=2)
    """Fewest test units on which a verdict may rest."""
    part_units: int = Field(50, ge=10)
    """Fewest test units of a part of the rows in which a loss is looked for."""
    part_loss: float = Field(0.05, ge=0, le=1)
    """A part refuses where the primary metric fell beyond chance and by more than this, relative to the yardstick's."""
    parity: float = Field(1e-3, gt=0, le=1)
    """Largest difference of a score of the most faithful variant from the trained network's, relative to their range."""
    agreement: float = Field(0.9, ge=0, le=1)
    """Least rank correlation of a variant's scores with the trained network's."""
    max_bytes: int = Field(100_000_000, gt=0)
    """Largest size of the exported variant [bytes]."""
    max_latency_ms: float = Field(100.0, gt=0)
    """Largest 95th percentile of the time the variant takes for one request, on one thread [ms]."""
    max_memory_bytes: int = Field(1_000_000_000, gt=0)
    """Largest peak of memory of a process that opens the variant and answers [bytes]."""
    seed: int = 20260101
    """Seed of the bootstrap."""


class ReleaseParams(Section):
    """What a version that passed the gate needs besides to go live."""

    approval: Literal["auto", "required"] = "auto"
    """`required`: a person on TRADEWIND_APPROVERS approves it. A run's form can ask for that too, and never do without it."""


class MonitorParams(Section):
    """When monitoring asks for a retraining."""

    window_days: int = Field(1, ge=1, le=90)
    """How far back recent requests reach [days]."""
    min_requests: int = Field(200, ge=1)
    """Fewest requests on which a verdict may rest."""
    effect: float = Field(0.2, gt=0, lt=1)
    """Smallest distance of a feature from its reference that counts as drift [0..1]."""
    alpha: float = Field(0.01, gt=0, lt=1)
    """Largest corrected p-value that counts as drift."""
    max_missing: float = Field(0.5, ge=0, le=1)
    """Largest share of a feature's values that may be lost before it is a data incident, not drift [0..1]."""
    outcome_days: int = Field(7, ge=1, le=90)
    """How far back answers reach whose outcome may have become known [days]."""
    max_quality_loss: float | None = Field(None, ge=0, le=1)
    """Largest loss of observed quality, relative to the version's figure at its gate; none reports it only [0..1]."""
    cooldown_hours: float = Field(24, ge=0, le=2160)
    """Shortest time between two retrainings that monitoring requests [h]."""
    max_retrains: int = Field(3, ge=0)
    """Most retrainings that monitoring requests within `retrain_days`; 0 requests none."""
    retrain_days: int = Field(7, ge=1, le=90)
    """The window of that budget [days]."""
    seed: int = 20260101
    """Seed of the bootstrap of observed quality."""


class UseCaseParams(Section):
    """The section of one use case; each use case narrows `features` and `train` to its own."""

    checks: ChecksParams = ChecksParams()
    anonymise: AnonymiseParams = AnonymiseParams()
    features: Section
    train: Section
    gate: GateParams = GateParams()
    release: ReleaseParams = ReleaseParams()
    monitor: MonitorParams = MonitorParams()


def parse(model: type[P], section: Mapping[str, Any], name: str) -> P:
    """Return the typed section.

    Raises:
        ConfigInvalid: A key is unknown, missing or out of range.
    """
    try:
        return model.model_validate(section)
    except ValidationError as error:
        faults = "; ".join(f"{name}.{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ConfigInvalid("valid parameters in params.yaml", faults, "Correct the keys named.") from error
