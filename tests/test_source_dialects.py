"""Whatever software wrote a file, its rows are read as they were written, or refused; no value changes in silence."""

from __future__ import annotations

import csv
import gzip
import re
from datetime import date, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from ml.config import Settings
from ml.errors import SourceInvalid
from ml.shop import PURCHASES
from ml.sources.opening import open_source
from tests.csv_dialects import COLUMNS, DEFAULT_TOKENS, Dialect, dialects, mapping_of, rows, written

DAY = date(2026, 12, 1)
FLOAT_WHOLE = re.compile(r"([0-9]+)\.0+")


def read(folder, mapping):
    spec = {"kind": "files", "location": str(folder), "mapping": {"tables": {"purchases": mapping}}}
    source = open_source(spec, Settings())
    return [row for chunk in source.read(PURCHASES, DAY) for row in chunk.to_pylist()]


def meant(sale, mapping):
    """Return a row as a person would read it: trimmed, an identifier without `.0`, the missing-value words as missing."""
    none = {"", *mapping.get("missing", DEFAULT_TOKENS)}
    row = dict.fromkeys((column.name for column in PURCHASES.columns), None) | sale
    for name in ("customer_id", "basket_id", "product_id"):
        text = (row[name] or "").strip()
        found = FLOAT_WHOLE.fullmatch(text)
        row[name] = None if text in none else found.group(1) if found else text
    return row


@settings(max_examples=300, deadline=None)
@given(sales=st.lists(rows, min_size=1, max_size=5), dialect=dialects)
def test_a_csv_file_is_read_as_it_was_written_or_refused(tmp_path_factory, sales, dialect):
    folder, mapping = tmp_path_factory.mktemp("zone"), mapping_of(dialect)
    try:
        data = written(sales, dialect)
    except (csv.Error, UnicodeError):
        assume(False)
    name = "purchases.csv.gz" if dialect.is_gzip else "purchases.csv"
    (folder / name).write_bytes(gzip.compress(data) if dialect.is_gzip else data)
    try:
        found = read(folder, mapping)
    except SourceInvalid as refusal:
        event("refused")
        if name not in str(refusal):
            raise
        return
    event("read")
    assert found == [meant(sale, mapping) for sale in sales]


PLAIN = Dialect(
    **{"delimiter": ";", "quoting": csv.QUOTE_MINIMAL, "line_end": "\n", "encoding": "utf-8", "says_encoding": False},
    **{"has_mark": False, "decimal": ",", "says_decimal": ",", "grouping": False, "token": "NULL", "padding": " "},
    **{"case": "as is", "time_format": "both", "empty_lines": 1, "fault": "trailing", "is_gzip": False},
)
codes = st.text(st.sampled_from("abXY019äß ;"), min_size=1, max_size=8).filter(str.strip)
tame = st.builds(lambda sale, *ids: {**sale, **dict(zip(COLUMNS, ids, strict=False))}, rows, codes, codes, codes)


@settings(max_examples=40, deadline=None)
@given(
    sales=st.lists(tame, min_size=1, max_size=5), encoding=st.sampled_from(("utf-8", "utf-16-be", "utf-16", "gb18030"))
)
def test_what_can_be_read_is_read(tmp_path_factory, sales, encoding):
    """The property above holds of a reader that refuses everything; this one does not."""
    dialect = Dialect(**{**vars(PLAIN), "encoding": encoding, "says_encoding": encoding != "utf-8"})
    folder, mapping = tmp_path_factory.mktemp("zone"), mapping_of(dialect)
    (folder / "purchases.csv").write_bytes(written(sales, dialect))
    assert read(folder, mapping) == [meant(sale, mapping) for sale in sales]


IDS = st.one_of(
    st.lists(st.none() | st.integers(0, 10**6), min_size=3, max_size=3).map(lambda v: (pa.array(v, pa.int64()), v)),
    st.lists(st.none() | st.integers(0, 10**6), min_size=3, max_size=3).map(lambda v: (pa.array(v, pa.float64()), v)),
    st.lists(st.none() | st.integers(0, 10**6), min_size=3, max_size=3).map(
        lambda v: (pa.array([None if x is None else Decimal(x) for x in v], pa.decimal128(12, 2)), v)
    ),
    st.lists(st.from_regex(r"[A-Z]{1,3}[0-9]{2}", fullmatch=True), min_size=3, max_size=3).flatmap(
        lambda v: st.sampled_from(
            (pa.string(), pa.large_string(), pa.binary(), pa.dictionary(pa.int32(), pa.string()))
        ).map(lambda kind: (pa.array(v, pa.string()).cast(kind), v))
    ),
)
NUMBERS = st.lists(st.none() | st.integers(-(2**40), 2**40), min_size=3, max_size=3).flatmap(
    lambda v: st.sampled_from((pa.int64(), pa.float64(), pa.decimal128(24, 3), pa.string())).map(
        lambda kind: (pa.array(v, pa.int64()).cast(kind), v)
    )
)
MOMENTS = st.lists(
    st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1)).map(lambda t: t.replace(microsecond=0)),
    min_size=3,
    max_size=3,
).flatmap(
    lambda v: st.sampled_from(("s", "ms", "us", "ns")).map(
        lambda unit: (pa.array(v, pa.timestamp("us")).cast(pa.timestamp(unit)), v)
    )
)


@settings(max_examples=150, deadline=None)
@given(ids=IDS, numbers=NUMBERS, times=MOMENTS)
def test_a_parquet_file_is_read_as_it_was_written(tmp_path_factory, ids, numbers, times):
    folder = tmp_path_factory.mktemp("zone")
    columns = {
        "customer_id": ids[0],
        "basket_id": ids[0],
        "product_id": ids[0],
        "quantity": numbers[0],
        "amount": numbers[0],
    }
    pq.write_table(pa.table({**columns, "purchased_at": times[0]}), folder / "purchases.parquet")
    spec = {"kind": "files", "location": str(folder)}
    found = [r for c in open_source(spec, Settings()).read(PURCHASES, date(2300, 1, 1)) for r in c.to_pylist()]
    assert [row["product_id"] for row in found] == [None if one is None else str(one) for one in ids[1]]
    assert [row["quantity"] for row in found] == [row["amount"] for row in found] == numbers[1]
    assert [row["purchased_at"] for row in found] == times[1]


@pytest.mark.parametrize("value", [39.5, float("nan"), float("inf"), 1e17])
def test_a_float_that_is_no_identifier_is_refused(tmp_path, value):
    sale = {"customer_id": [7.0], "basket_id": [1.0], "product_id": [value], "quantity": [1.0], "amount": [1.0]}
    pq.write_table(pa.table({**sale, "purchased_at": [datetime(2026, 11, 23)]}), tmp_path / "purchases.parquet")
    with pytest.raises(SourceInvalid, match=r"purchases\.product_id from .*purchases\.parquet.*row 1"):
        read(tmp_path, {})
