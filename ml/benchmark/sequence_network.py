"""A self-attentive network for sequences, as SASRec (Kang and McAuley 2018, arXiv:1808.09781), trained by cross-entropy.

Its loss is a softmax over all items, or over many drawn ones, instead of one negative: that is what such networks lacked
(Petrov and Macdonald 2023, arXiv:2308.07192; Klenitskiy and Vasilev 2023, arXiv:2309.07602).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from ml.benchmark.sequence_data import Sequences

SIZE, HEADS, BLOCKS = 64, 2, 2
DROPOUTS = ((30, 0.5), (100, 0.3))  # below so many events an item; the denser, the less
LEAST_DROPOUT = 0.2
LONGEST = 100  # newest items that are looked at
DRAWN = 1500  # items of the softmax beside the one that came; a smaller catalogue enters whole
STEP_TOKENS = 3200  # most positions of a step
STEPS = 64  # of a pass at least, where there are users enough
SMALLEST = 32  # users of a step
RATE = 0.002
SLOWER = 0.7  # the rate's factor at each look without a better figure
PASSES = 200  # most passes over the users
LOOKS = 20  # at the validation users, where all passes are needed
AGAIN = 0.25  # share of the best number of passes that follow once the validation items are known

STEP = (*[tf.TensorSpec([None, None], tf.int32)] * 2, tf.TensorSpec([None], tf.int32))
"""Inputs, targets and drawn items of a step: its function is traced once for all shapes."""

Tell = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Course:
    """How long is learned."""

    seed: int
    tokens: float
    """Positions that are learned from in all: what bounds the time, whatever the machine."""
    seconds: float
    """Most time: a slower machine ends earlier, and says so."""
    patience: int = 5
    """Looks at the validation users without a better figure before the end."""


class Attentive:
    """The network with its items' vectors.

    Args:
        n_items: Items; number 0 stands for an empty position.
        dropout: Share of each layer's values that a step leaves out.
    """

    def __init__(self, n_items: int, dropout: float) -> None:
        self.n_items, self.dropout = n_items, dropout
        self.passes = 0  # after which it was best
        self.model = _build(n_items, dropout)
        self.optimizer = keras.optimizers.Adam(RATE, beta_2=0.98)
        self.step = _step(self)

    @property
    def vectors(self) -> Any:
        """Vectors of the items `(n_items + 1, SIZE)`."""
        return self.model.get_layer("items").embeddings

    def score(self, sequences: Sequences) -> NDArray[np.float32]:
        """Return `(n_users, n_items)`: logarithms of the softmax after each user's last item."""
        width = int(min(sequences.sizes.max(), LONGEST))
        last = self.model(tf.constant(padded(sequences, width)), training=False)[:, -1]
        logits = tf.matmul(last, self.vectors[1:], transpose_b=True)
        found: NDArray[np.float32] = tf.nn.log_softmax(logits).numpy()
        return found


def padded(sequences: Sequences, width: int) -> NDArray[np.int32]:
    """Return each user's newest items `(n_users, width)`, number + 1, to the right; 0 where there is none."""
    found = np.zeros((sequences.n_users, width), dtype=np.int32)
    near = sequences.ago <= width
    found[sequences.row[near], width - sequences.ago[near]] = sequences.items[near] + 1
    return found


