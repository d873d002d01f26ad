"""Labelled texts from any CSV: one column of text, one of labels, whatever they are called."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Sequence
from pathlib import Path

from ml.errors import SourceInvalid

TEXT_NAMES = ("text", "utterance", "query", "sentence", "message")
LABEL_NAMES = ("intent", "label", "category", "class")

Example = tuple[str, str]
"""A text and its label."""


def read_examples(path: Path, text: str | None = None, label: str | None = None) -> list[Example]:
    """Return the rows of a CSV, gzipped or not, values stripped.

    Args:
        path: UTF-8, with a first line of column names.
        text: Column of the texts; none takes the only one with a usual name.
        label: Column of the labels; likewise.

    Raises:
        SourceInvalid: The file is missing, not UTF-8, lacks a column, is empty, or a row lacks text or label.
    """
    reader = csv.DictReader(_read(path).splitlines(keepends=True))
    columns = list(reader.fieldnames or ())
    names = (_column(path, columns, text, TEXT_NAMES, "text"), _column(path, columns, label, LABEL_NAMES, "label"))
    rows = [(reader.line_num, [(row[name] or "").strip() for name in names]) for row in reader]
    wrong = [line for line, values in rows if not all(values)]
    if wrong or not rows:
        found = f"none in line {', '.join(map(str, wrong[:10]))}" if wrong else "no row"
        raise SourceInvalid(f"a text and a label in each row of {path.name}", found, "Complete or remove these lines.")
    return [(values[0], values[1]) for _, values in rows]


def _read(path: Path) -> str:
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        return data.decode("utf-8-sig")
    except FileNotFoundError as error:
        raise SourceInvalid(f"a file {path}", "none", "Correct the path.") from error
    except UnicodeDecodeError as error:
        raise SourceInvalid(f"{path.name} in UTF-8", "another encoding", "Save it again as UTF-8.") from error
    except (OSError, EOFError, zlib.error) as error:
        raise SourceInvalid(f"a readable file {path}", type(error).__name__, "Look at the file.") from error


def _column(path: Path, columns: Sequence[str], asked: str | None, usual: Sequence[str], option: str) -> str:
    """Return the column asked for, or the only usual one."""
    found = (
        [name for name in columns if name == asked] if asked else [name for name in columns if name.lower() in usual]
    )
    if len(found) != 1:
        wanted = f"a column {asked}" if asked else f"one column called {', '.join(usual)}"
        raise SourceInvalid(f"{wanted} in {path.name}", ", ".join(columns) or "none", f"Name it by --{option} COLUMN.")
    return found[0]
