"""What a use case is, and the records that stages exchange.

The pipeline owns when and in what order; a `UseCase` says what is particular. Nothing here
imports a heavy library: a record's functions import what they need when they are called.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    import ibis
    import numpy as np
    import pandas as pd
    from pydantic import BaseModel

    from ml.parameter import UseCaseParams

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"
JsonObject: TypeAlias = dict[str, Any]
Arrays: TypeAlias = "Mapping[str, np.ndarray]"
"""Model inputs by name; the first axis of each is the row."""
Frames: TypeAlias = "Mapping[str, pd.DataFrame]"
"""Tables by name."""
Expressions: TypeAlias = "Mapping[str, ibis.Table]"
"""Tables by name, as Ibis expressions: DuckDB on one machine, Spark on a cluster."""

Statistic: TypeAlias = "Callable[[Mapping[str, np.ndarray], np.ndarray], np.ndarray]"
"""(parts, weights) -> figures: parts are named columns `(n_rows,)`; weights say how often each row counts in each draw
`(n_draws, n_rows)`; the figures are `(n_draws,)`, not-a-number where a draw gives no evidence."""

ColumnType: TypeAlias = Literal["string", "int64", "float64", "timestamp", "boolean"]
Treatment: TypeAlias = Literal["keep", "pseudonym", "generalise", "redact", "encrypt", "own", "drop"]
Severity: TypeAlias = Literal["block", "quarantine", "warn"]

SUBJECT = "customer_id"
"""The column that names the customer a row belongs to, in every table that has it as a pseudonym."""
SEALED: frozenset[Treatment] = frozenset({"pseudonym", "redact", "encrypt", "own", "drop"})
"""Treatments of what is encrypted before it is stored: direct identifiers, free text, and what nobody needs."""


# --- Data -------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of a raw table."""

    name: str
    type: ColumnType
    nullable: bool = False
    treatment: Treatment = "keep"
    """What anonymise does with it: keep, pseudonym (a direct identifier), generalise (a quasi-identifier), redact (free text
    that people write, of which placeholders and the rest are left), encrypt (what operations need back, and no model), own (what
    the customer alone reads back, such as an order number), drop."""
    keeps: str = ""
    """For `redact`: the form of what stays although it looks like a phone number: the shop's order numbers [regular expression]."""
    order: tuple[str, ...] = ()
    """For `generalise`: the values from low to high, so that neighbours can be merged."""
    is_sensitive: bool = False
    """Nobody should learn it of a person by knowing the generalised columns: the privacy report tells its l-diversity."""
    description: str = ""

    @property
    def is_sealed(self) -> bool:
        """Its values are encrypted from ingest on."""
        return self.treatment in SEALED and self.type == "string"

    def __post_init__(self) -> None:
        """Refuse what could not be encrypted."""
        if self.treatment in SEALED - {"drop"} and self.type != "string":
            raise ValueError(f"Expected {self.name}, {self.treatment}, of type string. Received {self.type}.")


@dataclass(frozen=True, kw_only=True)
class Table:
    """One raw table a shop provides."""

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    """Columns that name a row; empty where rows have no key."""
    time_column: str | None = None
    """The timestamp whose date partitions the table; none for a table that is replaced whole."""
    references: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Foreign keys: column to (table, column)."""
    optional: bool = False
    """The shop may not have it; the stages then see an empty table."""
    owner: str | None = None
    """Where rows name no customer: the column of `references` whose value leads to one, such as the basket of a delivery. Its
    table has the customer."""

    def __post_init__(self) -> None:
        """Refuse an owner that leads nowhere."""
        if self.owner is not None and (self.owner not in self.references or self.subject is not None):
            raise ValueError(
                f"Expected {self.name}.{self.owner} to refer to a table. Received no reference, or a customer."
            )

    def column(self, name: str) -> Column:
        """Return the column of that name; raise `KeyError` if there is none."""
        return next(column for column in self.columns if column.name == name)

    @property
    def subject(self) -> str | None:
        """The column whose value's key encrypts the row; none where rows belong to no customer."""
        found = (column.name for column in self.columns if column.name == SUBJECT and column.treatment == "pseudonym")
        return next(found, None)

    @property
    def sealed(self) -> tuple[str, ...]:
        """The columns that are encrypted from ingest on."""
        return tuple(column.name for column in self.columns if column.is_sealed)


