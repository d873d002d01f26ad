"""Reads a shop's CSV file: every field as text, under the names that the reader itself finds in the header."""

from __future__ import annotations

import csv
import io
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.csv as pa_csv

from ml.errors import SourceInvalid
from ml.sources.describe import column_names

LARGEST_BLOCK = 1 << 30  # bytes that Arrow's reader takes at once; no row may be longer
SMALLEST_BLOCK = 1 << 20
DIRECTIVE = re.compile(r'[\s"]*sep=(.)"?[ \t]*(?:[\r\n]|$)', re.IGNORECASE)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CsvText:
    """A CSV file's text and how its fields are divided."""

    text: str
    delimiter: str
    origin: str
    """What messages call it."""

    def read(self) -> pa.Table:
        """Return the file's fields as text; an empty field is missing.

        A line without any character is skipped. White space around a column's name is taken off, and logged.

        Raises:
            SourceInvalid: The file has no header, a quote that does not end, or a row with more or fewer fields.
        """
        header = self._header()
        if self._is_directive():
            raise self._directive()
        if '"' in self.text:
            self._check_quotes()
        try:
            rows = self._parse(len(header))
        except pa.ArrowInvalid:
            raise self._ragged(len(header)) from None  # its message quotes the row
        if rows.num_columns != len(header) or any(kind != pa.string() for kind in rows.schema.types):
            raise self._ragged(len(header))
        return rows.slice(1).rename_columns(self._names(rows))

    def line_of(self, row: int) -> str:
        """Return where a row, counted from 0 after the header, begins in the file."""
        for place, (line, _) in enumerate(self._records()):
            if place == row + 1:
                return f"line {line}"
        return f"row {row + 1}"

    def _parse(self, n_columns: int) -> pa.Table:
        data = self.text.encode()
        data += (
            b"" if data.endswith((b"\n", b"\r")) else b"\n"
        )  # Arrow's reader takes a lone line without an end for none
        return pa_csv.read_csv(
            io.BytesIO(data),
            read_options=pa_csv.ReadOptions(
                autogenerate_column_names=True,  # the header is the first row: nothing that it holds can change a type
                use_threads=False,
                block_size=min(max(len(data) + 1, SMALLEST_BLOCK), LARGEST_BLOCK),
            ),
            parse_options=pa_csv.ParseOptions(delimiter=self.delimiter, newlines_in_values=True),
            convert_options=pa_csv.ConvertOptions(
                column_types={f"f{number}": pa.string() for number in range(n_columns)},
                strings_can_be_null=True,
                null_values=[""],
            ),
        )

    def _header(self) -> list[str]:
        try:
            return next(fields for _, fields in self._records())
        except (StopIteration, csv.Error):
            raise SourceInvalid(
                f"a header line with the columns' names in {self.origin}", "none", "Deliver the file with its header."
            ) from None

    def _is_directive(self) -> bool:
        return DIRECTIVE.match(self.text) is not None

    def _directive(self) -> SourceInvalid:
        """Return the error for a first line that only Excel understands."""
        said = DIRECTIVE.match(self.text)
        mark = said[1] if said else ""
        return SourceInvalid(
            f"the columns' names in the first line of {self.origin}",
            f"`sep={mark}`, by which Excel is told the delimiter",
            f"Export the file without that line, and set the mapping's `delimiter` to {mark!r}.",
        )

    def _names(self, rows: pa.Table) -> list[str]:
        raw = [rows[number][0].as_py() or "" for number in range(rows.num_columns)]
        names = [name.strip() for name in raw]
        if names != raw:
            log.warning("white space taken off column names file=%s columns=%s", self.origin, column_names(names))
        return names

    def _records(self) -> Iterator[tuple[int, list[str]]]:
        """Yield each record's first line and fields; lines without any character are none."""
        csv.field_size_limit(max(csv.field_size_limit(), len(self.text) + 1))
        reader = csv.reader(io.StringIO(self.text, newline=""), delimiter=self.delimiter, strict=True)
        before = 0
        for fields in reader:
            if fields:
                yield before + 1, fields
            before = reader.line_num

    def _check_quotes(self) -> None:
        """Refuse a quote that begins, ends or stays open amid a field: Arrow's reader would take it, or rows after it, for text."""
        is_suspect = re.search(rf'(?:^|[\r\n{re.escape(self.delimiter)}])[ \t]+"', self.text) is not None
        last = 0
        try:
            for line, fields in self._records():
                if is_suspect and any(map(_has_late_quotes, fields)):
                    raise self._wrong_quote(f"white space before one in line {line}")
                last = line
        except csv.Error:
            raise self._wrong_quote(
                f"another one in the row after line {last}" if last else "another one at first"
            ) from None

    def _wrong_quote(self, found: str) -> SourceInvalid:
        return SourceInvalid(
            f"quotes that begin right after {self.delimiter!r} and end right before it or the line's end in {self.origin}",
            found,
            'Write a quote inside a quoted field as "", and check the mapping\'s `delimiter`.',
        )

    def _ragged(self, expected: int) -> SourceInvalid:
        try:
            found = next(((line, len(f)) for line, f in self._records() if len(f) != expected), None)
        except csv.Error:
            found = None
        where = f"{found[1]} in line {found[0]}" if found else "a row that cannot be divided"
        return SourceInvalid(
            f"{expected} fields in each row of {self.origin}, as in its first line (Expected {expected} columns, got "
            f"{found[1] if found else 'others'})",
            where,
            "Deliver the file again; a field that holds the delimiter or a line break needs quotes.",
        )


def _has_late_quotes(field: str) -> bool:
    """Tell whether a field stands in quotes that follow white space: they were meant as quotes, and are read as letters."""
    plain = field.strip()
    return field[:1] in (" ", "\t") and len(plain) > 1 and plain[0] == plain[-1] == '"'
