"""The model: an additive score over the distinct products of a history, so that each one's share is exact.

score(i) = b[i] + Σ_j ( (r(x_j, c_j) + own[j])·[i = j] + g(x_j, c_j)·f[j]ᵀ W f[i] + k(x_j)·s[j, i] )

over positions j of the history with features x_j and category c_j: popularity, habit, exploration, similar products.
r, g, k and W are learned; popularity b, own = constant - b, factors f and the sparse similarities s are counted
beforehand and constant: learned for each product, they fitted the training customers and were worse for later weeks.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from ml.use_cases.recommend.encode import FEATURES, STRENGTH
from ml.use_cases.recommend.neighbours import LEVELS

LOG_SCALE = 2.0  # `features` holds half the logarithm of a decayed count
SIMILAR = -5.0  # where learning starts: logarithm of the weight of similar products
SMALL = 2**15  # rows of a table whose numbers fit 16 bits
CATEGORY_SIZE = 6  # numbers that describe a category
NEVER = -20.0  # logarithm of no weight at all
OWN = -5.5  # where learning starts: score of a product bought once, just now, in place of its popularity [nat]


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Sizes of a network; all a reader of `config.json` needs to build it again."""

    n_products: int
    n_categories: int
    embedding: int
    hidden: int
    dropout: float
    neighbours: int


@dataclass(frozen=True, kw_only=True)
class Tables:
    """What is known of products before learning."""

    popularity: NDArray[np.float32]
    """`(n_products,)` logarithm of the share of purchases."""
    categories: NDArray[np.int32]
    """`(n_products,)` number of each product's category."""
    near: NDArray[np.int32]
    """`(n_products, n_neighbours)` numbers of similar products, the first is the product itself."""
    likeness: NDArray[np.float32]
    """`(n_products, n_neighbours)` similarities in steps of 1 / `LEVELS`."""
    factors: NDArray[np.float32]
    """`(n_products, embedding)` what products share."""


@keras.saving.register_keras_serializable("tradewind")
class Additive(keras.layers.Layer):  # type: ignore[misc]  # Keras is not typed
    """Adds up the four terms; the only layer that knows about products."""

    def __init__(self, shape: Shape, **settings: Any) -> None:
        super().__init__(**settings)
        self._shape = shape
        self._dropout = keras.layers.Dropout(shape.dropout)

    def build(self, _: Any) -> None:
        """Make the tables; row 0 of each belongs to empty positions."""
        rows = self._shape.n_products + 1
        table = (rows, self._shape.neighbours)
        self.bias = self.add_weight(shape=(rows,), initializer="zeros", name="bias", trainable=False)
        self.own = self.add_weight(shape=(rows,), initializer="zeros", name="own", trainable=False)
        factors = (rows, self._shape.embedding)
        self.factors = self.add_weight(shape=factors, initializer="zeros", trainable=False, name="factors")
        self.turn = self.add_weight(shape=(self._shape.embedding,) * 2, initializer="zeros", name="turn")
        number = "int16" if rows <= SMALL else "int32"
        self.near = self.add_weight(shape=table, initializer="zeros", trainable=False, dtype=number, name="near")
        self.likeness = self.add_weight(
            shape=table, initializer="zeros", trainable=False, dtype="uint8", name="likeness"
        )

    def call(self, inputs: tuple[Any, Any], training: bool = False) -> Any:
        """Return `(n_rows, n_products)`.

        Args:
            inputs: `items` `(n_rows, n_positions)`, and the three weights of each position `(…, 3)`.
            training: Whether to drop some of the explore term's numbers.
        """
        items, weights = inputs
        is_there = tf.cast(items > 0, tf.float32)
        repeat, explore, similar = (weights[..., term] * is_there for term in range(3))
        repeat = repeat + tf.gather(self.own, items) * is_there
        taste = tf.reduce_sum(tf.expand_dims(explore, 2) * tf.gather(self.factors, items), axis=1)
        taste = tf.matmul(self._dropout(taste, training=training), self.turn)
        scores = tf.matmul(taste, self.factors, transpose_b=True) + self.bias
        like = tf.expand_dims(similar, 2) * tf.cast(tf.gather(self.likeness, items), tf.float32) / LEVELS
        parts = tf.concat([tf.expand_dims(repeat, 2) + like[:, :, :1], like[:, :, 1:]], axis=2)
        near = tf.cast(tf.gather(self.near, items), tf.int32)
        return (scores + _scatter(near, parts, self._shape.n_products + 1))[:, 1:]

    def get_config(self) -> dict[str, Any]:
        """Return what rebuilds the layer."""
        return {**super().get_config(), "shape": asdict(self._shape)}