@dataclass(frozen=True, kw_only=True)
class Features:
    """What the features stage hands over."""

    splits: Frames
    """`train`, `valid`, `test`: one row an example, each with `unit` (who is resampled) and `time`; ordered in time."""
    state: JsonObject
    """Fitted state as plain JSON: vocabularies, scales. It travels in the version."""
    profile: Frames
    """Named feature columns on the training period, for drift: `reference` has one row an example."""
    histories: pd.DataFrame
    """What serving knows of each customer at the as-of date, keyed by `unit` (a pseudonym)."""


@dataclass(frozen=True, kw_only=True)
class Data:
    """What a use case reads and how it becomes examples."""

    tables: tuple[Table, ...]
    sample: Callable[[np.random.Generator, int], dict[str, pd.DataFrame]]
    """(rng, n_customers) -> small raw tables that look like the real ones and pass the data checks."""
    split: Literal["time", "unit"] = "time"
    """What lies between train, valid and test: time, or, where rows bear none, a seeded draw of units."""
    build: Callable[[Expressions, BaseModel], Features]
    """(anonymised tables, feature parameters) -> examples, state, profile, histories."""
    encode: Callable[[pd.DataFrame, JsonObject], dict[str, np.ndarray]]
    """(examples or one request's row, state) -> model inputs; training and serving share it."""

    def table(self, name: str) -> Table:
        """Return the table of that name; raise `KeyError` if there is none."""
        return next(table for table in self.tables if table.name == name)


# --- Model ------------------------------------------------------------------------------------


class Predictor(Protocol):
    """An exported model, loaded; the same bytes are evaluated, packaged and served."""

    def __call__(self, inputs: Arrays) -> np.ndarray:
        """Return scores `(n_rows, n_outputs)` float32."""
        ...


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One exported form of a trained model."""

    name: str
    """`float32`, `float16`, `int8`, …"""
    path: Path
    """Folder that holds everything a predictor of it needs."""


@dataclass(frozen=True, kw_only=True)
class Model:
    """How a use case's model is made, exported and opened."""

    train: Callable[[Frames, JsonObject, BaseModel, Path], JsonObject]
    """(splits, state, train parameters, out) -> summary. Writes `model.weights.h5`, `config.json`, `history.json`;
    chooses on `valid` only; the summary names the choice and the validation metrics of every contender."""
    export: Callable[[Path, Path, Frames, JsonObject], tuple[Variant, ...]]
    """(train's folder, out, splits, state) -> variants, each in a folder of its own below out, best fidelity first."""
    open: Callable[[Path], Predictor]
    """(a variant's folder) -> predictor; imports no TensorFlow. A module-level function, or a class: a fresh process finds it
    by its name."""
    reference: Callable[[Path], Predictor]
    """(train's folder) -> the trained model as the training library runs it, in float: what exports must agree with."""


# --- Judgement --------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A figure the gate can judge: the mean over rows of the column that bears its name, unless it has a statistic."""

    name: str
    higher_is_better: bool = True
    unit: str = ""
    description: str = ""
    parts: tuple[str, ...] = ()
    """Columns of `measure` that the statistic is worked out from."""
    statistic: Statistic | None = None
    """How the figure follows from its parts where it is no mean over rows (average precision, a ratio of sums)."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of `measure` it needs."""
        return self.parts if self.statistic else (self.name,)

    @property
    def sign(self) -> int:
        """1 where more is better, else −1: times a difference it is a gain."""
        return 1 if self.higher_is_better else -1


@dataclass(frozen=True, kw_only=True)
class Plot:
    """A chart of its own on the model card."""

    title: str
    text: str
    """How to read it, in a sentence or two."""
    label: str
    """What a reader who cannot see it is told."""
    spec: JsonObject
    """A Vega-Lite view with its data inside; size and style are the card's."""


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """How answers are judged on held-out rows."""

    metrics: tuple[Metric, ...]
    primary: str
    """Name of the metric that decides between variants."""
    measure: Callable[[np.ndarray, pd.DataFrame, JsonObject], pd.DataFrame]
    """(scores, examples, state) -> per-example values, one column a metric or a part of one, index as the examples: paired,
    resampled by `unit`."""
    summarise: Callable[[np.ndarray, pd.DataFrame, JsonObject], dict[str, float]]
    """(scores, examples, state) -> figures of the whole set that are no mean over rows (coverage, diversity, …)."""
    baselines: Mapping[str, Callable[[Frames, JsonObject], np.ndarray]]
    """Name -> (splits, state) -> scores on `test`; fitted on what precedes it."""
    naive: str
    """The baseline the first version must beat."""
    slices: tuple[str, ...] = ()
    """Columns of the examples by which the metrics are broken down."""
    plots: tuple[Callable[[np.ndarray, pd.DataFrame, JsonObject], Plot], ...] = ()
    """Each (scores, examples, state) -> a chart of how the chosen variant does on the test rows, for the card."""
    notes: Mapping[str, str] = field(default_factory=dict)
    """What figures of `summarise` mean, for the card; one whose name says all needs none."""
    units: str = "customers"
    """What a `unit` of the examples is, in the plural: the figures' intervals resample them."""

    def metric(self, name: str) -> Metric:
        """Return the metric of that name; raise `StopIteration` if there is none."""
        return next(metric for metric in self.metrics if metric.name == name)


