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
from ml.privacy.share import own

if TYPE_CHECKING:
    import pyarrow as pa

WORD_BYTES = 12  # of an opaque word: two of a billion values collide with p < 1e-11


class Sealer:
    """Seals rows on their way in, and leaves out those of erased customers.

    Args:
        ring: The customers' keys.
        erasures: Names of the keys of those who were erased.
        tables: All tables of the use case. Those that others find their customers in (`Table.owner`) are to be sealed first.
    """

    def __init__(self, ring: KeyRing, erasures: Collection[str], tables: Collection[Table] = ()) -> None:
        self._ring = ring
        self._erasures = frozenset(erasures)
        self._owners = {table.references[table.owner]: Owners() for table in tables if table.owner}
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
            for (name, column), owners in self._owners.items():
                if name == table.name and table.subject:
                    owners.learn(rows[column], rows[table.subject])
            yield self._seal(table, rows) if table.sealed else rows

    def _seal(self, table: Table, rows: pa.Table) -> pa.Table:
        owners, keys, rows = self._keyed(table, rows)
        for name in table.sealed:
            rows = rows.set_column(rows.column_names.index(name), name, _sealed(rows, table, name, (owners, keys)))
        return rows

    def _keyed(self, table: Table, rows: pa.Table) -> tuple[np.ndarray, list[DataKey], pa.Table]:
        """Return which key seals each row, the keys, and the rows that stay."""
        import pyarrow as pa

        named = self._customers(table, rows)
        if named is None:
            return np.zeros(len(rows), dtype=np.int64), [self._ring.of_table(table.name)], rows
        codes, customers = _coded(named)
        is_erased = [self._ring.name(customer) in self._erasures for customer in customers]
        stays = ~np.array([*is_erased, False])[codes]  # code -1, a missing customer, is the last
        self.left_out += int((~stays).sum())
        present = [customer for customer, gone in zip(customers, is_erased, strict=True) if not gone]
        found = self._ring.of_customers(present)
        self.tokens |= {key.token for key in found.values()}
        none = self._ring.of_table(table.name)
        keys = [found.get(customer, none) for customer in customers]
        return codes[stays] % (len(keys) + 1), [*keys, none], rows.filter(pa.array(stays))

    def _customers(self, table: Table, rows: pa.Table) -> pa.ChunkedArray | None:
        """Return the customer of each row, missing where nobody knows one; none where rows belong to no customer at all."""
        if table.subject is not None:
            return rows[table.subject]
        owners = self._owners.get(table.references[table.owner]) if table.owner else None
        return owners.of(rows[table.owner]) if owners else None


class Owners:
    """Whose something is, such as a basket, as the table tells that names the customer: also of who was erased."""

    def __init__(self) -> None:
        self._parts: list[pa.Table] = []

    def learn(self, things: pa.ChunkedArray, customers: pa.ChunkedArray) -> None:
        """Take in whose some things are."""
        import pyarrow as pa

        self._parts.append(_first(pa.table({"thing": things, "customer": customers})))

    def of(self, things: pa.ChunkedArray) -> pa.ChunkedArray:
        """Return the customer of each thing; missing where nobody told. Of several the first in order of name."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if not self._parts:
            return pa.chunked_array([pa.nulls(len(things), pa.string())])
        self._parts = [_first(pa.concat_tables(self._parts))]
        (known,) = self._parts
        found: pa.ChunkedArray = known["customer"].take(pc.index_in(things, value_set=known["thing"].combine_chunks()))
        return found


def _first(pairs: pa.Table) -> pa.Table:
    """Return each thing once, with the first of its customers."""
    whole = pairs.filter(_present(pairs)).group_by("thing", use_threads=False).aggregate([("customer", "min")])
    return whole.rename_columns(["thing", "customer"])


def _present(pairs: pa.Table) -> pa.ChunkedArray:
    import pyarrow.compute as pc

    return pc.and_(pc.is_valid(pairs["thing"]), pc.is_valid(pairs["customer"]))


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
        return self.key(cell).open(place, cell)

    def own(self, table: Table, name: str, cells: pa.ChunkedArray) -> pa.ChunkedArray:
        """Return a column's cells as their customers alone read them back; none where nobody knows whose a row is."""
        import pyarrow as pa

        place, kept = f"{table.name}.{name}", cells.dictionary_encode().unify_dictionaries().combine_chunks()
        whole = kept if isinstance(kept, pa.DictionaryArray) else kept.chunk(0)
        texts = pa.array([self._own(table, place, cell) for cell in whole.dictionary.to_pylist()], pa.string())
        return pa.chunked_array([texts.take(whole.indices)])

    def key(self, cell: bytes) -> DataKey:
        """Return the key of a cell; raise `IntegrityBroken` where its customer was erased."""
        self._ring = self._ring or self._ask()
        found = self._ring.by_token.get(cell[:TOKEN_BYTES])
        if found is None:
            raise erased("a customer")
        return found

    def _own(self, table: Table, place: str, cell: bytes) -> str | None:
        key = self.key(cell)
        of_table = self._ring.of_table(table.name) if self._ring else None
        return (
            None
            if key is of_table or (of_table and key.token == of_table.token)
            else own(place, key, key.open(place, cell))
        )


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
