"""Files beside a table's own that are not read although they look like the table: copies, other spellings, archives.

They are refused: rows that somebody delivered and nobody reads would be missed in silence.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from ml.errors import SourceInvalid

HIDDEN = "._"
SHOWN = 5
WORD = re.compile(r"[^\W\d_]+")
ENDINGS = frozenset({
    *("csv", "tsv", "txt", "tab", "dat", "parquet", "pq", "arrow", "feather", "orc", "avro", "json", "jsonl", "ndjson", "xml"),
    *("xls", "xlsx", "xlsm", "xlsb", "ods", "numbers", "mdb", "accdb", "sqlite", "db", "sql", "md"),
    *("gz", "zip", "bz", "bz2", "xz", "zst", "lz", "rar", "z", "tar", "tgz", "part", "tmp", "crdownload", "bak"),
})  # fmt: skip
"""Of files that may hold a table."""
PACKED = frozenset({"zip", "bz2", "xz", "zst", "rar", "7z", "tar", "tgz", "gz"})
SHEETS = frozenset({"xls", "xlsx", "xlsm", "xlsb", "ods", "numbers"})
OF_COPIES = frozenset({
    *("copy", "of", "kopie", "von", "copie", "de", "copia", "副本", "old", "alt", "new", "neu", "final", "backup", "bak"),
    *("v", "export", "part", "teil", "to", "bis", "from", "vom", "tmp", "temp", "data", "table", "test"),
})  # fmt: skip
"""Words that people and programs add to a file's name and that name no other table."""

log = logging.getLogger(__name__)


def ensure_none(tables: Sequence[str], others: Iterable[str], names: Iterable[str], kinds: Sequence[str]) -> None:
    """Refuse what looks like one of the tables and is not read; log what else is not.

    Args:
        tables: Where the wanted tables lie: file or folder, without ending.
        others: What else the mapping names.
        names: All files, relative to the place.
        kinds: Endings of files that are read.

    Raises:
        SourceInvalid: A file or folder looks like a table.
    """
    own = {*tables, *others}
    unread = sorted({name for name in names if not _is_read(name, own, kinds)})
    found = {name: table for name in unread for table in tables if _looks_like(name, table)}
    if found:
        shown = list(found)[:SHOWN]
        more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        raise SourceInvalid(
            f"the table {', '.join(sorted(set(found.values())))} in files that are read ({', '.join(kinds)}; or in a folder "
            "of that name)",
            f"{', '.join(shown)}{more}, which would not be read",
            " ".join(dict.fromkeys(_remedy(name, found[name]) for name in shown)),
            table=next(iter(found.values())),
        )
    loose = [name for name in unread if "/" not in name and _endings(name) & ENDINGS]
    if loose:
        log.warning("files not read by this use case: %s", ", ".join(loose[:SHOWN]))


def _is_read(name: str, own: Iterable[str], kinds: Sequence[str]) -> bool:
    """Tell whether a file belongs to a table, or is hidden on purpose."""
    if any(part[0] in HIDDEN for part in PurePosixPath(name).parts):
        return True
    return any(name.startswith(f"{one}/") or name in {f"{one}{kind}" for kind in kinds} for one in own)


def _looks_like(name: str, table: str) -> bool:
    """Tell whether a file's name, or its folder's, is the table's with another spelling or with words of copies."""
    path, wanted = PurePosixPath(name).parts, PurePosixPath(table).parts
    if len(path) < len(wanted) or path[: len(wanted) - 1] != wanted[:-1]:
        return False
    part, is_folder = path[len(wanted) - 1], len(path) > len(wanted)
    if not is_folder and not _endings(part) & ENDINGS:
        return False
    found, words = _words(part if is_folder else _stem(part)), _words(wanted[-1])
    at = next((i for i in range(len(found) - len(words) + 1) if found[i : i + len(words)] == words), None)
    return bool(words) and at is not None and {*found[:at], *found[at + len(words) :]} <= OF_COPIES


def _words(text: str) -> list[str]:
    return WORD.findall(text.casefold())


def _stem(part: str) -> str:
    """Return a file's name without its endings."""
    while "." in part and part.rpartition(".")[2].casefold() in ENDINGS:
        part = part.rpartition(".")[0]
    return part


def _endings(name: str) -> set[str]:
    return {ending.casefold().lstrip(".") for ending in PurePosixPath(name).suffixes}


def _remedy(name: str, table: str) -> str:
    endings = _endings(name)
    if PurePosixPath(name).name.startswith("~$"):
        return "Close the workbook of which that is the lock, and save it as CSV (UTF-8)."
    if endings & SHEETS:
        return "Save the workbook as CSV (UTF-8) or Parquet."
    if endings & PACKED:
        return f"Unpack it to {table}.csv; of packed files only .csv.gz is read."
    return f"Put its rows into {table}/ if they count, or remove it; names that begin with _ or . are skipped."
