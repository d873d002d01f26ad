"""A self-attentive network for sequences, as SASRec (Kang and McAuley 2018, arXiv:1808.09781), trained by cross-entropy.

Its loss is a softmax over drawn items instead of one negative: that is what such networks lacked (Petrov and Macdonald
2023, arXiv:2308.07192; Klenitskiy and Vasilev 2023, arXiv:2309.07602).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from ml.benchmark.sequence_data import Sequences

log = logging.getLogger(__name__)

SIZE, HEADS, BLOCKS = 64, 2, 2
DROPOUT = 0.3
LONGEST = 100  # newest items that are looked at
DRAWN = 1000  # items of the softmax beside those of the step
STEP_TOKENS = 6400  # most positions of a step
STEPS = 64  # of a pass at least, where there are users enough
SMALLEST = 32  # users of a step
RATE = 0.001
PASSES = 200  # most passes over the users
LOOKS = 20  # at the validation users, where all passes are needed
MOST_SECONDS = 600  # of training: a slower machine ends earlier, and says so


@dataclass(frozen=True, kw_only=True)
class Course:
    """How long is learned."""

    seed: int
    tokens: float
    """Positions that are learned from in all: what bounds the time, whatever the machine."""
    patience: int = 4
    """Looks at the validation users without a better figure before the end."""


class Attentive:
    """The network with its items' vectors.

    Args:
        n_items: Items; number 0 stands for an empty position.
        width: Positions.
    """

    def __init__(self, n_items: int, width: int) -> None:
        self.width, self.n_items = width, n_items
        self.model = _build(n_items, width)

    @property
    def vectors(self) -> Any:
        """Vectors of the items `(n_items + 1, SIZE)`."""
        return self.model.get_layer("items").embeddings

    def score(self, sequences: Sequences) -> NDArray[np.float32]:
        """Return `(n_users, n_items)`: logarithms of the softmax after each user's last item."""
        last = self.model(tf.constant(padded(sequences, self.width)), training=False)[:, -1]
        logits = tf.matmul(last, self.vectors[1:], transpose_b=True)
        found: NDArray[np.float32] = tf.nn.log_softmax(logits).numpy()
        return found


def width_of(sequences: Sequences) -> int:
    """Return how many positions are enough for all but the longest histories."""
    return int(np.clip(np.quantile(sequences.sizes, 0.95), 5, LONGEST))


def padded(sequences: Sequences, width: int) -> NDArray[np.int32]:
    """Return each user's newest items `(n_users, width)`, number + 1, to the right; 0 where there is none."""
    found = np.zeros((sequences.n_users, width), dtype=np.int32)
    near = sequences.ago <= width
    found[sequences.row[near], width - sequences.ago[near]] = sequences.items[near] + 1
    return found


