"""Writes the answers for all known customers to the store, by the same version and the same path as over HTTP."""

from __future__ import annotations

import io
import json
import logging
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from ml.config import Settings
from ml.contract import JsonObject, Predictor, UseCase
from ml.errors import ConfigInvalid, ModelNotFound
from ml.registry.erasure_mark import settled
from ml.serving import listing, snapshot, stock
from ml.serving.subject import is_customer
from ml.serving.thing import digest_of
from ml.serving.together import in_batches
from ml.serving.version import Served, VersionCache, load
from ml.serving.versions import RegistryVersions, Versions
from ml.store import Bucket

CHUNK_UNITS = 2000  # customers whose answers are in memory at a time

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Where the answers are."""

    key: str
    """Key in the `state` bucket."""
    digest: str
    units: int
    rows: int
    seconds: float


def batch(settings: Settings, use_case: UseCase, k: int, versions: Versions | None = None) -> Batch:
    """Write the use case's table of all units, or the top-`k` list of every customer of the published histories.

    A list has one row an item, with `unit`, `rank` from 1, and the item's own fields; ordered by unit and rank.

    Args:
        settings: Role `serve`, with the public signing key.
        use_case: A record with a listing, or whose request has a field `k` and whose response is a list of items.
        k: Length of a list; a listing has none.
        versions: Where versions come from; by default the registry.

    Raises:
        ConfigInvalid: The use case makes no lists, or `k` is out of its range.
        ModelNotFound: Nothing is in production, or no histories were published.
    """
    began = time.perf_counter()
    if use_case.service.listing is not None:
        return write_listing(settings, use_case, versions)
    items = _items_field(use_case)
    request = _request(use_case, k)
    table, state = snapshot.published(settings, use_case.name), Bucket.open(settings, "state")
    served = _served(use_case, versions or RegistryVersions(settings))
    out = _out_of_stock(settings, use_case, state, served)
    key = f"{use_case.name}/batch/{served.live.digest.removeprefix('sha256:')}.parquet"

    def write(erased: Mapping[str, str]) -> tuple[int, int]:
        known = snapshot.without(table, erased)
        units, rows, data = _written(_answers(use_case, served, _Asked(request, out), known), items)
        state.put(key, data, "application/vnd.apache.parquet")
        return units, rows

    units, rows = settled(settings, use_case.name, write)
    done = Batch(
        key=key, digest=served.live.digest, units=units, rows=rows, seconds=round(time.perf_counter() - began, 3)
    )
    log.info("batch written use_case=%s units=%d rows=%d seconds=%.1f", use_case.name, units, rows, done.seconds)
    return done


def write_listing(settings: Settings, use_case: UseCase, versions: Versions | None = None) -> Batch:
    """Write the table of all units with the version in production, as Parquet and CSV; arguments and errors as `batch`."""
    done = listing.write(settings, use_case, _served(use_case, versions or RegistryVersions(settings)))
    return Batch(key=done.parquet, digest=done.digest, units=done.rows, rows=done.rows, seconds=done.seconds)


def _out_of_stock(settings: Settings, use_case: UseCase, state: Bucket, served: Served) -> frozenset[str]:
    service = use_case.service
    if not service.heeds_stock:
        return frozenset()
    known = service.catalogue(served.state) if service.catalogue else ()
    return stock.resolved(stock.listed(state), known, digest_of(settings))


def _items_field(use_case: UseCase) -> str:
    """Return the response's field that is a list of records."""
    fields = use_case.service.response.model_fields
    lists = [name for name, field in fields.items() if getattr(field.annotation, "__origin__", None) in (list, tuple)]
    if "k" not in use_case.service.request.model_fields or len(lists) != 1:
        raise ConfigInvalid(
            "a use case with a listing, or that answers with a list of k items", use_case.name, "Name another use case."
        )
    return lists[0]


def _request(use_case: UseCase, k: int) -> JsonObject:
    """Return what every customer's request has in common."""
    try:
        use_case.service.request.model_validate({"k": k})
    except ValueError as error:
        raise ConfigInvalid(
            f"a k that {use_case.name} takes", str(k), "Choose it within the schema's range."
        ) from error
    return {"k": k}


def _served(use_case: UseCase, versions: Versions) -> Served:
    live = versions.live(use_case.name)
    if live is None:
        raise ModelNotFound(f"a version of {use_case.name} in production", "none", "Promote one first: `make run`.")
    with tempfile.TemporaryDirectory() as scratch:
        return load(use_case, live, VersionCache(Path(scratch)).bring(versions, live), "store")


@dataclass(frozen=True)
class _Asked:
    """What all requests of a batch have in common."""

    fields: JsonObject
    out_of_stock: frozenset[str]


def _answers(use_case: UseCase, served: Served, common: _Asked, table: bytes) -> Iterator[tuple[str, Any]]:
    service, identity = use_case.service, use_case.service.identity or ""

    def ask(predictor: Predictor, known: tuple[str, str]) -> tuple[str, Any]:
        unit, history = known
        asked = service.request.model_validate({**common.fields, identity: unit})
        known_now = stock.with_stock(json.loads(history), common.out_of_stock)
        return unit, service.answer(predictor, served.state, asked, known_now).model_dump(mode="json")

    return in_batches(served.predictor, ask, sorted(known for known in snapshot.read(table) if is_customer(known[0])))


def _written(answers: Iterator[tuple[str, Any]], items: str) -> tuple[int, int, bytes]:
    """Return the number of customers and rows, and the table as Parquet, written a bounded part at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink, writer, units, rows = io.BytesIO(), None, 0, 0
    while chunk := list(islice(answers, CHUNK_UNITS)):
        listed = [
            {"unit": unit, "rank": rank, **item} for unit, answer in chunk for rank, item in enumerate(answer[items], 1)
        ]
        part = pa.Table.from_pylist(listed, schema=writer.schema if writer else None)
        writer = writer or pq.ParquetWriter(sink, part.schema, compression="zstd")
        writer.write_table(part)
        units, rows = units + len(chunk), rows + len(listed)
    if writer is None:
        raise ModelNotFound("customers in the published histories", "none", "Retrain with data first.")
    writer.close()
    return units, rows, sink.getvalue()
