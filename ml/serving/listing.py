"""Writes a use case's table of all units to the store, as Parquet and CSV, and finds the newest one again."""

from __future__ import annotations

import io
import logging
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from ml.config import Settings
from ml.contract import JsonObject, Listing, UseCase
from ml.errors import ConfigInvalid, IntegrityBroken, ModelNotFound
from ml.files import canonical, parse_object
from ml.registry.erasure_mark import settled
from ml.serving import snapshot
from ml.serving.version import Served
from ml.store import Bucket

if TYPE_CHECKING:
    import pyarrow as pa

LISTING_SCHEMA = "tradewind/listing/1"
SHORT = 12  # digits of a version's digest in a name

FORMULA = r"^[=+\-@\t\r]"
"""What the first character of a text must not be where a spreadsheet opens it."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Written:
    """Where the newest table is, and what it was made of."""

    parquet: str
    """Key in the `state` bucket."""
    csv: str
    digest: str
    """The version that made it."""
    as_of: str
    """Last moment its histories cover, on the data's own clock [ISO 8601]."""
    rows: int
    seconds: float


def write(settings: Settings, use_case: UseCase, served: Served) -> Written:
    """Make the table of the published histories with a version, and say that it is the newest.

    Args:
        settings: A role that may write the `state` bucket.
        use_case: A record with a listing.
        served: The version.

    Raises:
        ConfigInvalid: The use case has no listing.
        ModelNotFound: No histories were published, or they give no row.
    """
    began, listing = time.perf_counter(), use_case.service.listing
    if listing is None:
        raise ConfigInvalid("a use case with a listing", use_case.name, "Name another use case.")
    as_of = snapshot.newest(settings, use_case.name).as_of
    table = snapshot.published(settings, use_case.name)
    stem = f"{use_case.name}/batch/{as_of[:10]}-{served.live.digest.removeprefix('sha256:')[:SHORT]}"

    def put(erased: Mapping[str, str]) -> Written:
        rows = _rows(use_case, listing, served, snapshot.without(table, erased))
        written = Written(
            parquet=f"{stem}.parquet",
            csv=f"{stem}.csv",
            digest=served.live.digest,
            as_of=as_of,
            rows=len(rows),
            seconds=round(time.perf_counter() - began, 3),
        )
        _put(Bucket.open(settings, "state"), use_case.name, written, rows)
        return written

    written = settled(settings, use_case.name, put)
    log.info("listing written use_case=%s rows=%d seconds=%.1f", use_case.name, written.rows, written.seconds)
    return written


def _rows(use_case: UseCase, listing: Listing, served: Served, table: bytes) -> list[JsonObject]:
    known = {
        unit: parse_object(text, "a unit's history", "Publish the histories again.")
        for unit, text in snapshot.read(table)
    }
    rows = listing.make(served.predictor, served.state, known)
    if not rows:
        raise ModelNotFound(f"rows of {listing.title}", "none", f"Deliver what {use_case.name} needs for them.")
    return rows


def newest(settings: Settings, use_case: str) -> Written | None:
    """Return where the newest table is; none before the first.

    Raises:
        IntegrityBroken: The record is of another schema.
    """
    data = Bucket.open(settings, "state").find(_record_key(use_case))
    if data is None:
        return None
    action = f"Write it again: `tradewind batch {use_case}`."
    record = parse_object(data, f"a record in {LISTING_SCHEMA}", action)
    if record.pop("schema", None) != LISTING_SCHEMA:
        raise IntegrityBroken(
            f"a record in {LISTING_SCHEMA}", "another", f"Write it again: `tradewind batch {use_case}`."
        )
    return Written(**record)


def _put(bucket: Bucket, use_case: str, written: Written, rows: list[JsonObject]) -> None:
    """Write the table before the record that names it."""
    import pyarrow as pa
    import pyarrow.csv as pa_csv
    import pyarrow.parquet as pq

    table, parquet, csv = pa.Table.from_pylist(rows), io.BytesIO(), io.BytesIO()
    pq.write_table(table, parquet, compression="zstd")
    pa_csv.write_csv(_without_formulas(table), csv)
    bucket.put(written.parquet, parquet.getvalue(), "application/vnd.apache.parquet")
    bucket.put(written.csv, csv.getvalue(), "text/csv")
    bucket.put(_record_key(use_case), canonical({"schema": LISTING_SCHEMA, **asdict(written)}), "application/json")


def _without_formulas(table: pa.Table) -> pa.Table:
    """Return the table with an apostrophe before texts that a spreadsheet would take for a formula and run (CWE-1236)."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for index, field in enumerate(table.schema):
        if pa.types.is_string(field.type):
            texts = table.column(index)
            begins = pc.match_substring_regex(texts, FORMULA)
            told = pc.if_else(begins, pc.binary_join_element_wise("'", texts, ""), texts)
            table = table.set_column(index, field, told)
    return table


def _record_key(use_case: str) -> str:
    return f"{use_case}/batch/newest.json"
