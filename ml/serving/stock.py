"""What the shop cannot deliver now: products out of stock, one object in the `state` bucket, for all servers.

Two servers may mark two products at once, so each writes over exactly what it read, and reads again where another was
faster. Earlier releases wrote an object a product; such a mark counts until its product is unmarked or the list is set.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from urllib.parse import quote, unquote

from fastapi import APIRouter
from pydantic import BaseModel, Field

from ml.contract import OUT_OF_STOCK, JsonObject, Unfit
from ml.errors import IntegrityBroken
from ml.field import Article, Sent
from ml.files import canonical, parse_object, read_json, write_json
from ml.serving.body import JsonRoute
from ml.serving.thing import PRODUCT_ID, Digest, Known, is_impersonal, named
from ml.store import Bucket

PREFIX = "shop/out_of_stock/"
LIST = f"{PREFIX}=list.json"  # no earlier mark has such a key: theirs were percent-encoded
SCHEMA = "tradewind/out-of-stock/1"
MOST_PRODUCTS = 100_000
DIGEST = re.compile(r"[0-9a-f]{32}")
LIST_BYTES = 64 << 20
REMEDY = "Set the whole list anew: PUT /v1/out-of-stock."

Since = dict[str, str]
"""Product to when it was marked [ISO 8601, UTC]."""

log = logging.getLogger(__name__)


def listed(bucket: Bucket) -> frozenset[str]:
    """Return the products out of stock, as the store has them now."""
    return _ensure_few(_products(bucket.find(LIST, LIST_BYTES)).keys() | _marks(bucket))


def with_stock(history: JsonObject | None, out: frozenset[str]) -> JsonObject | None:
    """Return what an answer rests on, with the products out of stock where there are any."""
    return {**(history or {}), OUT_OF_STOCK: out} if out else history


def resolved(out: frozenset[str], catalogue: Collection[str], digest: Digest | None) -> frozenset[str]:
    """Return the products out of stock with those of a catalogue that were marked, under their digest, before it knew them."""
    hidden = {product for product in out if DIGEST.fullmatch(product)} if digest else set()
    if not hidden or digest is None:
        return out
    named_now = (product for product in catalogue if not is_impersonal(product))
    return out | {product for product in named_now if digest(PRODUCT_ID, product) in hidden}


class Stock:
    """The list as one server knows it: changed through it at once, followed where others change it.

    A copy on this disk serves a restart while the store is away.

    Args:
        bucket: Of the list.
        copy: File on this disk.
        known: Tells whether a served version knows a product.
        digest: Makes keyed digests, under which what may name a person is kept; none where the server has no key.
    """

    def __init__(self, bucket: Bucket, copy: Path, known: Known, digest: Digest | None) -> None:
        self._bucket = bucket
        self._known, self._digest = known, digest
        self._last: tuple[object, object, frozenset[str]] = (None, None, frozenset())
        self._copy = copy
        self._changing = threading.Lock()  # else a list read before a mark could be taken over after it
        self._out, self._is_copied = _copied(copy), True

    def out(self) -> frozenset[str]:
        """Return the products out of stock, under the names that they are kept under."""
        return self._out

    def of(self, catalogue: Collection[str]) -> frozenset[str]:
        """Return the products out of stock, under a catalogue's names where it knows them."""
        out, last = self._out, self._last
        if last[0] is not catalogue or last[1] is not out:
            last = self._last = (catalogue, out, resolved(out, catalogue, self._digest))
        return last[2]

    def follow(self) -> None:
        """Take over what the store has; raise `StorageUnavailable` where it does not answer, and keep what is known."""
        with self._changing:
            self._take(listed(self._bucket))

    def mark(self, product: str) -> None:
        """Set a product out of stock: no answer that begins after this holds it."""
        kept = self._kept(product, ("path", "product_id"))
        with self._changing:
            self._write(lambda known: {kept: _now(), **known})

    def unmark(self, product: str) -> None:
        """Set a product in stock again."""
        names = {product, *([self._digest(PRODUCT_ID, product)] if self._digest else [])}
        with self._changing:
            self._bucket.delete(_key(product))
            self._write(lambda known: {name: since for name, since in known.items() if name not in names})

    def replace(self, products: Iterable[str]) -> None:
        """Set exactly these out of stock, in one write."""
        kept = [self._kept(product, ("body", OUT_OF_STOCK, place)) for place, product in enumerate(products)]
        wanted = dict.fromkeys(kept, _now())
        with self._changing:
            self._bucket.update(LIST, lambda _: _document(wanted), "application/json")
            for product in _marks(self._bucket):
                self._bucket.delete(_key(product))
            self._take(frozenset(wanted))

    def _kept(self, product: str, place: tuple[str | int, ...]) -> str:
        """Return the name under which a product is kept; raise `Unfit` where it may be a person's and there is no key."""

        def digest(field: str, value: str) -> str:
            if self._digest is None:
                raise Unfit(place, "a product that a served version knows, or a code: without spaces and @")
            return self._digest(field, value)

        return named(PRODUCT_ID, product, self._known, digest)

    def _write(self, change: Callable[[Since], Since]) -> None:
        """Change the list and take it over, with the marks of earlier releases."""

        def changed(before: bytes | None) -> bytes | None:
            known = _products(before)
            after = change(known)
            if len(after) > max(MOST_PRODUCTS, len(known)):
                raise Unfit(("path", "product_id"), f"at most {MOST_PRODUCTS:,} products out of stock")
            return _document(after) if after.keys() != known.keys() else before

        written = self._bucket.update(LIST, changed, "application/json")
        self._take(_ensure_few(_products(written).keys() | _marks(self._bucket)))

    def _take(self, out: frozenset[str]) -> None:
        if out != self._out:
            self._out, self._is_copied = out, False
            log.info("stock changed out_of_stock=%d", len(out))
        if self._is_copied:
            return
        try:
            write_json(self._copy, {"products": sorted(out)})
            self._is_copied = True
        except OSError as error:  # a full disk: the store has the list, and the next look tries again
            log.warning("copy of what is out of stock not written: %s", error.strerror)


