"""What the shop cannot deliver now: products out of stock, one small object each in the `state` bucket, for all servers.

An object a product, because two servers may mark two products at once and neither mark may be lost.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from urllib.parse import quote, unquote

from fastapi import APIRouter
from pydantic import BaseModel, Field

from ml.contract import OUT_OF_STOCK, JsonObject
from ml.errors import IntegrityBroken
from ml.field import Article, Code, Sent
from ml.files import canonical, read_json, write_json
from ml.serving.body import JsonRoute
from ml.store import Bucket

PREFIX = "shop/out_of_stock/"
MOST_PRODUCTS = 100_000

log = logging.getLogger(__name__)


def listed(bucket: Bucket) -> frozenset[str]:
    """Return the products out of stock, as the store has them now."""
    found = frozenset(unquote(key.removeprefix(PREFIX)) for key in islice(bucket.keys(PREFIX), MOST_PRODUCTS + 1))
    if len(found) > MOST_PRODUCTS:
        raise IntegrityBroken(
            f"at most {MOST_PRODUCTS:,} products out of stock", "more", f"Delete what is no product below {PREFIX}."
        )
    return found


def with_stock(history: JsonObject | None, out: frozenset[str]) -> JsonObject | None:
    """Return what an answer rests on, with the products out of stock where there are any."""
    return {**(history or {}), OUT_OF_STOCK: out} if out else history


class Stock:
    """The list as one server knows it: changed through it at once, followed where others change it.

    A copy on this disk serves a restart while the store is away.
    """

    def __init__(self, bucket: Bucket, copy: Path) -> None:
        self._bucket = bucket
        self._copy = copy
        self._changing = threading.Lock()  # else a list read before a mark could be taken over after it
        self._out = _copied(copy)

    def out(self) -> frozenset[str]:
        """Return the products out of stock."""
        return self._out

    def follow(self) -> None:
        """Take over what the store has; raise `StorageUnavailable` where it does not answer, and keep what is known."""
        with self._changing:
            self._take(listed(self._bucket))

    def mark(self, product: str) -> None:
        """Set a product out of stock: no answer that begins after this holds it."""
        with self._changing:
            self._put({product})
            self._take(self._out | {product})

    def unmark(self, product: str) -> None:
        """Set a product in stock again."""
        with self._changing:
            self._delete({product})
            self._take(self._out - {product})

    def replace(self, products: Iterable[str]) -> None:
        """Set exactly these out of stock; what cannot be delivered any more is marked first."""
        wanted = frozenset(products)
        with self._changing:
            there = listed(self._bucket)
            self._put(wanted - there)
            self._take(there | wanted)
            self._delete(there - wanted)
            self._take(wanted)

    def _put(self, products: Iterable[str]) -> None:
        mark = canonical({"since": datetime.now(UTC).isoformat()})
        for product in products:
            self._bucket.put(_key(product), mark, "application/json")

    def _delete(self, products: Iterable[str]) -> None:
        for product in products:
            self._bucket.delete(_key(product))

    def _take(self, out: frozenset[str]) -> None:
        if out == self._out:
            return
        self._out = out
        write_json(self._copy, {"products": sorted(out)})
        log.info("stock changed out_of_stock=%d", len(out))


class Marked(BaseModel):
    """The products that cannot be delivered now; marks from before a rule for article numbers are among them."""

    out_of_stock: list[str]


class OutOfStock(Sent):
    """The products that cannot be delivered now."""

    out_of_stock: list[Code] = Field(max_length=MOST_PRODUCTS, description="article numbers")


def stock_routes(stock: Stock) -> APIRouter:
    """Return the routes by which the shop says what is out of stock."""
    router = APIRouter(prefix="/v1/out-of-stock", tags=["stock"], route_class=JsonRoute)

    @router.get("", summary="Products out of stock")
    def read() -> Marked:
        return Marked(out_of_stock=sorted(stock.out()))

    @router.put("", summary="Exactly these are out of stock")
    def replace(body: OutOfStock) -> Marked:
        stock.replace(body.out_of_stock)
        return read()

    @router.put("/{product_id:path}", status_code=204, summary="One product ran out")
    def mark(product_id: Code) -> None:
        stock.mark(product_id)

    @router.delete("/{product_id:path}", status_code=204, summary="One product is in stock again")
    def unmark(product_id: Article) -> None:
        stock.unmark(product_id)

    return router


def _copied(copy: Path) -> frozenset[str]:
    """Return the list on this disk; an unreadable one is forgotten, since the store has it too."""
    try:
        found = read_json(copy)["products"] if copy.exists() else []
        return frozenset(map(str, found))
    except (IntegrityBroken, KeyError, TypeError) as error:
        log.warning("copy of what is out of stock unreadable kind=%s", type(error).__name__)
        return frozenset()


def _key(product: str) -> str:
    escaped = quote(product, safe="")
    return PREFIX + (escaped.replace(".", "%2E") if product in (".", "..") else escaped)  # no step within the store
