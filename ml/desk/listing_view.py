"""The newest table of a use case as a page: sorted as asked, a part of its rows at a time, with its total."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ml.config import Settings
from ml.contract import Listing
from ml.errors import ModelNotFound
from ml.serving.listing import Written, newest
from ml.store import Bucket
from ml.use_cases import load

if TYPE_CHECKING:
    import pyarrow as pa

Order = Literal["asc", "desc"]

SHOWN = 100  # rows of a page
SENTENCE = 60  # characters from which a cell needs room


@dataclass(frozen=True, kw_only=True)
class ListingPage:
    """Some rows of a table, and what stands above them."""

    listing: Listing
    written: Written
    rows: list[dict[str, Any]]
    total: float
    counted: int
    """Rows that add to the total."""
    sort: str
    order: Order
    number: int
    """From 1."""
    pages: int
    numeric: frozenset[str]
    """Fields that hold numbers."""
    prose: frozenset[str]
    """Fields that hold sentences."""


def listing_of(use_case: str) -> Listing | None:
    """Return what table a use case makes, if any."""
    return load(use_case).service.listing


def listing_page(settings: Settings, use_case: str, sort: str | None, order: Order, number: int) -> ListingPage:
    """Return a page of the newest table.

    Raises:
        ModelNotFound: There is no table yet, or no such field or page.
    """
    listing, written = _newest(settings, use_case)
    table = _read(settings, written)
    field = sort or listing.total
    pages = max(1, -(-len(table) // SHOWN))
    if field not in listing.shown or not 1 <= number <= pages:
        raise ModelNotFound(f"a field among {', '.join(listing.shown)} and a page up to {pages}", "another", "Go back.")
    direction = "ascending" if order == "asc" else "descending"
    ordered = table.sort_by([(field, direction), *((name, "ascending") for name in _name(listing, field))])
    rows = ordered.slice((number - 1) * SHOWN, SHOWN).select(list(listing.shown)).to_pylist()
    values = [value or 0 for value in table[listing.total].to_pylist()]
    return ListingPage(
        listing=listing,
        written=written,
        rows=rows,
        total=sum(values),
        counted=sum(value > 0 for value in values),
        sort=field,
        order=order,
        number=number,
        pages=pages,
        numeric=frozenset(name for name in listing.shown if _is_number(table[name])),
        prose=frozenset(name for name in listing.shown if any(len(str(row[name])) > SENTENCE for row in rows)),
    )


def listing_csv(settings: Settings, use_case: str) -> bytes:
    """Return the newest table as CSV; raise `ModelNotFound` where there is none."""
    _, written = _newest(settings, use_case)
    return Bucket.open(settings, "state").get(written.csv)


def _newest(settings: Settings, use_case: str) -> tuple[Listing, Written]:
    listing = listing_of(use_case)
    written = newest(settings, use_case) if listing else None
    if listing is None or written is None:
        raise ModelNotFound(f"a table of {use_case}", "none", f"Retrain first, or call `tradewind batch {use_case}`.")
    return listing, written


def _read(settings: Settings, written: Written) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    return pq.read_table(pa.BufferReader(Bucket.open(settings, "state").get(written.parquet)))


def _name(listing: Listing, sort: str) -> list[str]:
    return [name for name in listing.shown[:3] if name != sort]


def _is_number(column: pa.ChunkedArray) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_integer(column.type) or pa.types.is_floating(column.type))
