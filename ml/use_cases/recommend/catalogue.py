"""All products an answer can name: those a model learned, by their number, and after them those too new to be learned."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ml.contract import JsonObject
from ml.use_cases.recommend.remembered import once_a_state
from ml.use_cases.recommend.vocabulary import product_key, vocabulary_of

UNKNOWN = "unknown"
BRANDS, NEW = "brands", "new"  # of the state


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """Products by number; a column is as long as all of them."""

    products: tuple[str, ...]
    names: tuple[str, ...]
    departments: tuple[str, ...]
    categories: tuple[str, ...]
    brands: tuple[str, ...]
    popularity: NDArray[np.float64]
    """Training baskets with each; of a new product, its baskets so far."""
    n_learned: int
    """Products that a model ranks; the numbers from there on are new products."""

    @cached_property
    def numbers(self) -> dict[str, int]:
        """Product identifier to number."""
        return {product: number for number, product in enumerate(self.products)}

    @cached_property
    def kinds(self) -> NDArray[np.int64]:
        """Number of each product's category."""
        return np.unique(np.array(self.categories, dtype=object), return_inverse=True)[1].astype(np.int64)

    @cached_property
    def aisles(self) -> NDArray[np.int64]:
        """Number of each product's department."""
        return np.unique(np.array(self.departments, dtype=object), return_inverse=True)[1].astype(np.int64)

    @cached_property
    def keys(self) -> dict[int, int]:
        """Product key, as examples bear it, to number."""
        return {product_key(product): number for number, product in enumerate(self.products)}

    @property
    def n_new(self) -> int:
        """How many products are too new to be learned."""
        return len(self.products) - self.n_learned

    def is_new(self, number: int) -> bool:
        """Tell whether a product is too new to be learned."""
        return number >= self.n_learned


@once_a_state
def catalogue_of(state: JsonObject) -> Catalogue:
    """Return the products of a fitted state; a state of an earlier version knows no new ones."""
    learned, new = vocabulary_of(state), state.get(NEW, {})
    brands = state.get(BRANDS, [UNKNOWN] * len(learned.products))
    popularity = [*state["popularity"], *new.get("baskets", ())]
    return Catalogue(
        products=(*learned.products, *new.get("products", ())),
        names=(*learned.names, *new.get("names", ())),
        departments=(*learned.departments, *new.get("departments", ())),
        categories=(*learned.categories, *new.get("categories", ())),
        brands=(*brands, *new.get("brands", ())),
        popularity=np.array(popularity, dtype=np.float64),
        n_learned=len(learned.products),
    )
