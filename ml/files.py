"""Files that are the same bytes whenever they hold the same things."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml.contract import VERDICT_SCHEMA, JsonObject, Rule, Verdict
from ml.errors import IntegrityBroken

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


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
    text = json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
    write_bytes(path, f"{text}\n".encode())


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file beside its place, then move it there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.part")
    beside.write_bytes(data)
    beside.replace(path)


def read_json(path: Path) -> JsonObject:
    """Read a JSON object.

    Raises:
        IntegrityBroken: The file is missing or holds no JSON object.
    """
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise IntegrityBroken(f"JSON in {path}", type(error).__name__, "Run the stage before it again.") from error
    if not isinstance(value, dict):
        raise IntegrityBroken(f"a JSON object in {path}", type(value).__name__, "Run the stage before it again.")
    return value


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
