"""The networks: a text encoder, and beside it one direction an intent, to which a text's vector is compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops
from numpy.typing import NDArray

from ml.language import encoder, minilm
from ml.language.shape import Shape
from ml.use_cases.service.encode import TOKENS

SCALE = 20.0
"""Of the cosines at the start: a text in the middle of its intent's gets most of the probability."""
CHUNK = 256  # texts scored at a time

Tokens = NDArray[np.int32]
Numbers = NDArray[np.float32]


class Directions(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
    """Returns scale · cos(text, direction of the intent) + bias of the intent `(n_rows, n_intents)`."""

    def __init__(self, n_intents: int, **settings: Any) -> None:
        super().__init__(**settings)
        self._n_intents = n_intents

    def build(self, shape: tuple[int | None, ...]) -> None:
        """Make directions, biases, and the scale."""
        self.directions = self.add_weight(name="directions", shape=(self._n_intents, shape[-1]))
        self.bias = self.add_weight(name="bias", shape=(self._n_intents,), initializer="zeros")
        self.scale = self.add_weight(name="scale", shape=(), initializer=keras.initializers.Constant(SCALE))

    def call(self, vectors: Any) -> Any:
        """Take unit vectors `(n_rows, width)`."""
        return ops.matmul(vectors, ops.transpose(encoder.unit(self.directions))) * self.scale + self.bias


@dataclass(frozen=True, kw_only=True)
class Network:
    """One network in three forms that share their weights."""

    shape: Shape
    encoder: Any
    """tokens -> unit vectors `(n_rows, width)`"""
    head: Directions
    scores: Any
    """tokens -> log-odds, and behind them the vector `(n_rows, n_intents + width)`: what training looks at."""
    answers: Any
    """tokens -> probabilities `(n_rows, n_intents)`: what is saved, exported and served."""

    @property
    def n_intents(self) -> int:
        """How many intents it tells apart."""
        return int(self.head.bias.shape[0])


def build(shape: Shape, n_intents: int) -> Network:
    """Return an untrained network."""
    inputs = keras.Input((None,), dtype="int32", name=TOKENS)
    texts, head = encoder.build(shape), Directions(n_intents, name="head")
    vectors = texts(inputs)
    odds = head(vectors)
    return Network(
        shape=shape,
        encoder=texts,
        head=head,
        scores=keras.Model({TOKENS: inputs}, ops.concatenate([odds, vectors], axis=-1)),
        answers=keras.Model({TOKENS: inputs}, ops.softmax(odds)),
    )


def from_minilm(words: Numbers, n_intents: int, learns_words: bool) -> Network:
    """Return a network of MiniLM's six blocks with the published weights.

    Args:
        words: Vectors of the vocabulary `(n_words, 384)`.
        n_intents: Intents to tell apart.
        learns_words: Whether training changes the vectors of words.
    """
    made = build(replace(minilm.SHAPE, vocabulary=len(words), learns_words=learns_words), n_intents)
    minilm.load(made.encoder, words, range(minilm.SHAPE.blocks))
    return made


def copied(source: Network, shape: Shape, blocks: Sequence[int], words: Numbers | None = None) -> Network:
    """Return a network of another shape with a trained one's weights.

    Args:
        source: Trained.
        shape: Of the new network.
        blocks: Which of the trained blocks each of its blocks is.
        words: Vectors of its vocabulary; none are the trained ones.
    """
    made = build(shape, source.n_intents)
    own = {layer.name: layer.get_weights() for layer in source.encoder.layers}
    made.encoder.get_layer("words").set_weights(own["words"] if words is None else [words])
    made.encoder.get_layer("places").set_weights([own["places"][0][: shape.places]])
    for to, name in [("norm", "norm"), *((f"block_{at}", f"block_{block}") for at, block in enumerate(blocks))]:
        made.encoder.get_layer(to).set_weights(own[name])
    made.head.set_weights(source.head.get_weights())
    return made


def blocks_of(n_blocks: int) -> list[int]:
    """Return which of MiniLM's blocks a student of that many has: spread evenly, the last among them."""
    last = minilm.SHAPE.blocks - 1
    return [round(at) for at in np.linspace(0, last, n_blocks)] if n_blocks > 1 else [last]


def scored(model: Any, tokens: Tokens) -> Numbers:
    """Return what a form of a network says of texts, texts of like length at a time."""
    lengths = np.count_nonzero(tokens, axis=1)
    order = np.argsort(lengths, kind="stable")
    found = [_run(model, trimmed(tokens[order[at : at + CHUNK]])) for at in range(0, len(order), CHUNK)]
    back = np.argsort(order, kind="stable")
    return np.concatenate(found)[back]


def trimmed(tokens: Tokens, step: int = 4) -> Tokens:
    """Return texts without the padding that none of them needs, up to a multiple that keeps shapes few."""
    longest = int(np.count_nonzero(tokens, axis=1).max(initial=1))
    return tokens[:, : -(-longest // step) * step]


def _run(model: Any, tokens: Tokens) -> Numbers:
    found: Numbers = model(
        {TOKENS: tf.constant(tokens)} if isinstance(model.input, dict) else tf.constant(tokens)
    ).numpy()
    return found
