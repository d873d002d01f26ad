"""Marks rows so that they are found again in a later run: equal rows have equal marks, and nobody reads a value from one."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa

from data_checks.check import Judged

MARK_BYTES = 16  # two of a billion rows collide with p < 1e-20
MARK_COLUMN = "_row"
"""Where a row that was set aside bears its mark."""


def marks(rows: pa.Table, key: bytes) -> list[str]:
    """Return each row's mark: a keyed hash of all its cells as they are stored, encrypted ones as ciphertext.

    Args:
        rows: With the columns that the source delivered, in any order.
        key: At most 64 bytes. Who has it not cannot tell what a row that nothing encrypts holds by trying.
    """
    columns = [_cells(rows[name]) for name in sorted(rows.column_names)]
    return [_mark(cells, key) for cells in zip(*columns, strict=True)]


def without_released(judged: Judged, rows: pa.Table, released: Mapping[str, int], key: bytes) -> Judged:
    """Return what a check found without the rows that a data owner let pass: of equal rows as many as were released."""
    places, left = np.flatnonzero(judged.failing), Counter(released)
    failing = judged.failing.copy()
    for place, mark in zip(places, marks(rows.take(places), key), strict=True):
        if left[mark]:
            left[mark] -= 1
            failing[place] = False
    passing = len(places) - int(failing.sum())
    holds = judged.passed or (passing > 0 and not failing.any() and judged.fault is None)
    return replace(judged, passed=holds, failing=failing, released=passing)


def _cells(column: pa.ChunkedArray) -> list[bytes | None]:
    texts = column if pa.types.is_binary(column.type) else column.cast(pa.string()).cast(pa.binary())
    cells: list[bytes | None] = texts.to_pylist()
    return cells


def _mark(cells: tuple[bytes | None, ...], key: bytes) -> str:
    state = hashlib.blake2b(key=key, digest_size=MARK_BYTES)
    for cell in cells:
        state.update(b"-" if cell is None else b"%d:%b" % (len(cell), cell))
    return state.hexdigest()
