"""How forecasts and proposed orders are asked for, answered and explained; runs on numpy and the exported model alone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, Field

from ml.contract import Explanation, JsonObject, Limits, Predictor
from ml.field import Article, Day, Sent, identifier
from ml.use_cases.inventory.attribution import attribute
from ml.use_cases.inventory.demand_score import QUANTILES
from ml.use_cases.inventory.demand_window import Rows
from ml.use_cases.inventory.forecast_encode import calendar_columns, encode
from ml.use_cases.inventory.known import FIELD, STOCK, TERMS, described, known_of, rows_of
from ml.use_cases.inventory.order import promised_packs
from ml.use_cases.inventory.order_line import Terms, need_of, told
from ml.use_cases.inventory.protection import QuantileForecast

if TYPE_CHECKING:
    import pandas as pd

DIGITS = 6
MAX_SERIES = 500
PERIOD = "week"
FIGURES = ("expected_demand", "reorder_point", "safety_stock", "service_level", "order_value", "service_after")

MOST_WEEKS = 520  # of a list, whatever a version was trained on
Pieces = Annotated[int, Field(ge=0, le=10_000_000, description="[pieces]")]
Sold = Annotated[list[Annotated[float, Field(ge=-10_000_000, le=10_000_000)] | None], Field(max_length=MOST_WEEKS)]
Logarithms = Annotated[list[Annotated[float, Field(ge=-20, le=20)] | None], Field(max_length=MOST_WEEKS)]
Shares = Annotated[list[Annotated[float, Field(ge=0, le=1)] | None], Field(max_length=MOST_WEEKS)]
PAST = ("history", "price", "display", "mailer", "front_page")
Series = Annotated[str, BeforeValidator(identifier), Field(max_length=201)]
AHEAD = ("display_ahead", "mailer_ahead", "front_page_ahead")


class KnownSeries(Sent):
    """A product in a group of stores with its newest weeks, as the request brings it or the server keeps it.

    Lists of the past are as long as the version was trained on, 36 weeks unless `features.window.history` says otherwise;
    lists of what is ahead as long as its horizon, 4 weeks unless `features.window.horizon` says otherwise.
    """

    product_id: Article
    store_group: Annotated[str, BeforeValidator(identifier), Field(max_length=100)] = "all"
    name: str = Field("", max_length=300)
    department: str = Field("unknown", max_length=200)
    category: str = Field("unknown", max_length=200)
    time: Day = Field(description="Monday of the first week that is forecast; years 1971 to 2200")
    history: Sold = Field(description="pieces sold in each week before, oldest first; null where not known")
    price: Logarithms = Field(description="logarithm of the price of a piece in each of these weeks")
    display: Shares = Field(description="share of stores that displayed it in each of these weeks [0..1]")
    mailer: Shares = Field(description="share of stores whose mailer showed it in each of these weeks [0..1]")
    front_page: Shares = Field(description="the same of a mailer's better places, such as its front page")
    display_ahead: Shares = Field(description="as planned for the weeks ahead [0..1]")
    mailer_ahead: Shares = Field(description="as planned for the weeks ahead [0..1]")
    front_page_ahead: Shares = Field(description="as planned for the weeks ahead [0..1]")
    lead_time: int = Field(ge=0, le=MOST_WEEKS, description="[weeks]; with the review within the version's horizon")
    pack_size: int = Field(1, ge=1, le=10_000_000, description="[pieces]")
    minimum_order: Pieces = 0
    unit_cost: float = Field(gt=0, le=10_000_000, description="[currency of the shop]")
    service_level: float = Field(gt=0, lt=1)
    on_hand: Pieces | None = Field(None, description="[pieces]; null where not known, then no order is proposed")
    on_order: Pieces | None = None
    backorders: Pieces | None = None


class Stock(Sent):
    """A newer count than the one the server knows."""

    on_hand: Pieces
    on_order: Pieces = 0
    backorders: Pieces = 0


class InventoryRequest(Sent):
    """Which series are asked for, by name or with all that is known of them."""

    series: list[Series] = Field([], max_length=MAX_SERIES, description="`<product_id>/<store_group>`")
    stock: dict[Series, Stock] = Field({}, max_length=MAX_SERIES, description="newer stock by series")
    known: list[KnownSeries] = Field([], max_length=MAX_SERIES, description="series that the request itself describes")


class Line(BaseModel):
    """A forecast and what it means for the next order."""

    product_id: str
    store_group: str
    name: str
    week: date = Field(description="Monday of the first week ahead")
    expected_demand: float = Field(description="over lead time plus review [pieces]")
    reorder_point: float = Field(description="demand over it that is not exceeded with the service level [pieces]")
    safety_stock: float = Field(description="reorder point less expected demand [pieces]")
    service_level: float
    order_quantity: int | None = Field(description="[pieces]; null where stock is not known")
    order_value: float | None = Field(description="[currency of the shop]")
    service_after: float | None = Field(description="chance that stock then lasts (0..1)")
    reason: str
    quantiles: dict[str, list[float]] = Field(description="by level, one a week ahead [pieces]")


class InventoryResponse(BaseModel):
    """One line a series, in the order asked."""

    lines: list[Line]
    unknown: list[str] = Field(description="series of which nothing is known")


def answer(
    predictor: Predictor, state: JsonObject, request: BaseModel, history: JsonObject | None
) -> InventoryResponse:
    """Return forecasts, safety stock, reorder points and order quantities."""
    wanted = cast(InventoryRequest, request)
    known = asked(wanted, history)
    unknown = [name for name in wanted.series if name not in (history or {}).get(FIELD, {})]
    if not known:
        return InventoryResponse(lines=[], unknown=unknown)
    forecast = forecast_of(predictor, state, rows_of(known))
    columns = lines_of(known)
    terms = terms_of(state)
    need = need_of(columns, forecast, terms)
    packs = promised_packs(need)
    table = told(columns, need, packs, packs, terms)
    lines = [_line(one, table, at, forecast.values[at]) for at, one in enumerate(known)]
    return InventoryResponse(lines=lines, unknown=unknown)


def limits(state: JsonObject) -> Limits:
    """Return what a request must keep to: as many weeks as the version was trained on, and orders that arrive within them."""
    past, ahead = state["history"], state["horizon"]
    lengths = {**dict.fromkeys(PAST, past), **dict.fromkeys(AHEAD, ahead)}
    found = {f"KnownSeries.{name}": {"minItems": n, "maxItems": n} for name, n in lengths.items()}
    return {**found, "KnownSeries.lead_time": {"maximum": ahead - state["stock"]["review_weeks"]}}


def asked(request: InventoryRequest, history: JsonObject | None) -> list[JsonObject]:
    """Return what is known of each series asked for, with the newest stock."""
    kept = (history or {}).get(FIELD, {})
    found = [
        kept[name] | (request.stock[name].model_dump() if name in request.stock else {})
        for name in request.series
        if name in kept
    ]
    return [*found, *(one.model_dump(mode="json") for one in request.known)]


def forecast_of(
    predictor: Predictor, state: JsonObject, rows: Rows, dated: NDArray[np.bool_] | None = None
) -> QuantileForecast:
    """Return the model's quantiles `(n_series, horizon, n_quantiles)` [pieces].

    Args:
        predictor: The model.
        state: Fitted state.
        rows: What is known of the series.
        dated: Which of them have a date; the others lie at the centre of every cycle. None: all have one.
    """
    encoded = encode(rows, state)
    if dated is not None:
        encoded["ahead"][~dated, :, calendar_columns(state)] = 0
    scores = predictor(encoded)
    shaped = scores.astype(np.float64).reshape(len(rows), state["horizon"], -1)
    return QuantileForecast(values=shaped, levels=np.array(QUANTILES))


def terms_of(state: JsonObject) -> Terms:
    """Return what holds for all lines."""
    stock = state["stock"]
    return Terms(review_every=stock["review_weeks"], holding_rate=stock["holding_rate"], period=PERIOD)


def lines_of(known: list[JsonObject]) -> dict[str, NDArray[Any]]:
    """Return the columns that orders are sized by; stock that is not known counts as none."""
    found: dict[str, NDArray[Any]] = {
        name: np.array([one[name] for one in known], dtype=object) for name in ("product_id", "store_group")
    }
    found |= {name: np.array([float(one[name]) for one in known]) for name in TERMS}
    found |= {name: np.array([float(one[name] or 0) for one in known]) for name in STOCK}
    return found | {"unit_volume": np.ones(len(known))}


def explain(
    predictor: Predictor, state: JsonObject, request: BaseModel, history: JsonObject | None
) -> list[Explanation]:
    """Return what moves each line's expected demand away from that of its group's average product."""
    known = asked(cast(InventoryRequest, request), history)
    review = state["stock"]["review_weeks"]
    return [
        attribute(partial(forecast_of, predictor, state), state, one, int(one["lead_time"]) + review) for one in known
    ]


def observe(history: JsonObject | None, event: JsonObject) -> JsonObject:  # noqa: ARG001 - called as the contract says
    """Return what was known: sales and stock come with the next run, or with the request."""
    return history or {}


def from_examples(examples: pd.DataFrame, state: JsonObject, n: int) -> list[JsonObject]:  # noqa: ARG001 - called as the contract says
    """Return requests that bring test examples, one series each, with as much in stock as the week before sold."""
    step = max(1, len(examples) // n)
    rows = examples.iloc[::step].head(n).to_dict("records")
    return [{"known": [_stocked(known_of(row))]} for row in rows]


def features(request: BaseModel, response: BaseModel, history: JsonObject | None) -> dict[str, float | str]:
    """Return what drift is looked for in: means over the series asked for; no figures but the score where none is known."""
    known = asked(cast(InventoryRequest, request), history)
    lines = cast(InventoryResponse, response).lines
    if not known:
        return {"score": 0.0}
    means = {name: float(values.mean()) for name, values in described(rows_of(known)).items()}
    return {**means, "score": float(np.mean([line.expected_demand for line in lines]))}


def outcome(logged: JsonObject, events: list[JsonObject]) -> dict[str, float]:  # noqa: ARG001 - called as the contract says
    """Return nothing: what was asked for is known to the next run, which measures forecasts on it."""
    return {}


def _line(known: JsonObject, table: Mapping[str, Any], at: int, quantiles: NDArray[np.float64]) -> Line:
    is_known = known["on_hand"] is not None
    figures = {name: round(float(table[name][at]), DIGITS) for name in FIGURES}
    withheld = {} if is_known else {"order_value": None, "service_after": None}
    levels = {f"{level:g}": [round(float(week[k]), DIGITS) for week in quantiles] for k, level in enumerate(QUANTILES)}
    return Line(
        product_id=known["product_id"],
        store_group=known["store_group"],
        name=known["name"] or known["product_id"],
        week=known["time"],
        order_quantity=int(table["order_quantity"][at]) if is_known else None,
        reason=table["reason"][at] if is_known else "stock is not known: no order is proposed",
        quantiles=levels,
        **{**figures, **withheld},
    )


def _stocked(known: JsonObject) -> JsonObject:
    newest = [one or 0 for one in known["history"]][-1]
    return {**known, "on_hand": newest, "on_order": 0, "backorders": 0}
