"""Tells what a file is by its first bytes, where its name says something else."""

from __future__ import annotations

import codecs
import io
import zipfile

from ml.errors import SourceInvalid

HEAD = 512
UNPACK = "Unpack it; of packed files only .csv.gz is read."
AS_CSV = "Save it as CSV (UTF-8) or Parquet."
MARKS: tuple[tuple[bytes, str, str], ...] = (
    (b"\x1f\x8b", "a gzip file", "Rename it to end in .csv.gz, or unpack it."),
    (b"PAR1", "a Parquet file", "Rename it to end in .parquet."),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel workbook (.xls) or another Office file", AS_CSV),
    (b"SQLite format 3\0", "a SQLite database", "Use `kind: sql` for it, or export the table as CSV."),
    (b"BZh", "a bzip2 archive", UNPACK),
    (b"\xfd7zXZ\0", "an xz archive", UNPACK),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive", UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", UNPACK),
    (b"Rar!\x1a\x07", "a RAR archive", UNPACK),
    (b"ARROW1", "an Arrow file", "Save it as Parquet."),
    (b"ORC", "an ORC file", "Save it as Parquet."),
    (b"%PDF-", "a PDF document", "Export the table as CSV."),
)
ZIPPED = (
    ("xl/", "an Excel workbook (.xlsx)", AS_CSV),
    ("content.xml", "an OpenDocument spreadsheet", AS_CSV),
    ("Index/", "a Numbers spreadsheet", AS_CSV),
)
PAGES = ((b"<!doctype html", "a web page"), (b"<html", "a web page"), (b"<?xml", "an XML document"))
NAMED = {".parquet": "a Parquet file", ".csv.gz": "a gzip file"}


def ensure_named_right(data: bytes, name: str, origin: str) -> None:
    """Refuse a file whose bytes are of another kind than its name says.

    Args:
        data: All of it.
        name: Its name, by which it is read.
        origin: What messages call it.

    Raises:
        SourceInvalid: It is of a kind that can be told; what cannot be told passes.
    """
    wanted = next((form for ending, form in NAMED.items() if name.endswith(ending)), "text")
    found, remedy = _form(data)
    if found and found != wanted:
        raise SourceInvalid(f"a readable file {origin}, {wanted} as its name says", found, remedy)
    if not found and wanted != "text" and _is_text(data) and not data.startswith(b"PAR1"):
        raise SourceInvalid(
            f"a readable file {origin}, {wanted} as its name says", "plain text", "Rename it to end in .csv."
        )


def _form(data: bytes) -> tuple[str, str]:
    """Return what a file is and what to do with it; empty where its first bytes do not say."""
    if data.startswith(b"PK\x03\x04"):
        return _zipped(data)
    for mark, form, remedy in MARKS:
        if data.startswith(mark) and not (mark.isalnum() and _is_text(data)):
            return form, remedy
    start = data[:HEAD].removeprefix(codecs.BOM_UTF8).lstrip().lower()
    page = next((form for mark, form in PAGES if start.startswith(mark)), "")
    return page, "Download or export the table itself as CSV." if page else ""


def _zipped(data: bytes) -> tuple[str, str]:
    try:
        names = zipfile.ZipFile(io.BytesIO(data)).namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        names = []
    for start, form, remedy in ZIPPED:
        if any(name.startswith(start) for name in names):
            return form, remedy
    return "a zip archive", UNPACK


def _is_text(data: bytes) -> bool:
    """Tell whether a file begins with text: so may a header `ORC,…`."""
    head = data[:HEAD]
    return bool(head) and b"\0" not in head and all(byte >= 32 or byte in b"\t\r\n\f" for byte in head)
