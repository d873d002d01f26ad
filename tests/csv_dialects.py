"""Draws a shop's sales and the dialect in which somebody's software writes them down."""

from __future__ import annotations

import codecs
import csv
import io
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from hypothesis import strategies as st

COLUMNS = ("customer_id", "basket_id", "product_id", "quantity", "amount", "discount", "purchased_at")
THEIRS = dict(zip(COLUMNS, ("Kunde", "Bon", "Artikel", "Menge\n[Stk]", "Betrag", "Rabatt", "Zeit"), strict=True))
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1", "cp1252", "gb18030")
MARKS = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE, "utf-8": codecs.BOM_UTF8}
TOKENS = ("", "NULL", "\\N", "-", "n.v.")
DEFAULT_TOKENS = TOKENS[:4]
START = datetime(2026, 10, 20)

letters = st.sampled_from("abcXYZ019 .-_'\"\\,;\t|\n\räß")
words = st.text(letters, min_size=1, max_size=8).filter(lambda word: word.strip() not in (*TOKENS, ""))
identifiers = st.one_of(words, st.from_regex(r"0{0,3}[1-9][0-9]{0,3}(\.0)?", fullmatch=True))
amounts = st.integers(-10_000_000, 10_000_000).map(lambda cents: cents / 100)
rows = st.fixed_dictionaries(
    {
        "customer_id": st.none() | identifiers,
        "basket_id": identifiers,
        "product_id": identifiers,
        "quantity": st.integers(-5000, 2_000_000),
        "amount": amounts,
        "discount": st.none() | amounts,
        "purchased_at": st.integers(0, 31 * 24 * 3600 - 1).map(lambda seconds: START + timedelta(seconds=seconds)),
    }
)


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """How a file is written, and what its mapping says of it."""

    delimiter: str
    quoting: Literal[0, 1, 2, 3]
    line_end: str
    encoding: str
    says_encoding: bool
    has_mark: bool
    decimal: str
    says_decimal: str
    grouping: bool
    token: str
    padding: str
    case: str
    time_format: str
    empty_lines: int
    fault: str
    """`none`, a `trailing` delimiter, a `ragged` row, or a column `twice`."""
    is_gzip: bool


dialects = st.builds(
    Dialect,
    delimiter=st.sampled_from(",;\t|"),
    quoting=st.sampled_from((csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC, csv.QUOTE_NONE)),
    line_end=st.sampled_from(("\n", "\r\n", "\r")),
    encoding=st.sampled_from(ENCODINGS),
    says_encoding=st.sampled_from((True, True, True, False)),
    has_mark=st.booleans(),
    decimal=st.sampled_from("...,"),
    says_decimal=st.sampled_from("...,"),
    grouping=st.booleans(),
    token=st.sampled_from(TOKENS),
    padding=st.sampled_from(("", "", " ", "\t")),
    case=st.sampled_from(("as is", "as is", "as is", "upper")),
    time_format=st.sampled_from(("%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%d.%m.%Y %H:%M:%S", "offset", "both")),
    empty_lines=st.sampled_from((0, 0, 1, 2)),
    fault=st.sampled_from(("none", "none", "none", "none", "trailing", "ragged", "twice")),
    is_gzip=st.booleans(),
)


def mapping_of(dialect: Dialect) -> dict[str, Any]:
    """Return the mapping that goes with the file; it may be wrong about the decimal mark, and silent about the encoding."""
    columns: dict[str, Any] = {ours: {"from": theirs} for ours, theirs in THEIRS.items()}
    if "." in dialect.time_format:
        columns["purchased_at"]["format"] = dialect.time_format
    if dialect.time_format in ("offset", "both"):
        columns["purchased_at"]["time_zone"] = "Europe/Berlin"
    said = {"delimiter": dialect.delimiter, "decimal": dialect.says_decimal, "columns": columns}
    if dialect.token not in DEFAULT_TOKENS:
        said["missing"] = [dialect.token]
    if dialect.says_encoding:
        said["encoding"] = dialect.encoding
    return said


def written(sales: list[dict[str, Any]], dialect: Dialect) -> bytes:
    """Return the file's bytes; raise `csv.Error` or `UnicodeError` where this dialect cannot hold the rows."""
    text = io.StringIO(newline="")
    text.write(dialect.line_end * dialect.empty_lines)
    quoting = dialect.quoting
    escape = "\\" if quoting == csv.QUOTE_NONE else None
    writer = csv.writer(
        text, delimiter=dialect.delimiter, quoting=quoting, lineterminator=dialect.line_end, escapechar=escape
    )
    writer.writerow(_header(dialect))
    for place, sale in enumerate(sales):
        writer.writerow(_fields(sale, place, dialect))
    data = text.getvalue().encode(dialect.encoding)
    return MARKS.get(dialect.encoding, b"") + data if dialect.has_mark else data


def _header(dialect: Dialect) -> list[str]:
    names = [name.upper() if dialect.case == "upper" else name for name in THEIRS.values()]
    names = [f"{dialect.padding}{name}{dialect.padding}" for name in names]
    return [*names, *{"trailing": [""], "twice": names[4:5]}.get(dialect.fault, [])]


def _fields(sale: dict[str, Any], place: int, dialect: Dialect) -> list[Any]:
    fields = [_field(sale[name], place, dialect) for name in COLUMNS]
    if dialect.fault == "ragged" and place == 1:
        return fields[:-1] if sale["quantity"] % 2 else [*fields, "more"]
    return [*fields, *{"trailing": [""], "twice": ["1.00"]}.get(dialect.fault, [])]


def _field(value: Any, place: int, dialect: Dialect) -> Any:
    if value is None:
        return dialect.token
    if isinstance(value, datetime):
        return _time(value, place, dialect)
    if isinstance(value, float):
        text = f"{value:,.2f}" if dialect.grouping else f"{value:.2f}"
        return text.translate(str.maketrans(".,", ",.")) if dialect.decimal == "," else text
    return value


def _time(value: datetime, place: int, dialect: Dialect) -> str:
    """Return a local time of Berlin as text; in autumn 2026 summer time ends on October 25 at 01:00 UTC."""
    if dialect.time_format not in ("offset", "both"):
        return value.strftime(dialect.time_format)
    if dialect.time_format == "both" and place % 2:
        return value.isoformat()
    return f"{value.isoformat()}{'+02:00' if value < datetime(2026, 10, 25, 3) else '+01:00'}"
