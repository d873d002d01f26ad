"""The products a model knows, by number: the most frequent first, so that ties fall to the more popular."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ml.contract import JsonObject
from ml.use_cases.recommend.remembered import once_a_state

FIELDS = (
    "products",
    "names",
    "departments",
    "categories",
    "baskets",
    "customers",
    "gap_days",
    "sales",
)  # of the state, as in `Vocabulary`


def product_key(product_id: str) -> int:
    """Return the number that stands for a product in examples: 63 bits of its BLAKE2b digest.

    Examples name products independently of any vocabulary, so that a version with another vocabulary can be
    measured on the same rows; a number is an eighth of the memory of a text.
    """
    return int.from_bytes(hashlib.blake2b(product_id.encode(), digest_size=8).digest(), "big") >> 1


@dataclass(frozen=True)
class Vocabulary:
    """Products by number, and what people call them."""

    products: tuple[str, ...]
    names: tuple[str, ...]
    departments: tuple[str, ...]
    categories: tuple[str, ...]
    baskets: tuple[int, ...]
    """In how many baskets each was before the training window."""
    customers: tuple[int, ...]
    """How many customers bought each before the training window."""
    gap_days: tuple[float, ...]
    """Mean time between a customer's purchases of each; for one nobody bought again, of all products [days]."""

    sales: tuple[list[int], ...]
    """Baskets with each in each period before the end of the data, as `ml.use_cases.recommend.trend` cuts them."""

    @cached_property
    def numbers(self) -> dict[str, int]:
        """Product identifier to number."""
        return {product: number for number, product in enumerate(self.products)}

    def find(self, keys: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the numbers of product keys; -1 for a product that is not in the vocabulary."""
        known, order = self._keys
        if len(known) == 0:
            return np.full(len(keys), -1, dtype=np.int64)
        at = np.minimum(np.searchsorted(known, keys), len(known) - 1)
        return np.where(known[at] == keys, order[at], -1)

    @cached_property
    def statistics(self) -> tuple[NDArray[np.float64], ...]:
        """Of each product, scaled: logarithm of its baskets and of its customers, share of purchases that are repeats."""
        baskets, customers = (np.array(counts, dtype=np.float64) for counts in (self.baskets, self.customers))
        return (
            np.log1p(baskets) / 4,
            np.log1p(customers) / 4,
            1 - customers / np.maximum(baskets, 1),
            np.log1p(self.gaps) / 4,
        )

    @cached_property
    def gaps(self) -> NDArray[np.float64]:
        """Mean days between a customer's purchases of each product."""
        return np.array(self.gap_days, dtype=np.float64)

    @cached_property
    def sold(self) -> NDArray[np.int64]:
        """Baskets with each product in the newest periods `(n_products, n_periods + 1)`: column p counts p of them."""
        sales = np.array(self.sales, dtype=np.int64).reshape(len(self.products), -1)
        return np.pad(sales.cumsum(axis=1), ((0, 0), (1, 0)))

    @cached_property
    def sold_in_all(self) -> NDArray[np.int64]:
        """The same of all products together `(n_periods + 1,)`."""
        total: NDArray[np.int64] = self.sold.sum(axis=0)
        return total

    @cached_property
    def groups(self) -> NDArray[np.int64]:
        """Number of each product's category."""
        return np.unique(np.array(self.categories, dtype=object), return_inverse=True)[1].astype(np.int64)

    @cached_property
    def n_groups(self) -> int:
        """How many categories there are."""
        return len(set(self.categories))

    @cached_property
    def _keys(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        keys = np.array([product_key(product) for product in self.products], dtype=np.int64)
        order = np.argsort(keys, kind="stable")
        return keys[order], order


@once_a_state
def vocabulary_of(state: JsonObject) -> Vocabulary:
    """Return the vocabulary of a fitted state; built once for each state in memory."""
    return Vocabulary(*(tuple(state[name]) for name in FIELDS))
