"""Encrypts and opens the columns of a table that name people or hold what they wrote, each row by its customer's key.

A sealed column is of type binary, whatever reads it. Each distinct value of a customer is encrypted once.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ml.contract import Table
from ml.privacy.cipher import TOKEN_BYTES, DataKey
from ml.privacy.key_ring import KeyRing, erased

if TYPE_CHECKING:
    import pyarrow as pa

WORD_BYTES = 12  # of an opaque word: two of a billion values collide with p < 1e-11


class Sealer:
    """Seals rows on their way in, and leaves out those of erased customers."""

    def __init__(self, ring: KeyRing, erasures: Collection[str]) -> None:
        self._ring = ring
        self._erasures = frozenset(erasures)
        self.tokens: set[bytes] = set()
        """Tokens of the customers' keys that sealed something: who is in the data."""
        self.left_out = 0
        """Rows of erased customers so far."""

    def seal(self, table: Table, chunks: Iterable[pa.Table]) -> Iterator[pa.Table]:
        """Yield the rows with their sealed columns encrypted, chunk by chunk.

        Raises:
            IntegrityBroken: A customer was erased since the run was frozen.
        """
        for rows in chunks:
            yield self._seal(table, rows) if table.sealed else rows

    def _seal(self, table: Table, rows: pa.Table) -> pa.Table:
        owners, keys, rows = self._owners(table, rows)
        for name in table.sealed:
            rows = rows.set_column(rows.column_names.index(name), name, _sealed(rows, table, name, (owners, keys)))
        return rows

    def _owners(self, table: Table, rows: pa.Table) -> tuple[np.ndarray, list[DataKey], pa.Table]:
        """Return which key seals each row, the keys, and the rows that stay."""
        import pyarrow as pa

        if table.subject is None:
            return np.zeros(len(rows), dtype=np.int64), [self._ring.of_table(table.name)], rows
        codes, customers = _coded(rows[table.subject])
        is_erased = [self._ring.name(customer) in self._erasures for customer in customers]
        stays = ~np.array([*is_erased, False])[codes]  # code -1, a missing customer, is the last
        self.left_out += int((~stays).sum())
        present = [customer for customer, gone in zip(customers, is_erased, strict=True) if not gone]
        found = self._ring.of_customers(present)
        self.tokens |= {key.token for key in found.values()}
        none = self._ring.of_table(table.name)
        keys = [found.get(customer, none) for customer in customers]
        return codes[stays] % (len(keys) + 1), [*keys, none], rows.filter(pa.array(stays))


class Opener:
    """Opens sealed columns in memory; columns that are not sealed stay as they are."""

    def __init__(self, ring: Callable[[], KeyRing]) -> None:
        self._ask = ring
        self._ring: KeyRing | None = None

    def open(self, table: Table, rows: pa.Table, but: Collection[str] = ()) -> pa.Table:
        """Return the rows with their values.

        Args:
            table: Declares the sealed columns.
            rows: As they are stored.
            but: Columns that stay sealed.

        Raises:
            IntegrityBroken: A customer was erased since, or a cell was altered.
        """
        import pyarrow as pa

        for field in rows.schema:
            if field.name in table.sealed and field.name not in but and pa.types.is_binary(field.type):
                rows = _mapped(rows, field.name, partial(self.value, f"{table.name}.{field.name}"))
        return rows

    def value(self, place: str, cell: bytes) -> str:
        """Return the value of one cell of `table.column`; raise `IntegrityBroken` as `open` does."""
        self._ring = self._ring or self._ask()
        key = self._ring.by_token.get(cell[:TOKEN_BYTES])
        if key is None:
            raise erased("a customer")
        return key.open(place, cell)


class Words:
    """Turns values into opaque words that are equal where the values are: enough to count, join and find repeats."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def of(self, table: Table, rows: pa.Table) -> pa.Table:
        """Return opened rows with a word for each value of the columns that are sealed where they are stored."""
        for name in (name for name in table.sealed if name in rows.column_names):
            rows = _mapped(rows, name, self._word)
        return rows

    def _word(self, value: str) -> str:
        return hashlib.blake2b(value.encode(), key=self._key, digest_size=WORD_BYTES).hexdigest()


def _mapped(rows: pa.Table, name: str, change: Callable[[Any], str]) -> pa.Table:
    """Return the rows with a text for each value of a column; each distinct one is changed once."""
    import pyarrow as pa

    codes, values = _coded(rows[name])
    texts = pa.array([change(value) for value in values], pa.string())
    changed = texts.take(pa.array(codes, mask=codes < 0))
    return rows.set_column(rows.column_names.index(name), name, changed)


def _sealed(rows: pa.Table, table: Table, name: str, by: tuple[np.ndarray, list[DataKey]]) -> pa.Array:
    """Return a column's cells; each pair of key and value is encrypted once."""
    import pandas as pd
    import pyarrow as pa

    (owners, keys), place = by, f"{table.name}.{name}"
    codes, values = _coded(rows[name])
    n_values = max(len(values), 1)
    pairs, distinct = pd.factorize(np.where(codes < 0, -1, owners * n_values + codes))
    cells = [
        keys[pair // n_values].seal(place, values[pair % n_values]) if pair >= 0 else None for pair in distinct.tolist()
    ]
    return pa.array(cells, pa.binary()).take(pa.array(pairs))


def _coded(column: pa.ChunkedArray) -> tuple[np.ndarray, list[Any]]:
    """Return each row's place in the list of distinct values, -1 where it is missing, and that list."""
    import pyarrow as pa

    encoded = column.dictionary_encode().unify_dictionaries().combine_chunks()
    whole = encoded if isinstance(encoded, pa.DictionaryArray) else encoded.chunk(0)
    return whole.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64), whole.dictionary.to_pylist()
