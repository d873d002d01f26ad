"""Packs a table's day files by month, so that memory stays flat and files do not get many."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

DAY = re.compile(r"(\d{4}-\d{2})-\d{2}")


def month_of(partition: str) -> str:
    """Return the month of a day's partition; other names (`all`, `undated`) stand for themselves."""
    day = DAY.fullmatch(partition)
    return day.group(1) if day else partition


def packed(files: Iterable[Path]) -> Iterator[tuple[str, list[Path]]]:
    """Yield months in order with their files, days in order; every file is in exactly one."""
    for month, members in groupby(sorted(files, key=lambda file: file.stem), key=lambda file: month_of(file.stem)):
        yield month, list(members)


def read(files: Iterable[Path]) -> pa.Table:
    """Return the rows of some files, in order."""
    return pa.concat_tables([pq.read_table(file) for file in files])
