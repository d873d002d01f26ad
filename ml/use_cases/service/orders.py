"""A customer's own orders: what the histories hold, how an event changes them, how they are made of the shop's tables.

`{"orders": [{"number": "A1047-220", "placed": "2026-06-01", "products": [["1039", "Lemons"]], "promised": "2026-06-04", …}]}`,
oldest first; a step that has not happened, or that the shop does not tell, is missing. Steps are whole days.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from pydantic import AfterValidator, Field

from ml.contract import Expressions, JsonObject
from ml.field import Article, Code, Day, Moment, Sent
from ml.privacy.redact import redact
from ml.shop import DELIVERY_STEPS
from ml.use_cases.service.message import CONVERSATION

if TYPE_CHECKING:
    import ibis
    import pandas as pd

MAX_ORDERS = 20
"""Newest orders a history keeps."""
MAX_PRODUCTS = 30
"""Products of one order that are kept."""
MOST_PRODUCTS = 3000
"""Products that can be asked for by name."""
MISSING = ("NaT", "None", "nan")
PRODUCT_FIELDS = ("product_id", "name", "category", "brand")
PLACEHOLDER, A_NAME = re.compile(r"\[[A-Z ]+\]"), "[NAME]"
MAX_NAME = 80  # characters of a product's name

Step: TypeAlias = Literal["placed", "promised", "shipped", "delivered", "returned", "refunded", "cancelled"]


def _impersonal(name: str) -> str:
    """Return a product's name without addresses and numbers of people; one that is nothing but a person's name goes, too.

    Brands and goods bear people's names: such a word within a longer name stays.
    """
    hidden = redact(name).text
    kinds = set(PLACEHOLDER.findall(hidden)) - set(PLACEHOLDER.findall(name))
    return name if kinds == {A_NAME} and hidden.strip() != A_NAME else hidden


class _Ordered(Sent):
    """A product of an order, whenever it was stored."""

    product_id: Article
    name: str = Field("", max_length=300, description="what people read")


class Ordered(_Ordered):
    """A product of an order."""

    name: Annotated[str, AfterValidator(_impersonal)] = Field("", max_length=300, description="what people read")


class _Step(Sent):
    """One step of an order, whenever it was stored."""

    order_number: str = Field(min_length=1, max_length=40, description="what the customer is told")
    step: Step
    at: Day | Moment = Field(
        description="when, a day or a time; of `promised` the day by which it should arrive; years 1971 to 2200"
    )
    products: list[_Ordered] = Field([], max_length=200, description="of a placed order")


class OrderEvent(_Step):
    """One step of an order."""

    order_number: Code = Field(max_length=40, description="what the customer is told")
    products: list[Ordered] = Field([], max_length=200, description="of a placed order")  # type: ignore[assignment]  # narrower than the base


class FeedbackEvent(Sent):
    """What the customer said of an answer."""

    feedback: Literal["helped", "not_helped"]
    conversation_id: str | None = Field(None, pattern=CONVERSATION)


def observe(history: JsonObject | None, event: JsonObject) -> JsonObject:
    """Return the history after one step of an order; the history given stays as it was.

    Args:
        history: What was known, or none for a new customer.
        event: Has the fields of `OrderEvent`. What is no step of an order (a logged answer's outcome) changes nothing.

    Raises:
        ValueError: A field is missing or of another type.
    """
    known: JsonObject = {"orders": [], **(history or {})}
    if "step" not in event:
        return known
    told = _Step.model_validate({name: value for name, value in event.items() if name in _Step.model_fields})
    day = told.at.isoformat()[:10]
    orders = {order["number"]: order for order in known["orders"]}
    order = dict(orders.get(told.order_number, {"number": told.order_number, "placed": day}))
    order[told.step] = day
    if told.products:
        order["products"] = [[one.product_id, plain(one.name)] for one in told.products[:MAX_PRODUCTS]]
    newest = sorted({**orders, told.order_number: order}.values(), key=_placed)
    return {**known, "orders": newest[-MAX_ORDERS:]}


def histories(tables: Expressions) -> pd.DataFrame:
    """Return each customer's newest orders as `unit` and `history` [JSON].

    Args:
        tables: Anonymised `purchases`, `products` and, if the shop has it, `deliveries`.
    """
    import pandas as pd

    lines = _lines(tables).execute()
    known = _deliveries(tables)
    rows = [
        {"unit": unit, "history": json.dumps({"orders": list(_orders(bought, known))}, ensure_ascii=False)}
        for unit, bought in lines.groupby("customer_id", sort=True)
    ]
    return pd.DataFrame(rows, columns=["unit", "history"])


def known(tables: Expressions) -> JsonObject:
    """Return what the model's state holds of orders: the last day the data cover, and the products.

    Args:
        tables: Anonymised `purchases` and `products`; both may be empty.
    """
    newest = tables["purchases"].purchased_at.max().execute()
    as_of = {} if str(newest) in MISSING else {"as_of": str(newest)[:10]}
    return {**as_of, "products": _catalogue(tables)}


def _catalogue(tables: Expressions) -> list[JsonObject]:
    """Return the products that can be asked for by name, those in the most orders, in order of their names."""
    import ibis

    sold = tables["purchases"].group_by("product_id").agg(n=ibis._.basket_id.nunique())
    named = sold.join(tables["products"].filter(ibis._.name.notnull()), "product_id")
    best = named.order_by([ibis.desc("n"), "product_id"]).limit(MOST_PRODUCTS).execute()
    rows = best.astype(object).where(best.notna(), "").to_dict("records")
    told = [{name: plain(str(row[name])) for name in PRODUCT_FIELDS} for row in rows]
    return sorted(told, key=lambda product: (product["name"], product["product_id"]))


def plain(name: str) -> str:
    """Return a name on one line, without marks that a page or a model could take for an order, of bounded length."""
    kept = "".join(char if char.isprintable() and char not in "<>{}[]`" else " " for char in name)
    return " ".join(kept.split())[:MAX_NAME]


def _placed(order: JsonObject) -> tuple[str, str]:
    return order["placed"], order["number"]


def _lines(tables: Expressions) -> ibis.Table:
    """Return one row a product of the customers' newest orders, in a total order."""
    import ibis

    bought = tables["purchases"].group_by(["customer_id", "basket_id", "product_id"])
    lines = bought.agg(placed=ibis._.purchased_at.min())
    orders = lines.group_by(["customer_id", "basket_id"]).agg(ordered=ibis._.placed.min())
    window = ibis.window(group_by="customer_id", order_by=[ibis.desc("ordered"), ibis.desc("basket_id")])
    newest = orders.mutate(rank=ibis.row_number().over(window)).filter(ibis._["rank"] < MAX_ORDERS)
    names = tables["products"].select("product_id", "name")
    wide = newest.join(lines.drop("placed"), ["customer_id", "basket_id"]).left_join(names, "product_id")
    columns = ["customer_id", "basket_id", "ordered", "product_id", "name"]
    return wide.select(columns).order_by(["customer_id", "ordered", "basket_id", "product_id"])


def _deliveries(tables: Expressions) -> Mapping[str, JsonObject]:
    """Return each order's number and the steps that are told, by basket."""
    if "deliveries" not in tables:
        return {}
    rows = tables["deliveries"].execute().to_dict("records")
    return {row["basket_id"]: {"number": _number(row), **_steps(row)} for row in rows}


def _number(row: Mapping[str, object]) -> str:
    """Return what the customer is told, as only the server opens it; where nobody knows whose it is, the basket's pseudonym."""
    number = row["order_number"]
    return number if isinstance(number, str) else short(row["basket_id"])


def short(basket: object) -> str:
    """Return the number of an order that the shop tells none of."""
    return str(basket)[:8]


def merged(orders: Iterable[JsonObject]) -> list[JsonObject]:
    """Return each order once: the shop's table tells when it was placed and of what, and the newest word of a step counts.

    An event names an order in plain, while the table's number is opened for its customer alone: both meet here.
    """
    found: dict[str, JsonObject] = {}
    for order in orders:
        number = str(order["number"]).upper()
        first = found.get(number, {})
        fixed = {name: first[name] for name in ("number", "placed", "products") if first.get(name)}
        found[number] = {**first, **order, **fixed}
    return list(found.values())


def _steps(row: Mapping[str, object]) -> dict[str, str]:
    times = {step: str(row[f"{step}_at"]) for step in DELIVERY_STEPS}
    return {step: time[:10] for step, time in times.items() if time not in MISSING}


def _orders(bought: pd.DataFrame, known: Mapping[str, JsonObject]) -> Iterator[JsonObject]:
    for (ordered, basket), lines in bought.groupby(["ordered", "basket_id"], sort=True):
        pairs = zip(lines["product_id"], lines["name"], strict=True)
        products = [[product, plain(name if isinstance(name, str) else product)] for product, name in pairs]
        told = known.get(str(basket), {"number": short(basket)})
        yield {**told, "placed": str(ordered)[:10], "products": products[:MAX_PRODUCTS]}