def learn(train: Sequences, course: Course, look: Callable[[Attentive], float], tell: Tell) -> Attentive:
    """Return the network as it was best.

    Args:
        train: Sequences without validation and test items.
        course: How long.
        look: Measures on validation users; higher is better.
        tell: Receives progress.
    """
    keras.utils.set_random_seed(course.seed)
    network = Attentive(train.n_items, _dropout(train))
    passes = int(np.clip(course.tokens / np.minimum(train.sizes, LONGEST).sum(), 1, PASSES))
    every = max(1, passes // LOOKS)
    best, kept, waited, began = -1.0, network.model.get_weights(), 0, time.monotonic()
    for number in range(1, passes + 1):
        loss = _pass(network, train, np.random.default_rng([course.seed, number]))
        late = time.monotonic() - began > course.seconds
        if number % every and number < passes and not late:
            continue
        figure = look(network)
        tell(f"pass {number}: loss {loss:.3f}, NDCG@10 on validation {figure:.4f}, {time.monotonic() - began:.0f} s")
        if figure > best:
            best, kept, waited, network.passes = figure, network.model.get_weights(), 0, number
        else:
            waited += 1
            network.optimizer.learning_rate = network.optimizer.learning_rate * SLOWER
        if late:
            tell(f"training ended for time, after {number} of {passes} passes")
        if late or waited >= course.patience:
            break
    network.model.set_weights(kept)
    return network


def refine(network: Attentive, sequences: Sequences, seed: int) -> None:
    """Learn on, at a rate that falls with each pass, from sequences that now hold the validation items.

    Args:
        network: As it was best before.
        sequences: All but the test items.
        seed: Of what is drawn.
    """
    passes = max(1, round(AGAIN * network.passes))
    for number in range(passes):
        network.optimizer.learning_rate = RATE / 2 * (1 - number / passes)
        _pass(network, sequences, np.random.default_rng([seed, PASSES + 1 + number]))


def _dropout(train: Sequences) -> float:
    dense = len(train.items) / train.n_items
    return next((dropout for limit, dropout in DROPOUTS if dense < limit), LEAST_DROPOUT)


def _build(n_items: int, dropout: float) -> keras.Model:
    small = keras.initializers.RandomNormal(stddev=0.02)
    items = keras.Input((None,), dtype="int32")
    ago = keras.ops.flip(keras.ops.cumsum(keras.ops.ones_like(items), axis=1), axis=1) - 1
    place = keras.layers.Embedding(LONGEST, SIZE, embeddings_initializer=small)(ago)
    table = keras.layers.Embedding(n_items + 1, SIZE, embeddings_initializer=small, name="items")
    there = keras.ops.not_equal(items, 0)
    state = keras.layers.Dropout(dropout)(table(items) * SIZE**0.5 + place)
    state = state * keras.ops.expand_dims(keras.ops.cast(there, "float32"), 2)
    for _ in range(BLOCKS):
        state = _block(state, keras.ops.expand_dims(there, 1), dropout)
    return keras.Model(items, keras.layers.LayerNormalization()(state))


def _block(state: Any, there: Any, dropout: float) -> Any:
    normal = keras.layers.LayerNormalization()(state)
    attend = keras.layers.MultiHeadAttention(HEADS, SIZE // HEADS, dropout=dropout)
    state = state + attend(normal, normal, attention_mask=there, use_causal_mask=True)
    inner = keras.layers.Dense(2 * SIZE, activation="relu")(keras.layers.LayerNormalization()(state))
    return state + keras.layers.Dropout(dropout)(keras.layers.Dense(SIZE)(inner))


def _step(network: Attentive) -> Callable[..., Any]:
    """Return the compiled step: softmax over the step's drawn items and the one that came."""

    @tf.function(input_signature=STEP)  # type: ignore[untyped-decorator]  # TensorFlow has no types
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
        network.optimizer.apply(tape.gradient(loss, variables), variables)
        return loss

    return step  # type: ignore[no-any-return]  # TensorFlow has no types


def _pass(network: Attentive, sequences: Sequences, rng: np.random.Generator) -> float:
    """Learn from all users once and return the mean loss; 0 where nobody has two items to learn from."""
    losses = []
    for users in _groups(sequences, rng):
        drawn = rng.permutation(network.n_items)[:DRAWN] + 1
        losses.append(network.step(*_windows(sequences, users, rng), tf.constant(drawn, tf.int32)))
    return float(tf.reduce_mean(tf.stack(losses)).numpy()) if losses else 0.0


def _groups(sequences: Sequences, rng: np.random.Generator) -> list[NDArray[np.int64]]:
    """Return users of about the same number of items together, the groups in any order."""
    useful = np.flatnonzero(sequences.sizes >= 2)
    if not len(useful):
        return []
    width = np.minimum(sequences.sizes[useful], LONGEST + 1) - 1
    drawn = rng.random(len(useful))
    ordered = useful[np.argsort(width * (0.9 + 0.2 * drawn) + drawn)]
    limit = min(STEP_TOKENS, max(SMALLEST * float(width.mean()), width.sum() / STEPS))
    filled = np.cumsum(np.minimum(sequences.sizes[ordered], LONGEST + 1) - 1)
    groups = np.split(ordered, np.flatnonzero(np.diff((filled // limit).astype(int))) + 1)
    return [groups[at] for at in rng.permutation(len(groups))]


def _windows(sequences: Sequences, users: NDArray[np.int64], rng: np.random.Generator) -> tuple[Any, Any]:
    """Return inputs and targets `(n_users, width)`; of a long sequence a stretch is drawn."""
    sizes, starts = sequences.sizes[users], sequences.starts[users]
    width = int(min(sizes.max() - 1, LONGEST))
    room = np.maximum(sizes - width - 1, 0)
    ends = starts + sizes - (rng.random(len(users)) * (room + 1)).astype(np.int64)
    at = ends[:, None] - width - 1 + np.arange(width + 1)
    window = np.where(at >= starts[:, None], sequences.items[np.maximum(at, 0)] + 1, 0)
    inputs = window[:, :-1]
    return tf.constant(inputs, tf.int32), tf.constant(np.where(inputs > 0, window[:, 1:], 0), tf.int32)
