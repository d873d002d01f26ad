"""CSV files that people write by hand: their rows, or one error that names every line to correct."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from ml.errors import SourceInvalid

GUIDE = "docs/service-corpus.md"
SHOWN = 10
"""Problems that an error spells out; the rest are counted."""


def read_rows(path: Path, columns: Sequence[str], optional: Sequence[str] = ()) -> list[tuple[int, dict[str, str]]]:
    """Return (line, value by column) of each row, values stripped; lines that are blank are skipped, optional columns too.

    Raises:
        SourceInvalid: The file is missing or not UTF-8; a column is missing or unknown; a row has too few or too many values.
    """
    reader = csv.DictReader(read_text(path).splitlines(keepends=True))
    given = tuple(reader.fieldnames or ())
    if sorted(name for name in given if name not in optional) != sorted(columns):
        raise SourceInvalid(
            f"the columns {', '.join(columns)} in {path.name}, separated by commas",
            ", ".join(given) or "an empty file",
            f"Correct the first line, as {GUIDE} shows.",
        )
    rows = [(reader.line_num, row) for row in reader]
    # DictReader files surplus values under the key None, and None where values are lacking.
    refuse(
        path.name,
        [f"line {line}: not {len(given)} values" for line, row in rows if None in row or None in row.values()],
    )
    return [(line, {name: row[name].strip() for name in columns}) for line, row in rows]


def read_text(path: Path) -> str:
    """Return a file's text, without a byte order mark; raise `SourceInvalid` if it is missing or not UTF-8."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise SourceInvalid(f"a file {path.name} in {path.parent}", "none", f"Add it, as {GUIDE} shows.") from error
    except UnicodeDecodeError as error:
        raise SourceInvalid(f"{path.name} in UTF-8", "another encoding", "Save it again as UTF-8.") from error


def refuse(name: str, problems: Sequence[str]) -> None:
    """Raise `SourceInvalid` with the first problems of a file, each with its line and no customer's words; none is fine."""
    if not problems:
        return
    more = f"; and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
    raise SourceInvalid(
        f"{name} as {GUIDE} describes it",
        f"{len(problems)} problems: " + "; ".join(problems[:SHOWN]) + more,
        "Correct these lines and read the file again.",
        problems=tuple(problems),
    )