def learn(
    train: Sequences, course: Course, look: Callable[[Attentive], float], tell: Callable[[str], None]
) -> Attentive:
    """Return the network as it was best.

    Args:
        train: Sequences without validation and test items.
        course: How long.
        look: Measures on validation users; higher is better.
        tell: Receives progress.
    """
    keras.utils.set_random_seed(course.seed)
    network = Attentive(train.n_items, width_of(train))
    passes = int(np.clip(course.tokens / (train.n_users * network.width), 1, PASSES))
    every = max(1, passes // LOOKS)
    step = _step(network)
    best, kept, waited, began = -1.0, network.model.get_weights(), 0, time.monotonic()
    for number in range(1, passes + 1):
        losses = [step(*batch) for batch in _steps(train, network, np.random.default_rng([course.seed, number]))]
        late = time.monotonic() - began > MOST_SECONDS
        if number % every and number < passes and not late:
            continue
        figure = look(network)
        loss = float(tf.reduce_mean(tf.stack(losses)).numpy())
        tell(f"pass {number}: loss {loss:.3f}, NDCG@10 on validation {figure:.4f}, {time.monotonic() - began:.0f} s")
        waited = 0 if figure > best else waited + 1
        if figure > best:
            best, kept = figure, network.model.get_weights()
        if late:
            tell(f"training ended for time, after {number} of {passes} passes")
        if late or waited >= course.patience:
            break
    network.model.set_weights(kept)
    return network


def _build(n_items: int, width: int) -> keras.Model:
    small = keras.initializers.RandomNormal(stddev=0.02)
    items = keras.Input((width,), dtype="int32")
    place = keras.layers.Embedding(width, SIZE, embeddings_initializer=small)(keras.ops.arange(width))
    table = keras.layers.Embedding(n_items + 1, SIZE, embeddings_initializer=small, name="items")
    there = keras.ops.not_equal(items, 0)
    state = keras.layers.Dropout(DROPOUT)(table(items) * SIZE**0.5 + place)
    state = state * keras.ops.expand_dims(keras.ops.cast(there, "float32"), 2)
    for _ in range(BLOCKS):
        state = _block(state, keras.ops.expand_dims(there, 1))
    return keras.Model(items, keras.layers.LayerNormalization()(state))


def _block(state: Any, there: Any) -> Any:
    normal = keras.layers.LayerNormalization()(state)
    attend = keras.layers.MultiHeadAttention(HEADS, SIZE // HEADS, dropout=DROPOUT)
    state = state + attend(normal, normal, attention_mask=there, use_causal_mask=True)
    inner = keras.layers.Dense(2 * SIZE, activation="gelu")(keras.layers.LayerNormalization()(state))
    return state + keras.layers.Dropout(DROPOUT)(keras.layers.Dense(SIZE)(inner))


def _step(network: Attentive) -> Callable[..., Any]:
    """Return the compiled step: softmax over the step's drawn items and the one that came."""
    optimizer = keras.optimizers.Adam(RATE, beta_2=0.98)

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def step(inputs: Any, targets: Any, drawn: Any) -> Any:
        with tf.GradientTape() as tape:
            states = tf.boolean_mask(network.model(inputs, training=True), targets > 0)
            right = tf.boolean_mask(targets, targets > 0)
            own = tf.reduce_sum(states * tf.gather(network.vectors, right), axis=1)
            other = tf.matmul(states, tf.gather(network.vectors, drawn), transpose_b=True)
            share = tf.math.log((network.n_items - 1.0) / tf.cast(tf.size(drawn), tf.float32))
            other = tf.where(right[:, None] == drawn[None], -1e9, other + share)  # each stands for items not drawn
            both = tf.concat([own[:, None], other], axis=1)
            loss = tf.reduce_mean(tf.reduce_logsumexp(both, axis=1) - own)
        variables = network.model.trainable_variables
        optimizer.apply(tape.gradient(loss, variables), variables)
        return loss

    return step  # type: ignore[no-any-return]


def _steps(train: Sequences, network: Attentive, rng: np.random.Generator) -> Iterator[tuple[Any, Any, Any]]:
    """Yield inputs, targets and drawn items of each step of a pass; of a long sequence a stretch is drawn."""
    width = network.width
    useful = np.flatnonzero(train.sizes >= 2)
    size = min(max(1, STEP_TOKENS // width), max(SMALLEST, len(useful) // STEPS))
    for chosen in np.split(rng.permutation(useful), np.arange(size, len(useful), size)):
        room = np.maximum(train.sizes[chosen] - width - 1, 0)
        ends = train.starts[1:][chosen] - (rng.random(len(chosen)) * (room + 1)).astype(np.int64)
        at = ends[:, None] - width - 1 + np.arange(width + 1)
        window = np.where(at >= train.starts[chosen][:, None], train.items[np.maximum(at, 0)] + 1, 0)
        drawn = rng.permutation(train.n_items)[:DRAWN] + 1
        inputs = np.where(window[:, :-1] > 0, window[:, :-1], 0)
        yield (
            tf.constant(inputs, tf.int32),
            tf.constant(np.where(inputs > 0, window[:, 1:], 0), tf.int32),
            tf.constant(drawn, tf.int32),
        )