# --- Service ----------------------------------------------------------------------------------

OUT_OF_STOCK = "out_of_stock"
REQUEST_ID = "request_id"
CONVERSATION = "conversation"
Limits: TypeAlias = Mapping[str, Mapping[str, int]]
"""`<model>.<field>` of a request -> `minItems`, `maxItems`, `maximum` as in JSON schema."""
Observe: TypeAlias = Callable[[JsonObject | None, JsonObject], JsonObject]
"""(stored history or none, an event such as a purchase) -> new history."""
Chat: TypeAlias = "Callable[[str, str], str | None]"
"""(instructions, text) -> what a large language model makes of it; none where it did not answer in time."""


class Unfit(ValueError):
    """A request that fits its schema and yet cannot be answered by the version that is served.

    Args:
        place: The field at fault, from the outside in.
        expected: What it would have to be.
    """

    def __init__(self, place: tuple[str | int, ...], expected: str) -> None:
        self.place = place
        self.expected = expected
        super().__init__(f"{'.'.join(map(str, place))}: {expected}")


@dataclass(frozen=True, kw_only=True)
class Memory:
    """What the server keeps of a conversation between two requests, by customer and conversation, until it expires."""

    keep: Callable[[JsonObject | None, BaseModel, BaseModel], JsonObject]
    """(what the answer rested on, request, response) -> what is kept; bounded, and without personal values. The next request
    of the conversation finds it in its history under `CONVERSATION`."""
    seconds: float
    """How long after its last request a conversation is forgotten [s]."""
    field: str = "conversation_id"
    """Field of request and response that names the conversation; where a request leaves it out, the server makes a name."""


@dataclass(frozen=True, kw_only=True)
class Reason:
    """One part of a score, in words and as a number."""

    text: str
    contribution: float
    kind: str = ""
    """What sort of evidence it is (`history`, `popularity`), by which reasons are added up; empty means its text."""


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """Why a score is what it is: base + contributions + residual = score."""

    subject: str
    """What was scored, in words (a product name)."""
    score: float
    base: float
    reasons: tuple[Reason, ...]
    residual: float


@dataclass(frozen=True, kw_only=True)
class Listing:
    """One table about all units at once, whose rows may depend on each other: orders that share a budget."""

    title: str
    make: Callable[[Predictor, JsonObject, Mapping[str, JsonObject]], list[JsonObject]]
    """(predictor, state, histories by unit) -> rows, all with the same fields, in a total order."""
    shown: tuple[str, ...]
    """Fields a page shows, in order; the first names a row."""
    total: str
    """The field that is summed, and by which a page sorts unless asked otherwise, largest first."""
    unit: str = ""
    """Unit of the total."""
    note: str = ""
    """What a reader must know of the rows."""


@dataclass(frozen=True, kw_only=True)
class DrawnPlace:
    """One place of an answer whose content was drawn by chance, and what came of it."""

    features: tuple[Mapping[str, float], ...]
    """Of each candidate, by name; the first is the one that stands there where nothing is explored."""
    chances: tuple[float, ...]
    """With which each candidate was drawn."""
    shown: int
    """Number of the candidate that was."""
    reward: float
    """What it brought [0..1]."""
    as_of: str
    """Moment the answer was for, on the data's own clock [ISO 8601]."""


