"""Files that are the same bytes whenever they hold the same things."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml.contract import VERDICT_SCHEMA, JsonObject, Rule, Verdict
from ml.errors import IntegrityBroken

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

DOCUMENT_BYTES = 32 * 1024 * 1024  # longest JSON document that is read
FILE_BYTES = 1024 * 1024 * 1024  # longest JSON file of our own stages and disk
AGAIN = "Run the stage before it again."
DEPTH = 64  # deepest nesting of a document: deeper ones are written to exhaust whoever reads them


def parse(data: bytes | str, what: str, action: str, most_bytes: int = DOCUMENT_BYTES) -> Any:
    """Return the value that JSON holds, of bounded size and depth, whoever wrote it.

    Args:
        data: UTF-8; NaN and infinities are accepted as Python writes them.
        what: What it should be, for the message, such as `a ledger entry`.
        action: What the reader can do if it is not.
        most_bytes: Longest document [bytes; characters of a text].

    Raises:
        IntegrityBroken: It is too long, too deep, not UTF-8, no JSON, or holds text that UTF-8 cannot write.
    """
    if len(data) > most_bytes:
        raise IntegrityBroken(f"{what} of at most {most_bytes:,} bytes", f"{len(data):,}", action)
    try:
        value = json.loads(data if isinstance(data, str) else data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise IntegrityBroken(f"{what} as JSON in UTF-8", _fault(error), action) from error
    fault = _nested_fault(value)
    if fault:
        raise IntegrityBroken(f"{what} as plain JSON", fault, action)
    return value


def parse_object(data: bytes | str, what: str, action: str, most_bytes: int = DOCUMENT_BYTES) -> JsonObject:
    """Return the object that JSON holds; raise `IntegrityBroken` as `parse` does, or if it holds another kind of value."""
    value = parse(data, what, action, most_bytes)
    if not isinstance(value, dict):
        raise IntegrityBroken(f"{what} as a JSON object", f"a {type(value).__name__}", action)
    return value


def _fault(error: Exception) -> str:
    """Return what is wrong with a document without quoting it: it may hold personal values."""
    if isinstance(error, json.JSONDecodeError):
        return f"other text from line {error.lineno}, column {error.colno}"
    if isinstance(error, UnicodeDecodeError):
        return f"another encoding from byte {error.start}"
    return "nesting without end" if isinstance(error, RecursionError) else "a number that is too long"


def _nested_fault(value: Any) -> str | None:
    """Return why a parsed value is refused: nested deeper than `DEPTH`, or text that UTF-8 cannot write."""
    level: list[Any] = [value]
    for depth in range(DEPTH + 1):
        if any(isinstance(item, str) and not item.isascii() and not _is_utf8(item) for item in level):
            return "half of a surrogate pair"
        nested = [item for item in level if isinstance(item, dict | list)]
        if not nested:
            return None
        if depth >= DEPTH:
            break
        level = [inner for item in nested for inner in item]
        level += [inner for item in nested if isinstance(item, dict) for inner in item.values()]
    return f"more than {DEPTH} levels of nesting"


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def canonical(value: Any) -> bytes:
    """Return the one JSON form of a value that is hashed and signed: sorted keys, no spaces, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def sha256(data: bytes) -> str:
    """Return `sha256:<hexadecimal>` of the bytes."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def sha256_file(path: Path) -> str:
    """Return `sha256:<hexadecimal>` of the file's bytes."""
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def write_json(path: Path, value: Any) -> None:
    """Write readable JSON with sorted keys; the folder is made, the file appears whole or not at all."""
    write_bytes(path, readable(value))


def readable(value: Any) -> bytes:
    """Return the JSON that `write_json` writes."""
    text = json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
    return f"{text}\n".encode()


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file beside its place, then move it there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.part")
    beside.write_bytes(data)
    beside.replace(path)


def write_private(path: Path, data: bytes) -> None:
    """Write a file that its owner alone may read, from its first byte on; it appears whole or not at all."""
    beside = path.with_name(f".{path.name}.part")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
    beside.replace(path)


def read_json(path: Path) -> JsonObject:
    """Read a JSON object.

    Raises:
        IntegrityBroken: The file is missing or holds no JSON object.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise IntegrityBroken(f"JSON in {path}", type(error).__name__, AGAIN) from error
    return parse_object(data, str(path), AGAIN, FILE_BYTES)


def write_parquet(path: Path, frame: pd.DataFrame) -> None:
    """Write a table with fixed options: equal rows in equal order give equal bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.part")
    frame.to_parquet(beside, engine="pyarrow", index=False, compression="zstd")
    beside.replace(path)


def write_arrow(path: Path, rows: pa.Table) -> None:
    """Write an Arrow table with the same fixed options."""
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.part")
    pq.write_table(rows.combine_chunks(), beside, compression="zstd")
    beside.replace(path)


def table_files(folder: Path) -> list[Path]:
    """Return the Parquet files of one table's folder in order of name."""
    return sorted(folder.glob("*.parquet"))


def read_table(folder: Path, columns: Iterable[str] | None = None) -> pd.DataFrame:
    """Read all files of one table's folder, in order of name."""
    import pandas as pd

    wanted = None if columns is None else list(columns)
    return pd.concat([pd.read_parquet(file, columns=wanted) for file in table_files(folder)], ignore_index=True)


def write_verdict(path: Path, verdict: Verdict, **details: Any) -> None:
    """Write a verdict with its schema and any details a report shows beside it."""
    write_json(path, {"schema": VERDICT_SCHEMA, **asdict(verdict), "details": details})


def read_verdict(path: Path) -> Verdict:
    """Read a verdict.

    Raises:
        IntegrityBroken: It is missing, unreadable or of another schema: missing evidence is a refusal.
    """
    return parse_verdict(read_json(path))


def parse_verdict(value: JsonObject) -> Verdict:
    """Return the verdict that JSON holds; raise `IntegrityBroken` as `read_verdict` does."""
    if value.get("schema") != VERDICT_SCHEMA:
        raise IntegrityBroken(VERDICT_SCHEMA, repr(value.get("schema")), "Run the judging stage again.")
    try:
        rules = tuple(_rule(item) for item in value["rules"])
        return Verdict(
            stage=value["stage"],
            accepted=value["accepted"] is True,
            rules=rules,
            summary=value["summary"],
            chosen=value["chosen"],
        )
    except (KeyError, TypeError) as error:
        raise IntegrityBroken("a whole verdict", str(error), "Run the judging stage again.") from error


def _rule(item: Mapping[str, Any]) -> Rule:
    interval = item["interval"]
    return Rule(**{**item, "interval": None if interval is None else (interval[0], interval[1])})