@keras.saving.register_keras_serializable("tradewind")
class Category(keras.layers.Layer):  # type: ignore[misc]  # Keras is not typed
    """Describes a product by a few learned numbers of its category: habits differ between milk and detergent."""

    def __init__(self, shape: Shape, **settings: Any) -> None:
        super().__init__(**settings)
        self._shape = shape

    def build(self, _: Any) -> None:
        """Make the tables; category 0 belongs to empty positions."""
        rows = (self._shape.n_products + 1,)
        small = keras.initializers.RandomUniform(-0.05, 0.05)
        size = (self._shape.n_categories + 1, CATEGORY_SIZE)
        self.of_product = self.add_weight(
            shape=rows, initializer="zeros", trainable=False, dtype="int32", name="of_product"
        )
        self.described = self.add_weight(shape=size, initializer=small, name="described")

    def call(self, items: Any) -> Any:
        """Return `(n_rows, n_positions, CATEGORY_SIZE)`."""
        return tf.gather(self.described, tf.gather(self.of_product, items))

    def get_config(self) -> dict[str, Any]:
        """Return what rebuilds the layer."""
        return {**super().get_config(), "shape": asdict(self._shape)}


def build(shape: Shape) -> keras.Model:
    """Return the untrained network: `items`, `features` -> scores."""
    items = keras.Input((None,), dtype="int32", name="items")
    features = keras.Input((None, len(FEATURES)), name="features")
    wide = keras.layers.Concatenate()([features, Category(shape, name="category")(items)])
    first = keras.layers.Dense(shape.hidden, activation="relu", name="first")(wide)
    second = keras.layers.Dense(shape.hidden, activation="relu", name="second")(first)
    straight = keras.layers.Dense(1, use_bias=False, kernel_initializer=_by_strength, name="straight")(features)
    repeat = keras.layers.Dense(1, name="repeat")(second) + straight
    explore = keras.layers.Dense(1, activation="softplus", name="explore")(second)
    start = keras.initializers.Constant(SIMILAR)
    log_similar = keras.layers.Dense(1, kernel_initializer="zeros", bias_initializer=start, name="similar")(features)
    similar = keras.ops.exp(keras.ops.clip(log_similar, NEVER, 5.0))
    weights = keras.layers.Concatenate(name="weights")([repeat, explore, similar])
    return keras.Model({"items": items, "features": features}, Additive(shape, name="scores")((items, weights)))


def set_tables(model: keras.Model, tables: Tables) -> None:
    """Set what is constant, and where habits start."""
    layer = model.get_layer("scores")
    values = (
        (layer.bias, tables.popularity),
        (layer.own, OWN - tables.popularity),
        (model.get_layer("category").of_product, tables.categories + 1),
        (layer.near, (tables.near + 1).astype(layer.near.dtype)),
        (layer.likeness, np.rint(tables.likeness * LEVELS).astype(np.uint8)),
        (layer.factors, tables.factors),
    )
    for weights, rows in values:
        empty = np.zeros((1, *rows.shape[1:]), rows.dtype)
        weights.assign(np.concatenate([empty, rows]))


def silence(model: keras.Model) -> None:
    """Set all learned terms to zero: what is set afterwards is all that the model says."""
    layer = model.get_layer("scores")
    for weights in (layer.bias, layer.own, layer.turn):
        weights.assign(np.zeros(weights.shape, np.float32))
    for name in ("repeat", "straight", "similar"):
        dense = model.get_layer(name)
        dense.set_weights([np.zeros(weights.shape, np.float32) for weights in dense.get_weights()])
    model.get_layer("similar").set_weights([np.zeros((len(FEATURES), 1), np.float32), np.array([NEVER], np.float32)])


def _by_strength(shape: tuple[int, ...], dtype: Any = None) -> Any:
    """Return the weights learning starts from: the logarithm of the slowly decayed count."""
    kernel = np.zeros(shape, dtype=np.float32)
    kernel[STRENGTH] = LOG_SCALE
    return tf.constant(kernel, dtype=dtype)


def _scatter(near: Any, parts: Any, width: int) -> Any:
    """Add parts `(n_rows, n_positions, k)` up by product: `(n_rows, width)`."""
    size = tf.shape(near)
    rows = tf.broadcast_to(tf.reshape(tf.range(size[0]), (-1, 1, 1)), size)
    indices = tf.reshape(tf.stack([rows, near], axis=-1), (-1, 2))
    return tf.scatter_nd(indices, tf.reshape(parts, (-1,)), tf.stack([size[0], width]))
