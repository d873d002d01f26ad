"""A transformer that turns tokens into one vector a text, in the shape of BERT (Devlin et al. 2019, arXiv:1810.04805)."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from ml.language.shape import Shape

TOKENS = "tokens"
"""The model's input `(n_rows, n_tokens)`; 0 fills up a row."""
EPSILON = 1e-12  # of layer normalisation, as BERT has it
MASKED = -1e4  # added to the attention paid to padding; finite in half precision too


def build(shape: Shape) -> Any:
    """Return tokens -> unit vectors `(n_rows, width)`: the mean over a text's tokens, scaled to length 1."""
    tokens = keras.Input((None,), dtype="int32", name=TOKENS)
    is_token = ops.expand_dims(ops.cast(ops.not_equal(tokens, 0), "float32"), -1)
    words = keras.layers.Embedding(shape.vocabulary, shape.width, trainable=shape.learns_words, name="words")(tokens)
    flow = Placed(shape.places, trainable=shape.learns_words, name="places")(words)
    flow = keras.layers.LayerNormalization(epsilon=EPSILON, name="norm")(flow)
    flow = keras.layers.Dropout(shape.dropout)(flow)
    for number in range(shape.blocks):
        flow = Block(shape, name=f"block_{number}")([flow, is_token])
    mean = ops.sum(flow * is_token, axis=1) / ops.maximum(ops.sum(is_token, axis=1), 1.0)
    return keras.Model(tokens, unit(mean), name="encoder")


def unit(vectors: Any) -> Any:
    """Return vectors scaled to length 1."""
    return vectors * ops.rsqrt(ops.sum(ops.square(vectors), axis=-1, keepdims=True) + EPSILON)


class Placed(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
    """Adds to each token's vector one that tells where it stands."""

    def __init__(self, places: int, **settings: Any) -> None:
        super().__init__(**settings)
        self._places = places

    def build(self, shape: tuple[int | None, ...]) -> None:
        """Make the vectors, one a place."""
        self.vectors = self.add_weight(name="vectors", shape=(self._places, shape[-1]), initializer="random_normal")

    def call(self, words: Any) -> Any:
        """Return `(n_rows, n_tokens, width)`."""
        return words + self.vectors[: ops.shape(words)[1]]


class Block(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
    """Self-attention and a feed-forward part, each added to its input and normalised."""

    def __init__(self, shape: Shape, **settings: Any) -> None:
        super().__init__(**settings)
        self._heads, self._size = shape.heads, shape.width // shape.heads
        self.attention = keras.layers.Dense(3 * shape.width, name="attention")
        self.merge = keras.layers.Dense(shape.width, name="merge")
        self.widen = keras.layers.Dense(shape.inner, name="widen")
        self.narrow = keras.layers.Dense(shape.width, name="narrow")
        self.attention_norm = keras.layers.LayerNormalization(epsilon=EPSILON, name="attention_norm")
        self.norm = keras.layers.LayerNormalization(epsilon=EPSILON, name="norm")
        self.dropout = keras.layers.Dropout(shape.dropout)

    def build(self, shapes: list[tuple[int | None, ...]]) -> None:
        """Make the weights of the parts."""
        flow = shapes[0]
        self.attention.build(flow)
        self.merge.build(flow)
        self.widen.build(flow)
        self.narrow.build((*flow[:-1], self.widen.units))
        self.attention_norm.build(flow)
        self.norm.build(flow)

    def call(self, inputs: list[Any], training: bool = False) -> Any:
        """Take what flows `(n_rows, n_tokens, width)` and what is no padding `(n_rows, n_tokens, 1)`."""
        flow, is_token = inputs
        seen = self.merge(self._attend(self.attention(flow), is_token, training))
        flow = self.attention_norm(flow + self.dropout(seen, training=training))
        deeper = self.narrow(ops.gelu(self.widen(flow), approximate=False))
        return self.norm(flow + self.dropout(deeper, training=training))

    def compute_output_shape(self, shapes: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        """Return the shape of what flows: it stays."""
        return shapes[0]

    def _attend(self, projected: Any, is_token: Any, training: bool) -> Any:
        query, key, value = (self._split(part) for part in ops.split(projected, 3, axis=-1))
        scores = ops.matmul(query, ops.transpose(key, (0, 1, 3, 2))) * self._size**-0.5
        scores += (1.0 - ops.expand_dims(ops.transpose(is_token, (0, 2, 1)), 1)) * MASKED
        shares = self.dropout(ops.softmax(scores, axis=-1), training=training)
        seen = ops.transpose(ops.matmul(shares, value), (0, 2, 1, 3))
        rows, length = ops.shape(seen)[0], ops.shape(seen)[1]
        return ops.reshape(seen, (rows, length, self._heads * self._size))

    def _split(self, part: Any) -> Any:
        """Return `(n_rows, heads, n_tokens, size)`."""
        rows, length = ops.shape(part)[0], ops.shape(part)[1]
        return ops.transpose(ops.reshape(part, (rows, length, self._heads, self._size)), (0, 2, 1, 3))
