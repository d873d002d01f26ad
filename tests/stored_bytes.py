"""Everything that bytes hold, whatever wraps it: compressed, in an archive, or in the columns of a table."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ml.config import Settings
from ml.store import connect

ZSTD, GZIP, PARQUET, ZIP = b"\x28\xb5\x2f\xfd", b"\x1f\x8b", b"PAR1", b"PK\x03\x04"


def views(data: Any) -> Iterator[Any]:
    """Yield the bytes, and those of what is inside them, at any depth."""
    yield data
    for inner in unwrapped(data):
        yield from views(inner)


def unwrapped(data: Any) -> Iterator[Any]:
    if data.startswith(GZIP):
        yield gzip.decompress(data)
    elif data.startswith(ZSTD):
        yield pa.input_stream(io.BytesIO(data), compression="zstd").read()
    elif data.startswith(PARQUET):
        yield pq.read_table(io.BytesIO(data)).to_pandas().to_csv().encode()
    elif data.startswith(ZIP):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            yield from (archive.read(name) for name in archive.namelist())
    elif data[257:262] == b"ustar":
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            yield from (file.read() for member in archive if (file := archive.extractfile(member)) is not None)


def holders(contents: Any, planted: Any) -> Any:
    """Return (place, value) of every planted value that is found."""
    return [
        (place, value)
        for place, data in contents
        for view in views(data)
        for value in planted
        if value.encode() in view
    ]


def objects(settings: Settings) -> Iterator[Any]:
    """Yield every object of every bucket the settings' S3 user may list."""
    client = connect(settings)
    for bucket in (one["Name"] for one in client.list_buckets()["Buckets"]):
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            for item in page.get("Contents", ()):
                yield f"{bucket}/{item['Key']}", client.get_object(Bucket=bucket, Key=item["Key"])["Body"].read()


def files(folder: Path) -> Iterator[Any]:
    """Yield every file below a folder."""
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            yield str(path), path.read_bytes()