class Marked(BaseModel):
    """The products that cannot be delivered now; one that no version knows and that may be a person's name bears a digest."""

    out_of_stock: list[str]


class OutOfStock(Sent):
    """The products that cannot be delivered now."""

    out_of_stock: list[Article] = Field(max_length=MOST_PRODUCTS, description="article numbers")


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
    def mark(product_id: Article) -> None:
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


def _marks(bucket: Bucket) -> frozenset[str]:
    """Return the products that earlier releases marked, an object each."""
    keys = islice((key for key in bucket.keys(PREFIX) if key != LIST), MOST_PRODUCTS + 1)
    return frozenset(unquote(key.removeprefix(PREFIX)) for key in keys)


def _products(data: bytes | None) -> Since:
    """Return the products of the list; none where there is no list yet.

    Raises:
        IntegrityBroken: It is no list.
    """
    if data is None:
        return {}
    found = parse_object(data, LIST, REMEDY, LIST_BYTES)
    products = found.get("products")
    if found.get("schema") != SCHEMA or not isinstance(products, Mapping):
        raise IntegrityBroken(f"{SCHEMA} in {LIST}", "another shape", REMEDY)
    return {str(product): str(since) for product, since in products.items()}


def _document(products: Since) -> bytes:
    return canonical({"schema": SCHEMA, "products": products})


def _ensure_few(products: Iterable[str]) -> frozenset[str]:
    found = frozenset(products)
    if len(found) > MOST_PRODUCTS:
        raise IntegrityBroken(
            f"at most {MOST_PRODUCTS:,} products out of stock", "more", f"Delete what is no product below {PREFIX}."
        )
    return found


def _now() -> str:
    return datetime.now(UTC).isoformat()