@dataclass(frozen=True, kw_only=True)
class Service:
    """How a use case answers over HTTP; runs without TensorFlow and without pandas' heavier parts."""

    request: type[BaseModel]
    response: type[BaseModel]
    identity: str | None
    """Field of the request that names a customer; the server replaces it by its pseudonym at the door."""
    is_proved: bool = False
    """Only the customer's own signed token says who asks: what a body or another header names is ignored."""
    answer: Callable[[Predictor, JsonObject, BaseModel, JsonObject | None], BaseModel]
    """(predictor, state, request, stored history or none) -> response. The history is the customer's, and under the name of
    each `related` field that of what the request names there."""
    explain: Callable[[Predictor, JsonObject, BaseModel, JsonObject | None], list[Explanation]]
    """The same arguments -> one explanation for each item of the answer."""
    observe: Observe
    """How an event changes the customer's history."""
    golden: Callable[[pd.DataFrame, JsonObject, int], list[JsonObject]]
    """(test examples, state, n) -> n requests that bring their own history: they travel in the version and are replayed before
    every promotion. None is, or resembles, one customer's: made up, or drawn from sums over many."""
    features: Callable[[BaseModel, BaseModel, JsonObject | None], dict[str, float | str]]
    """(request, response, history) -> the drift features of one answer, named as in `Features.profile`, plus `score`."""
    outcome: Callable[[JsonObject, list[JsonObject]], dict[str, float]]
    """(a logged answer, the customer's later events) -> quality figures once the truth is known; empty while it is not."""
    events: Mapping[str, type[BaseModel]] = field(default_factory=dict)
    """What customers can do, by kind; an event with a field that its kind does not have is refused."""
    hidden: frozenset[str] = frozenset()
    """Fields of requests and events that become keyed digests on arrival, beside those that bear the name of a hidden column."""
    digested: frozenset[str] = frozenset()
    """Fields of events, answers and histories whose values the log holds as keyed digests only, wherever in a line they stand."""
    catalogue: Callable[[JsonObject], Collection[str]] | None = None
    """(state) -> identifiers of the products that the version knows: such a one is no person's in whatever form it has."""
    limits: Callable[[JsonObject], Limits] | None = None
    """(state) -> what a request must keep to beside its schema because the model was trained so: the lengths of lists."""
    from_examples: Callable[[pd.DataFrame, JsonObject, int], list[JsonObject]] | None = None
    """(test examples, state, n) -> n requests as these customers would send them, to sum explanations over within a run; they
    are stored nowhere. None: the golden requests serve."""
    heeds_stock: bool = False
    """Answers leave out what the shop cannot deliver: histories then bear the products under `OUT_OF_STOCK`, if any are."""
    drawn: Callable[[JsonObject, list[JsonObject]], list[DrawnPlace]] | None = None
    """(a logged answer, what the customer did in the days after it) -> the places that were drawn; none where answers draw
    nothing. Histories then bear the request's id under `REQUEST_ID`: chance is drawn from it and from nothing else."""
    related: Mapping[str, Observe] = field(default_factory=dict)
    """Other fields of requests and events that name something with a history of its own (a terminal), and how an event
    changes it. Their histories are kept under `ml.serving.subject.unit_of`; a field that is a list names several."""
    listing: Listing | None = None
    """A table of all units that is written with every version that goes live; none where answers stand alone."""
    memory: Memory | None = None
    """What a conversation remembers; none where every request stands alone."""
    queue: str | None = None
    """Field of the response that a person has to see to; where it is filled, it is put into the queue of hand-overs."""
    rephrase: Callable[[BaseModel, BaseModel, Chat], BaseModel] | None = None
    """(request, response, chat) -> the same answer in other words; asked only where the operator has set a language model."""


@dataclass(frozen=True, kw_only=True)
class UseCase:
    """One AI application of the shop: everything that is particular to it."""

    name: str
    title: str
    description: str
    intended_use: str
    limits: tuple[str, ...]
    """What the model must not be used for, for its card."""
    params: type[UseCaseParams]
    """Typed section of `params.yaml`: `features` and `train` are the use case's own."""
    data: Data
    model: Model
    judgement: Judgement
    service: Service


# --- Records ----------------------------------------------------------------------------------

INPUTS_SCHEMA = "tradewind/inputs/1"
VERDICT_SCHEMA = "tradewind/verdict/1"
RECORD_SCHEMA = "tradewind/version-record/1"
LEDGER_SCHEMA = "tradewind/ledger-entry/1"
POINTER_SCHEMA = "tradewind/channel-pointer/1"
CHECKPOINT_SCHEMA = "tradewind/ledger-checkpoint/1"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule of a verdict with what was seen and what was allowed."""

    name: str
    observed: float | str | None
    limit: float | str | None
    passed: bool
    severity: Severity = "block"
    sentence: str
    interval: tuple[float, float] | None = None


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a judging stage decided; an output like any other, raised as an error only after the push."""

    stage: str
    accepted: bool
    rules: tuple[Rule, ...]
    summary: str
    chosen: str | None = None
    """The variant that ships, where the stage chooses one."""

    def blocking(self) -> tuple[Rule, ...]:
        """Return the rules that refuse."""
        return tuple(rule for rule in self.rules if not rule.passed and rule.severity == "block")
